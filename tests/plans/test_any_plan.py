"""What holds for any plan in any world: played by the machine alone, stopped and cut off at any moment."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from paas_plans.machine import step
from paas_plans.machine.moves import AttemptEnded, Due, WakeAt
from paas_plans.plan import Action, Attempt, Sequence, Status
from paas_plans.walk import items, last_update, walk

from tests.plans.invariants import assert_consistent, assert_only_goes_on
from tests.plans.made_up_worlds import cases
from tests.plans.played import BEGINNING, Play, play, recovered
from tests.support.often import often

SOON = timedelta(seconds=0.25)
SMALL = {"most": 2, "delays": False}


def assert_kept(playing: Play) -> None:
    """All that is promised of every state, and of all of them one after the other."""
    for plan in playing.history:
        assert_consistent(plan)
    for before, after in itertools.pairwise(playing.history):
        assert_only_goes_on(before, after)
    assert playing.plan.state.status.is_terminal
    assert not playing.in_flight


@given(cases())
@settings(max_examples=25)
def test_it_ends_as_its_parts_say(case):
    playing = play(case.plan, case.answer)
    assert_kept(playing)
    assert (playing.plan.state.status, playing.plan.reason) == case.ending()


@given(cases(), st.floats(0, 100))
@settings(max_examples=25)
def test_it_can_be_stopped_at_any_time(case, seconds):
    playing = play(case.plan, case.answer, stopped_after=seconds)
    assert_kept(playing)
    if playing.plan.stop_requested is None:
        assert (playing.plan.state.status, playing.plan.reason) == case.ending()
    else:
        for before, after in itertools.pairwise(playing.history):
            if before.stop_requested:
                assert new_in_work(before, after) == set()


def new_in_work(before, after):
    """What has begun that is not deferred."""
    then = {step.path: step.item.state.status for step in walk(before)}
    return {
        step.path
        for step in walk(after)
        if step.item.state.status is Status.RUNNING and then[step.path] is Status.NOT_STARTED
        if not any(str(name).startswith("deferred") for name in step.path)
    }


@given(cases(**SMALL), st.none() | st.floats(0, 20))
@settings(max_examples=8)
def test_a_crash_anywhere_and_one_during_the_recovery_repeat_only_what_was_in_progress(case, seconds):
    crash_everywhere(case, play(case.plan, case.answer, stopped_after=seconds))


@pytest.mark.soak
@pytest.mark.long
@given(cases(most=2), st.none() | st.floats(0, 20))
@settings(max_examples=often(250))
def test_crashes_of_more_plans_repeat_only_what_was_in_progress(case, seconds):
    crash_everywhere(case, play(case.plan, case.answer, stopped_after=seconds))


def crash_everywhere(case, whole):
    for number, stored in enumerate(whole.history[:-1]):
        once = recovered(stored, case.answer, whole.times[number] + SOON)
        assert_recovered(case, stored, once)
        second = number % len(once.history)
        again, when = once.history[second], once.times[second] + SOON
        if not again.state.status.is_terminal:
            assert_recovered(case, again, recovered(again, case.answer, when))


def assert_recovered(case, stored, after):
    assert after.plan.state.status.is_terminal
    for plan in (after.history[0], after.history[len(after.history) // 2], after.plan):
        assert_consistent(plan)
    assert_only_goes_on(stored, after.history[0])
    assert_only_goes_on(after.history[0], after.plan)
    done = {
        action.name
        for row in walk(stored)
        if not any("checks" in str(name) for name in row.path)
        for action in [row.item]
        if isinstance(action, Action) and action.state.status.is_terminal
    }
    assert done.isdisjoint(after.called)
    if stored.stop_requested is None:
        assert (after.plan.state.status, after.plan.reason) == case.ending()
    for sequence in items(stored, Sequence):
        running = [action for action in sequence.actions if action.state.status is Status.RUNNING]
        assert len(running) <= 1


@given(cases(**SMALL), st.data())
@settings(max_examples=25)
def test_what_does_not_fit_changes_nothing_and_a_timer_that_rings_early_is_set_again(case, data):
    plan = data.draw(st.sampled_from(play(case.plan, case.answer).history))
    now = last_update(plan) or BEGINNING
    assume(all(one.item.state.until is None or one.item.state.until > now for one in walk(plan)))
    late = Attempt(start=now, end=now)
    for path, item in [(one.path, one.item) for one in walk(plan)]:
        until = item.state.until if not plan.state.status.is_terminal else None
        effects = (WakeAt(path, until),) if until else ()
        assert step(plan, Due(path), now) == (plan, effects)
        is_in_flight = item.state.status is Status.RUNNING and until is None
        if isinstance(item, Action) and not is_in_flight:
            assert step(plan, AttemptEnded(path, late), now) == (plan, ())
