"""Some seeds with every run of the tests, those that once failed among them; 75 with the long ones."""

from collections import Counter

import pytest

from tests.plans.simulate import simulate
from tests.support.often import often

ONCE_FAILED = (119, 213)
LONG_RUNS, AT_ONCE = often(200), 20


@pytest.mark.parametrize("seed", [3, 4, 6, 12, *ONCE_FAILED])
def test_plans_keep_their_promises_in_a_world_of_faults(seed):
    assert simulate(seed).violations == ()


@pytest.mark.soak
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(1000, 1000 + LONG_RUNS, AT_ONCE))
def test_plans_keep_their_promises_in_many_worlds(first):
    outcomes = [simulate(seed) for seed in range(first, first + AT_ONCE)]
    broken = {outcome.seed: outcome.violations for outcome in outcomes if outcome.violations}
    assert not broken, f"make simulate-plans SEED={min(broken)}\n{broken[min(broken)][0]}"
    totals = sum((outcome.counts for outcome in outcomes), start=Counter())
    assert totals["crashes"] > AT_ONCE * 5
    assert {"killed at writes", "refused writes", "rivals refused", "stops"} <= set(totals)


def test_a_seed_tells_the_same_story_each_time():
    assert simulate(7) == simulate(7)
