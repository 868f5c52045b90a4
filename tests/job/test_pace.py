"""How often something is looked for, and how late it is found, whenever it comes."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.pace import END, FIRST_LIFE, READINESS

SECOND = timedelta(seconds=1)
ZERO = timedelta()

ages = st.timedeltas(min_value=ZERO, max_value=timedelta(days=2))
longest = st.timedeltas(min_value=0.1 * SECOND, max_value=timedelta(minutes=10))
usual = st.none() | ages


def looks(pace, until, *, longest=30 * SECOND, usual=None, age=ZERO):
    """The ages at which it is looked for, the last one the first at which it is there."""
    found = []
    while not found or found[-1] < until:
        age += pace.step(age, longest=longest, usual=usual)
        found.append(age)
    return found


@given(age=ages, longest=longest, usual=usual, pace=st.sampled_from([READINESS, FIRST_LIFE, END]))
def test_what_is_configured_is_the_longest_step(age, longest, usual, pace):
    assert ZERO < pace.step(age, longest=longest, usual=usual) <= longest


@given(age=ages, longest=longest, usual=usual)
def test_an_end_is_never_found_later_than_a_twentieth_of_the_jobs_life(age, longest, usual):
    step = END.step(age, longest=longest, usual=usual)
    assert step <= max(age / 20, END.shortest) + timedelta(microseconds=1)
    assert step <= END.step(age, longest=longest, usual=None), "what is usual makes no step longer"


@pytest.mark.parametrize("took", [2, 60, 900])
def test_what_ends_when_it_usually_does_is_found_sooner(took):
    known = looks(END, took * SECOND, usual=took * SECOND)[-1]
    assert known - took * SECOND <= max(took * SECOND / 80, END.shortest_when_due)


@pytest.mark.parametrize(("took", "most"), [(0.3, 3), (1, 10), (2, 18), (15, 39)])
def test_a_host_that_is_not_known_is_asked_soon_and_then_more_and_more_rarely(took, most):
    asked = looks(READINESS, took * SECOND, longest=2 * SECOND)
    assert asked[0] == 0.1 * SECOND
    assert asked[-1] <= max(took * SECOND * 1.1, (took + 0.1) * SECOND)
    assert len(asked) <= most


@pytest.mark.parametrize("took", [0.3, 1, 1.9])
def test_a_host_that_usually_takes_some_time_is_left_alone_until_then(took):
    usual = took * SECOND
    first = READINESS.first(longest=2 * SECOND, usual=usual)
    assert first == 0.9 * usual
    asked = [first, *looks(READINESS, usual, longest=2 * SECOND, usual=usual, age=first)]
    assert len(asked) <= 3
    assert asked[-1] - usual <= 0.15 * SECOND


def test_a_host_of_which_nothing_is_known_or_that_is_ready_at_once_is_asked_at_once():
    assert READINESS.first(longest=SECOND, usual=None) == ZERO
    assert READINESS.first(longest=SECOND, usual=0.05 * SECOND) == ZERO
