"""How the attempts of a plugin are spaced."""

from datetime import timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paas_plans.plugin import FAST, SECONDS, THIRTY_SECONDS, Policy


def seconds(*numbers):
    return [timedelta(seconds=number) for number in numbers]


@pytest.mark.parametrize(
    ("policy", "pauses"),
    [
        (FAST, seconds(0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60)),
        (SECONDS, seconds(1, 2, 4, 8, 16, 32, 60, 60)),
        (THIRTY_SECONDS, seconds(30, 33, 36.3)),
    ],
)
def test_the_policies_at_hand_grow_to_their_maximum(policy, pauses):
    assert [policy.pause(number + 1, 0.5) for number in range(len(pauses))] == pauses
    assert policy.pause(1_000_000, 0.5) == policy.maximum


def test_the_policies_at_hand_are_those_of_coercion():
    assert [(p.maximum.total_seconds(), p.randomization) for p in (FAST, SECONDS, THIRTY_SECONDS)] == [
        (60, 0.5),
        (60, 0.5),
        (300, 0.2),
    ]


@given(st.integers(1, 100), st.floats(0, 1))
def test_chance_spreads_a_pause_to_both_sides(attempts, chance):
    middle = attrs.evolve(SECONDS, randomization=0).pause(attempts, chance)
    assert middle * 0.5 <= SECONDS.pause(attempts, chance) <= middle * 1.5
    assert SECONDS.pause(attempts, 0) == middle * 0.5
    assert SECONDS.pause(attempts, 1) == middle * 1.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"initial": timedelta(0)}, "'initial' must be > 0"),
        ({"multiplier": 1}, "'multiplier' must be > 1"),
        ({"randomization": -0.1}, "'randomization' must be >= 0"),
        ({"randomization": 1.1}, "'randomization' must be <= 1"),
        ({"maximum": timedelta(seconds=0.9)}, "'maximum' must be >= 'initial'"),
        ({"maximum": timedelta(0)}, "'maximum' must be >= 'initial'"),
        ({"maximum": timedelta.max}, "'maximum' must be <="),
        ({"multiplier": float("nan")}, "'multiplier' must be > 1"),
    ],
)
def test_a_policy_that_makes_no_sense_is_none(change, words):
    with pytest.raises(ValueError, match=words):
        attrs.evolve(SECONDS, **change)


def test_a_policy_of_whole_numbers_is_as_good():
    policy = Policy(initial=timedelta(1), multiplier=2, maximum=timedelta(1), randomization=1)
    assert policy.pause(1, 0.5) == timedelta(1)
