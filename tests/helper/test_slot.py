"""The place for a job: its table, and what no sequence of requests brings about (point 2, row H136)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.errors import IllegalTransitionError
from paas_runner.helper.protocol import JobKey
from paas_runner.helper.slot import LOST, MOST_REMEMBERED, NEXT, Change, Slot, Stage, Verdict

JOB, OTHER = JobKey("r", 7), JobKey("r", 8)
RUNNING = Slot().launched(JOB)
ENDED = RUNNING.ended(3)
CLEANING = ENDED.forgotten()


def test_every_stage_has_its_row():
    assert set(NEXT) == set(Stage)
    assert {change for row in NEXT.values() for change in row} == set(Change)


def test_a_job_goes_through_it():
    assert (RUNNING.stage, RUNNING.known) == (Stage.RUNNING, JOB)
    assert (ENDED.stage, ENDED.known, ENDED.exit_code) == (Stage.ENDED, JOB, 3)
    assert (CLEANING.stage, CLEANING.known, CLEANING.job) == (Stage.CLEANING, None, JOB)
    free = CLEANING.cleaned("")
    assert (free.stage, free.job, free.exit_code, free.before) == (Stage.FREE, None, None, (JOB,))


@pytest.mark.parametrize(
    ("slot", "job", "verdict"),
    [
        (Slot(), JOB, Verdict.START),
        (RUNNING, JOB, Verdict.THERE),
        (RUNNING, OTHER, Verdict.FULL),
        (ENDED, JOB, Verdict.THERE),
        (ENDED, OTHER, Verdict.FULL),
        (CLEANING, JOB, Verdict.BEFORE),
        (CLEANING, OTHER, Verdict.FULL),
        (CLEANING.cleaned(""), JOB, Verdict.BEFORE),
        (CLEANING.cleaned(""), OTHER, Verdict.START),
        (CLEANING.cleaned("a volume"), OTHER, Verdict.UNCLEAN),
    ],
)
def test_what_a_launch_comes_to(slot, job, verdict):
    assert slot.verdict(job) is verdict


def test_what_is_left_ends_it_for_ever_and_so_does_a_doubt():
    assert CLEANING.cleaned("a volume").stage is Stage.UNCLEAN
    doubtful = Slot().launched(JOB, "a shell").ended(0).forgotten().cleaned("")
    assert (doubtful.stage, doubtful.doubt) == (Stage.UNCLEAN, "a shell")
    assert doubtful.after_restart() == doubtful


@pytest.mark.parametrize("slot", [Slot(), ENDED, CLEANING, CLEANING.cleaned("")])
def test_a_restart_changes_nothing_but_a_running_job(slot):
    assert slot.after_restart() == slot


def test_a_job_that_ran_was_lost_with_the_service():
    assert RUNNING.after_restart() == RUNNING.ended(LOST)


def test_what_cannot_happen_is_refused():
    with pytest.raises(IllegalTransitionError, match="launched while running"):
        RUNNING.launched(OTHER)


moves = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(["launch", "end", "forget", "clean", "restart"]))
)


@given(moves)
def test_whatever_is_asked_in_whatever_order_no_job_begins_twice(asked):
    slot, begun = Slot(), []
    for number, move in asked:
        job = JobKey("r", number)
        match move:
            case "launch" if slot.verdict(job) is Verdict.START:
                slot = slot.launched(job)
                begun.append(number)
            case "end" if slot.stage is Stage.RUNNING:
                slot = slot.ended(0)
            case "forget" if slot.known == job:
                slot = slot.forgotten()
            case "clean" if slot.stage is Stage.CLEANING:
                slot = slot.cleaned("")
            case "restart":
                slot = slot.after_restart()
    assert len(set(begun)) == len(begun)
    assert (slot.job is None) == (slot.stage is Stage.FREE)


def test_what_is_remembered_is_bounded():
    slot = Slot()
    for number in range(1, MOST_REMEMBERED + 10):
        slot = slot.launched(JobKey("r", number)).ended(0).forgotten().cleaned("")
    assert len(slot.before) == MOST_REMEMBERED
    assert slot.before[-1].job_id == MOST_REMEMBERED + 9
