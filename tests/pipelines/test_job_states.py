"""The table of states and events, and what the record keeps."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import attrs
import pytest

from paas_runner.errors import IllegalTransitionError
from paas_runner.pipelines import states as st
from paas_runner.pipelines.jobs import Job, LedgerKind, Project, apply, created
from paas_runner.pipelines.runners import JobRunner
from paas_runner.pipelines.schedule import Outcome, turn
from paas_runner.pipelines.spec import JobSpec, RunWhen
from paas_runner.pipelines.states import ACTIVE, ENDED, TRANSITIONS, JobState
from paas_runner.secret import Secret

S = JobState
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=2)
RUNNER = JobRunner(runner_id=7, system_id="s_1", cancels_gracefully=True)

EXAMPLES = {
    st.Enqueued: st.Enqueued(),
    st.Skipped: st.Skipped(),
    st.Reserved: st.Reserved(runner=RUNNER, until=LATER),
    st.ReservationExtended: st.ReservationExtended(until=LATER),
    st.Acknowledged: st.Acknowledged(),
    st.Acquired: st.Acquired(runner=RUNNER),
    st.StateReported: st.StateReported(state="running"),
    st.ReportRefused: st.ReportRefused(what="patch"),
    st.TraceExtended: st.TraceExtended(count=5),
    st.ChecksumDiffered: st.ChecksumDiffered(checksum="crc32:0"),
    st.FinalReportPostponed: st.FinalReportPostponed(),
    st.ArtifactStored: st.ArtifactStored(kind="archive", count=3),
    st.Succeeded: st.Succeeded(exit_code=0),
    st.Failed: st.Failed(reason="script_failure", exit_code=3),
    st.CancelRequested: st.CancelRequested(),
    st.Canceled: st.Canceled(),
    st.Retried: st.Retried(job_id=9),
}

_ = None
TABLE = {
    # created, pending, running, canceling, success, failed, canceled, skipped
    st.Enqueued: (S.PENDING, _, _, _, _, _, _, _),
    st.Skipped: (S.SKIPPED, _, _, _, _, _, _, _),
    st.Reserved: (_, S.PENDING, _, _, _, _, _, _),
    st.ReservationExtended: (_, S.PENDING, _, _, _, _, _, _),
    st.Acknowledged: (_, S.RUNNING, _, _, _, _, _, _),
    st.Acquired: (_, S.RUNNING, _, _, _, _, _, _),
    st.StateReported: (_, _, S.RUNNING, S.CANCELING, _, _, _, _),
    st.ReportRefused: (S.CREATED, S.PENDING, _, _, S.SUCCESS, S.FAILED, S.CANCELED, S.SKIPPED),
    st.TraceExtended: (_, _, S.RUNNING, S.CANCELING, _, _, _, _),
    st.ChecksumDiffered: (_, _, S.RUNNING, S.CANCELING, _, _, _, _),
    st.FinalReportPostponed: (_, _, S.RUNNING, S.CANCELING, _, _, _, _),
    st.ArtifactStored: (_, S.PENDING, S.RUNNING, S.CANCELING, S.SUCCESS, S.FAILED, S.CANCELED, _),
    st.Succeeded: (_, _, S.SUCCESS, S.CANCELED, _, _, _, _),
    st.Failed: (_, S.FAILED, S.FAILED, S.CANCELED, _, _, _, _),
    st.CancelRequested: (_, _, S.CANCELING, _, _, _, _, _),
    st.Canceled: (S.CANCELED, S.CANCELED, S.CANCELED, S.CANCELED, _, _, _, _),
    st.Retried: (_, _, _, _, S.SUCCESS, S.FAILED, S.CANCELED, _),
}


def job_in(state: JobState) -> Job:
    project, token = Project(), Secret("glcbt-64_x")
    job = created(JobSpec(name="j"), NOW, job_id=1, pipeline_id=1, project=project, token=token)
    return attrs.evolve(job, status=state, runner=RUNNER if state in ACTIVE else None)


def kinds(job: Job) -> list[tuple[LedgerKind, str]]:
    """What was written into the ledger after the job's creation."""
    return [(entry.kind, entry.detail) for entry in job.ledger[1:]]


def test_the_table_of_this_test_has_every_event_and_every_state() -> None:
    assert set(TABLE) == set(EXAMPLES) == set(get_args(st.Event))
    assert {len(row) for row in TABLE.values()} == {len(JobState)}
    assert list(TRANSITIONS) == list(JobState)


@pytest.mark.parametrize(
    ("event", "state", "expected"),
    [(event, state, result) for event, row in TABLE.items() for state, result in zip(S, row, strict=True)],
)
def test_every_event_in_every_state(
    event: type[st.Event], state: JobState, expected: JobState | None
) -> None:
    job = job_in(state)
    if expected is None:
        with pytest.raises(IllegalTransitionError, match=f"job 1: {event.__name__} while {state}"):
            apply(job, EXAMPLES[event], LATER)
    else:
        after = apply(job, EXAMPLES[event], LATER)
        assert after.status is expected
        assert (job.status, job.ledger) == (state, after.ledger[: len(job.ledger)])
        assert all(entry.at == LATER for entry in after.ledger[1:])


def test_a_job_that_has_ended_never_changes_its_state_again() -> None:
    assert {new for state in ENDED for new in TRANSITIONS[state].values() if new is not state} == set()


def test_every_state_that_has_not_ended_can_be_canceled() -> None:
    assert {state for state in JobState if st.Canceled in TRANSITIONS[state]} == set(JobState) - ENDED


def test_a_job_is_never_handed_out_twice() -> None:
    assert [state for state in JobState if st.Acquired in TRANSITIONS[state]] == [JobState.PENDING]
    assert not ACTIVE & ENDED


def test_entering_a_state_leaves_its_time_and_its_line() -> None:
    pending = apply(job_in(S.CREATED), st.Enqueued(), NOW)
    running = apply(pending, st.Acquired(runner=RUNNER), LATER)
    assert (running.queued_at, running.started_at, running.alive_at) == (NOW, LATER, LATER)
    ended = apply(running, st.Succeeded(exit_code=0), LATER)
    assert (ended.finished_at, ended.exit_code, ended.runner) == (LATER, 0, RUNNER)
    assert kinds(ended) == [
        (LedgerKind.PENDING, ""),
        (LedgerKind.ACQUIRED, "runner 7 s_1"),
        (LedgerKind.ENDED, "success"),
    ]


def test_a_reserved_job_is_active_and_its_reservation_ends_with_the_acknowledgement() -> None:
    reserved = apply(job_in(S.PENDING), st.Reserved(runner=RUNNER, until=NOW), NOW)
    extended = apply(reserved, st.ReservationExtended(until=LATER), NOW)
    assert (reserved.active, extended.reserved, extended.reserved_until) == (True, True, LATER)
    running = apply(extended, st.Acknowledged(), NOW)
    assert (running.reserved, running.active, running.reserved_until) == (False, True, None)
    assert [detail for _, detail in kinds(running)] == ["runner 7 s_1", "acknowledged"]


def test_the_first_byte_of_the_trace_is_written_down_once() -> None:
    job = apply(job_in(S.RUNNING), st.TraceExtended(count=0), NOW)
    assert (job.trace_bytes, job.alive_at, kinds(job)) == (0, NOW, [])
    job = apply(apply(job, st.TraceExtended(count=5), NOW), st.TraceExtended(count=2), LATER)
    assert (job.trace_bytes, job.alive_at, kinds(job)) == (7, LATER, [(LedgerKind.FIRST_TRACE_BYTE, "")])


def test_a_job_that_fails_while_it_is_canceled_has_no_reason_of_its_own() -> None:
    failed = st.Failed(reason="script_failure", exit_code=3)
    assert apply(job_in(S.RUNNING), failed, NOW).failure_reason == "script_failure"
    canceled = apply(job_in(S.CANCELING), failed, NOW)
    assert (canceled.failure_reason, canceled.exit_code) == (None, 3)


FAILED, TOLERATED = Outcome(state=JobState.FAILED), Outcome(state=JobState.FAILED, tolerated=True)
OK, SKIPPED = Outcome(state=JobState.SUCCESS), Outcome(state=JobState.SKIPPED)
CANCELED, RUNS = Outcome(state=JobState.CANCELED), Outcome(state=JobState.RUNNING)


@pytest.mark.parametrize(
    ("when", "before", "by_needs", "expected"),
    [
        (RunWhen.ON_SUCCESS, [], False, st.Enqueued()),
        (RunWhen.ON_SUCCESS, [OK, RUNS], False, None),
        (RunWhen.ON_SUCCESS, [OK, TOLERATED], False, st.Enqueued()),
        (RunWhen.ON_SUCCESS, [OK, FAILED], False, st.Skipped()),
        (RunWhen.ON_SUCCESS, [CANCELED], False, st.Skipped()),
        (RunWhen.ON_SUCCESS, [SKIPPED], False, st.Enqueued()),
        (RunWhen.ON_SUCCESS, [SKIPPED], True, st.Skipped()),
        (RunWhen.ON_FAILURE, [OK], False, st.Skipped()),
        (RunWhen.ON_FAILURE, [OK, FAILED], False, st.Enqueued()),
        (RunWhen.ON_FAILURE, [TOLERATED], False, st.Skipped()),
        (RunWhen.ALWAYS, [FAILED, CANCELED], True, st.Enqueued()),
        (RunWhen.ALWAYS, [RUNS], False, None),
        (RunWhen.MANUAL, [], False, st.Skipped()),
    ],
)
def test_when_decides_whether_a_job_runs(
    when: RunWhen, before: list[Outcome], by_needs: bool, expected: st.Enqueued | st.Skipped | None
) -> None:
    assert turn(when, before, by_needs=by_needs) == expected
