import pytest

from paas_runner.errors import IllegalTransitionError
from paas_runner.pipelines.jobs import Outcome, turn
from paas_runner.pipelines.spec import RunWhen
from paas_runner.pipelines.states import ACTIVE, ENDED, NEXT, Change, JobState, after


@pytest.mark.parametrize(
    ("state", "change", "result"),
    [
        ("created", Change.ENQUEUE, "pending"),
        ("created", Change.SKIP, "skipped"),
        ("pending", Change.ACQUIRE, "running"),
        ("pending", Change.FAIL, "failed"),
        ("running", Change.SUCCEED, "success"),
        ("running", Change.FAIL, "failed"),
        ("running", Change.CANCEL_GRACEFULLY, "canceling"),
        ("canceling", Change.SUCCEED, "canceled"),
        ("canceling", Change.FAIL, "canceled"),
        ("canceling", Change.CANCEL, "canceled"),
    ],
)
def test_transitions_are_those_of_the_protocol(state: str, change: Change, result: str) -> None:
    assert after(JobState(state), change) == result


@pytest.mark.parametrize("state", ENDED)
@pytest.mark.parametrize("change", Change)
def test_nothing_happens_to_an_ended_job(state: JobState, change: Change) -> None:
    with pytest.raises(IllegalTransitionError):
        after(state, change)


def test_every_state_that_has_not_ended_can_be_cancelled() -> None:
    assert {state for state in JobState if Change.CANCEL in NEXT[state]} == set(JobState) - ENDED


def test_a_job_is_never_handed_out_twice() -> None:
    assert [state for state in JobState if Change.ACQUIRE in NEXT[state]] == [JobState.PENDING]
    assert not ACTIVE & ENDED


FAILED, TOLERATED = Outcome(state=JobState.FAILED), Outcome(state=JobState.FAILED, tolerated=True)
OK, SKIPPED = Outcome(state=JobState.SUCCESS), Outcome(state=JobState.SKIPPED)
CANCELED, RUNS = Outcome(state=JobState.CANCELED), Outcome(state=JobState.RUNNING)


@pytest.mark.parametrize(
    ("when", "before", "by_needs", "expected"),
    [
        (RunWhen.ON_SUCCESS, [], False, Change.ENQUEUE),
        (RunWhen.ON_SUCCESS, [OK, RUNS], False, None),
        (RunWhen.ON_SUCCESS, [OK, TOLERATED], False, Change.ENQUEUE),
        (RunWhen.ON_SUCCESS, [OK, FAILED], False, Change.SKIP),
        (RunWhen.ON_SUCCESS, [CANCELED], False, Change.SKIP),
        (RunWhen.ON_SUCCESS, [SKIPPED], False, Change.ENQUEUE),
        (RunWhen.ON_SUCCESS, [SKIPPED], True, Change.SKIP),
        (RunWhen.ON_FAILURE, [OK], False, Change.SKIP),
        (RunWhen.ON_FAILURE, [OK, FAILED], False, Change.ENQUEUE),
        (RunWhen.ON_FAILURE, [TOLERATED], False, Change.SKIP),
        (RunWhen.ALWAYS, [FAILED, CANCELED], True, Change.ENQUEUE),
        (RunWhen.ALWAYS, [RUNS], False, None),
        (RunWhen.MANUAL, [], False, Change.SKIP),
    ],
)
def test_when_decides_whether_a_job_runs(
    when: RunWhen, before: list[Outcome], by_needs: bool, expected: Change | None
) -> None:
    assert turn(when, before, by_needs=by_needs) is expected
