"""The life of a job as a table: which event leads where, and what the record keeps of it.

The other half, what is to be done in each phase, is in `decision.py`. Both are pure: a service that was
killed goes on by loading its records and asking again.

    decide  ->  record the intent  ->  act  ->  record what happened  ->  decide ...
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from paas_runner.errors import IllegalTransitionError
from paas_runner.job.events import (
    Checked,
    Decommissioned,
    Deferred,
    Ended,
    Event,
    Explained,
    Failed,
    HostChecked,
    HostCreated,
    HostLeft,
    HostReady,
    HostReleased,
    HostRenewed,
    HostReused,
    HostTaken,
    HostUnfit,
    Launched,
    LaunchIntended,
    LifeSeen,
    NotYet,
    ProvisionIntended,
    Reported,
    StandbyOver,
    Unchecked,
)
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.history import begun, continued, entry, grown
from paas_runner.job.masks import masks_of
from paas_runner.job.pace import GOOD_FOR
from paas_runner.job.payload import DEFAULT_TIMEOUT, Payload
from paas_runner.job.tracked import Host, JobKey, Phase, TrackedJob
from paas_runner.secret import Secret

_ANY_TIME: Mapping[type[Event], Phase] = {Failed: Phase.FAILING, Ended: Phase.DECOMMISSIONING}

TRANSITIONS: Mapping[Phase, Mapping[type[Event], Phase]] = {
    Phase.ACQUIRED: {
        ProvisionIntended: Phase.PROVISIONING,
        HostReused: Phase.PROVISIONED,
        Checked: Phase.ACQUIRED,
        Unchecked: Phase.ACQUIRED,
        Deferred: Phase.ACQUIRED,
        **_ANY_TIME,
    },
    Phase.PROVISIONING: {
        HostCreated: Phase.PROVISIONING,
        HostReady: Phase.PROVISIONED,
        Checked: Phase.PROVISIONING,
        Unchecked: Phase.PROVISIONING,
        NotYet: Phase.PROVISIONING,
        Deferred: Phase.PROVISIONING,
        **_ANY_TIME,
    },
    Phase.PROVISIONED: {
        LaunchIntended: Phase.LAUNCHING,
        Checked: Phase.PROVISIONED,
        Unchecked: Phase.PROVISIONED,
        Deferred: Phase.PROVISIONED,
        **_ANY_TIME,
    },
    Phase.LAUNCHING: {
        Launched: Phase.LAUNCHED,
        Checked: Phase.LAUNCHING,
        Unchecked: Phase.LAUNCHING,
        Deferred: Phase.LAUNCHING,
        **_ANY_TIME,
    },
    Phase.LAUNCHED: {
        LifeSeen: Phase.RUNNING,
        HostChecked: Phase.LAUNCHED,
        NotYet: Phase.LAUNCHED,
        Deferred: Phase.LAUNCHED,
        **_ANY_TIME,
    },
    Phase.RUNNING: {
        Checked: Phase.RUNNING,
        HostChecked: Phase.RUNNING,
        Deferred: Phase.RUNNING,
        **_ANY_TIME,
    },
    Phase.FAILING: {
        Explained: Phase.FAILING,
        Deferred: Phase.FAILING,
        Reported: Phase.DECOMMISSIONING,
        Ended: Phase.DECOMMISSIONING,
        Decommissioned: Phase.FAILING,
    },
    Phase.DECOMMISSIONING: {
        Deferred: Phase.DECOMMISSIONING,
        HostReleased: Phase.STANDBY,
        HostUnfit: Phase.DECOMMISSIONING,
        Decommissioned: Phase.GONE,
        HostLeft: Phase.GONE,
    },
    Phase.STANDBY: {
        Deferred: Phase.STANDBY,
        HostRenewed: Phase.STANDBY,
        StandbyOver: Phase.DECOMMISSIONING,
        HostTaken: Phase.GONE,
    },
    Phase.GONE: {},
}
"""Which events a phase knows and where they lead; every other pair is a bug of ours."""

_NO_TROUBLE: Mapping[str, Any] = {"attempts": 0, "due": None, "trouble": "", "unreachable": False}
_NEEDING_THE_PAYLOAD = frozenset({Phase.ACQUIRED, Phase.PROVISIONING, Phase.PROVISIONED, Phase.LAUNCHING})


def acquired(
    runner: str,
    payload: Payload,
    now: datetime,
    *,
    tenant: str = "",
    expected_weight: float | None = None,
    start_due: datetime | None = None,
    failure: Failure | None = None,
) -> TrackedJob:
    """The first record of a job that the coordinator just handed to `runner` (its short token).

    With a `failure` it is already known that the job cannot be run.
    """
    return TrackedJob(
        key=JobKey(runner, payload.job_id),
        token=payload.token,
        timeout=payload.timeout,
        payload=payload,
        tenant=tenant,
        project=payload.project,
        job_name=payload.job_name,
        namespace_id=payload.root_namespace_id,
        expected_weight=expected_weight,
        start_due=start_due,
        failure=failure,
        acquired_at=now,
        checked_at=now,
        since=now,
        entered={Phase.ACQUIRED: now},
        history=begun(now, job_name=payload.job_name),
    )


def acquired_undecodable(runner: str, job_id: int, token: Secret, now: datetime) -> TrackedJob:
    """The record of a job whose payload cannot be read: all that is left is to report that."""
    failure = Failure(
        reason=FailureReason.SYSTEM,
        text="The job's definition reached the runner damaged, so it was not run. Please retry it.",
    )
    return TrackedJob(
        key=JobKey(runner, job_id),
        token=token,
        timeout=DEFAULT_TIMEOUT,
        acquired_at=now,
        checked_at=now,
        since=now,
        failure=failure,
        entered={Phase.ACQUIRED: now},
        history=begun(now),
    )


def resumed(job: TrackedJob, now: datetime) -> TrackedJob:
    """The record as a start finds it: nothing is put off, no look counts any more, no clock is believed much.

    Times in the future (the clock went back) become now; a job that seems to have outlived its timeout (the
    clock went forward, or no one was there to look) is given the usual margin once more. A job that waits for
    its host is as patient as if no time had passed since its last sign in the record.
    """
    entered = {phase: min(at, now) for phase, at in job.entered.items()}
    if Phase.LAUNCHED in entered:
        entered[Phase.LAUNCHED] = max(entered[Phase.LAUNCHED], now - job.timeout)
    since = min(entered[Phase.LAUNCHED] if job.phase is Phase.LAUNCHED else job.since, now)
    return attrs.evolve(
        job,
        acquired_at=min(job.acquired_at, now),
        start_due=_start_due(job, now),
        checked_at=min(job.checked_at, since - GOOD_FOR),  # whatever comes next, it is asked about first
        since=since,
        host_since=min(job.host_since, now) if job.host_since else None,
        canceling_since=min(job.canceling_since, now) if job.canceling_since else None,
        standby_until=_no_longer(job.standby_until, job.since, now),
        heard_at=_no_longer(job.heard_at, job.heard_at, now),
        entered=entered,
        due=None,
        check_due=None,
        host_due=None,
        history=continued(job, now),
    )


def _no_longer(until: datetime | None, since: datetime | None, now: datetime) -> datetime | None:
    """When a time that began at `since` ends: not later than if it began now, wherever the clock was."""
    return min(until, now + (until - since)) if until and since else until


def _start_due(job: TrackedJob, now: datetime) -> datetime | None:
    """When its wait for a host began, or may begin; time in which no one served it is left out."""
    start = job.patient_since
    signs = (start, job.acquired_at, job.checked_at, job.since, job.host_since, job.due)
    away = now - max(filter(None, signs))
    if job.phase in _NEEDING_THE_PAYLOAD and away > timedelta():
        return start + away
    return min(job.start_due, now + (job.start_due - job.acquired_at)) if job.start_due else None


def apply(job: TrackedJob, event: Event, now: datetime) -> TrackedJob:
    """The record after `event`; raises `IllegalTransitionError` for an event that the phase does not know."""
    try:
        phase = TRANSITIONS[job.phase][type(event)]
    except KeyError:
        raise IllegalTransitionError(f"job {job.key}: {type(event).__name__} while {job.phase}") from None
    if phase is Phase.DECOMMISSIONING and not job.host_intended:
        phase = Phase.GONE  # a job that never asked for a host leaves nothing behind
    before, job = job, _noted(job, event, now)
    job = job if phase is job.phase else _entered(job, phase, now)
    if isinstance(event, Launched):
        job = attrs.evolve(job, due=event.until, usual_life=event.usual_life)
    if before.failed_or_over and before.unreachable:  # its room may be another's by now
        job = attrs.evolve(job, unreachable=True)
    return attrs.evolve(job, history=grown(job.history, entry(event, before, job, now)))


def _noted(job: TrackedJob, event: Event, now: datetime) -> TrackedJob:
    match event:
        case ProvisionIntended():
            return attrs.evolve(job, host_intended=True)
        case Checked(canceling=canceling, usual_life=usual):
            since = (job.canceling_since or now) if canceling else None
            job = attrs.evolve(job, acknowledged=True, checked_at=now, check_due=None, canceling_since=since)
            job = attrs.evolve(job, usual_life=usual) if usual else job
            return attrs.evolve(job, **_NO_TROUBLE) if job.phase is Phase.RUNNING else job
        case Unchecked(until=until):
            return attrs.evolve(job, check_due=until)
        case NotYet(until=until):
            return attrs.evolve(job, due=until, attempts=0, trouble="")
        case Deferred(until=until, trouble=trouble, unreachable=unreachable):
            job = attrs.evolve(job, due=until, attempts=job.attempts + 1)
            return attrs.evolve(job, trouble=trouble, unreachable=unreachable)
        case Failed(failure=failure, nothing_made=nothing_made):
            return attrs.evolve(job, failure=failure, host_intended=job.host_intended and not nothing_made)
        case Explained():
            return attrs.evolve(job, explained=True, **_NO_TROUBLE)
        case _:
            return _noted_of_its_host(job, event, now)


def _noted_of_its_host(job: TrackedJob, event: Event, now: datetime) -> TrackedJob:
    match event:
        case HostCreated(host=host, doubtful=doubtful, until=until):
            job = attrs.evolve(job, host=host, host_since=now, host_doubtful=doubtful, **_NO_TROUBLE)
            return attrs.evolve(job, due=until)
        case HostReady(host=Host() as host):
            return attrs.evolve(job, host=host)
        case HostReused(host=host, doubtful=doubtful):
            return attrs.evolve(job, host=host, host_intended=True, host_since=now, host_doubtful=doubtful)
        case HostReleased(until=until, lease=lease, use=use):
            return attrs.evolve(job, standby_until=until, lease=lease, heard_at=now, use=use)
        case HostRenewed(lease=lease):
            return attrs.evolve(job, lease=lease, heard_at=now, **_NO_TROUBLE)
        case HostUnfit() | StandbyOver():
            return attrs.evolve(job, unfit=True, **_NO_TROUBLE)
        case HostChecked(until=until):
            return attrs.evolve(job, host_due=until)
        case Decommissioned() | HostTaken():
            return attrs.evolve(job, host=None, host_intended=False)
        case _:
            return job


def _entered(job: TrackedJob, phase: Phase, now: datetime) -> TrackedJob:
    if job.payload and phase not in _NEEDING_THE_PAYLOAD:
        job = attrs.evolve(job, payload=None, masks=masks_of(job.payload.variables))
    return attrs.evolve(
        job,
        phase=phase,
        since=now,
        entered={**{each: at for each, at in job.entered.items() if each is not phase}, phase: now},
        **_NO_TROUBLE,
    )
