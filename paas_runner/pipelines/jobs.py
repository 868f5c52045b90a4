"""The coordinator's record of one job, and how each event changes it.

The record is frozen: `apply` makes the next one, by the table in `states.py`, and writes the event into the
job's ledger. The bytes of its trace and the files that it uploaded are not in it, the `Book` has them.
"""

import enum
from collections.abc import Callable
from datetime import datetime
from typing import Any

import attrs

from paas_runner.errors import IllegalTransitionError
from paas_runner.job.variables import Variable
from paas_runner.pipelines.runners import JobRunner
from paas_runner.pipelines.spec import JobSpec
from paas_runner.pipelines.states import (
    ACTIVE,
    ENDED,
    TRANSITIONS,
    Acknowledged,
    Acquired,
    ArtifactStored,
    ChecksumDiffered,
    Event,
    Failed,
    FinalReportPostponed,
    HeldBack,
    JobState,
    ReportRefused,
    ReservationExtended,
    Reserved,
    Retried,
    StateReported,
    Succeeded,
    TraceExtended,
)
from paas_runner.secret import Secret


@attrs.frozen(kw_only=True)
class GitRepository:
    """A real repository, and the commit that jobs get of it."""

    url: str
    """Without credentials: runners are given the job's token for it."""

    sha: str


@attrs.frozen(kw_only=True)
class Project:
    """Where a job belongs; ids and namespaces follow from it."""

    project_id: int = 1
    full_path: str = "sandbox/project"
    repository: GitRepository | None = None
    """None: the commit is made up, and no repository is named that a job could fetch."""

    @property
    def name(self) -> str:
        return self.full_path.rpartition("/")[2]

    @property
    def namespace(self) -> str:
        """The path without the name."""
        return self.full_path.rpartition("/")[0]

    @property
    def root_namespace(self) -> str:
        return self.full_path.partition("/")[0]


@attrs.frozen(kw_only=True)
class Entrusted:
    """What a job is told, and no record has."""

    variables: tuple[Variable, ...] = ()
    sources_url: Secret = Secret("")
    """That of its sources, with credentials; empty where they need none."""

    hidden: Callable[[bytes, HeldBack], tuple[bytes, HeldBack]] | None = None
    """Gives the next piece of its trace as it may be kept, in the same length: runners count bytes.

    What was held back may come once more before it, now that it is known.
    """


class LedgerKind(enum.StrEnum):
    """What a line of a job's ledger is about."""

    CREATED = "created"
    PENDING = "pending"
    RESERVED = "reserved"  # handed out, to be acknowledged; detail as for ACQUIRED
    ACQUIRED = "acquired"  # once for every time that the job was handed out; detail: runner id, system id
    PUT = "put"  # detail: the state that the runner sent
    REFUSED = "refused"  # a PUT or PATCH for a job that runs no more; detail: which
    FIRST_TRACE_BYTE = "first trace byte"
    ARTIFACT = "artifact stored"  # detail: its type and size
    CHECKSUM_MISMATCH = "checksum mismatch"
    CANCELING = "canceling"
    ENDED = "ended"  # detail: the final status


@attrs.frozen(kw_only=True)
class LedgerEntry:
    """One line of a job's ledger."""

    at: datetime
    kind: LedgerKind
    detail: str = ""


@attrs.frozen(kw_only=True)
class Job:
    """One job as the coordinator knows it at one moment."""

    job_id: int
    pipeline_id: int
    project: Project
    spec: JobSpec
    token: Secret
    created_at: datetime
    retry_of: int | None = None
    retried_as: int | None = None
    status: JobState = JobState.CREATED
    failure_reason: str | None = None
    exit_code: int | None = None
    runner: JobRunner | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reserved_until: datetime | None = None
    alive_at: datetime | None = None  # the last PUT or PATCH
    postponed: int = 0  # final PUTs that were not taken for the last word
    trace_bytes: int = 0
    held_back: HeldBack = HeldBack()
    ledger: tuple[LedgerEntry, ...] = ()

    @property
    def active(self) -> bool:
        """Whether a runner has it, so that its token is valid."""
        return self.status in ACTIVE or self.reserved

    @property
    def reserved(self) -> bool:
        """Whether it waits for its runner's word that it was taken (two-phase acquisition)."""
        return self.status is JobState.PENDING and self.reserved_until is not None

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def count(self, kind: LedgerKind) -> int:
        """How many lines of one kind the ledger has."""
        return sum(entry.kind is kind for entry in self.ledger)


def created(
    spec: JobSpec,
    now: datetime,
    *,
    job_id: int,
    pipeline_id: int,
    project: Project,
    token: Secret,
    retry_of: int | None = None,
) -> Job:
    """A job's first record."""
    return Job(
        job_id=job_id,
        pipeline_id=pipeline_id,
        project=project,
        spec=spec,
        token=token,
        created_at=now,
        retry_of=retry_of,
        ledger=(LedgerEntry(at=now, kind=LedgerKind.CREATED),),
    )


def apply(job: Job, event: Event, now: datetime) -> Job:
    """The record after `event`; raises `IllegalTransitionError` for one that its state does not know."""
    try:
        status = TRANSITIONS[job.status][type(event)]
    except KeyError:
        raise IllegalTransitionError(f"job {job.job_id}: {type(event).__name__} while {job.status}") from None
    changes, lines = _changes(job, event, now), _lines(job, event)
    if status is not job.status:
        changes |= _entering(status, now)
        lines += [(kind, detail) for kind, detail in _ENTERING.get(status, ())]
    entries = (LedgerEntry(at=now, kind=kind, detail=detail) for kind, detail in lines)
    return attrs.evolve(job, status=status, ledger=(*job.ledger, *entries), **changes)


def _changes(job: Job, event: Event, now: datetime) -> dict[str, Any]:
    """The fields that an event changes, but for those that follow from the new state."""
    match event:
        case Acquired(runner=runner):
            return {"runner": runner}
        case Reserved(runner=runner, until=until):
            return {"runner": runner, "reserved_until": until}
        case ReservationExtended(until=until):
            return {"reserved_until": until}
        case StateReported():
            return {"alive_at": now}
        case TraceExtended(count=count, held_back=held_back):
            held_back = held_back or job.held_back
            return {"alive_at": now, "trace_bytes": job.trace_bytes + count, "held_back": held_back}
        case FinalReportPostponed():
            return {"postponed": job.postponed + 1}
        case Succeeded(exit_code=exit_code):
            return {"exit_code": exit_code}
        case Failed(reason=reason, exit_code=exit_code):
            canceling = job.status is JobState.CANCELING  # what ends it then is its user's wish
            return {"exit_code": exit_code, "failure_reason": None if canceling else reason}
        case Retried(job_id=job_id):
            return {"retried_as": job_id}
        case _:
            return {}


def _lines(job: Job, event: Event) -> list[tuple[LedgerKind, str]]:
    """What the ledger says of an event, but for the lines that follow from the new state."""
    match event:
        case Acquired(runner=runner):
            return [(LedgerKind.ACQUIRED, runner.described)]
        case Acknowledged():
            return [(LedgerKind.ACQUIRED, "acknowledged")]
        case Reserved(runner=runner):
            return [(LedgerKind.RESERVED, runner.described)]
        case StateReported(state=state):
            return [(LedgerKind.PUT, state)]
        case ReportRefused(what=what):
            return [(LedgerKind.REFUSED, what)]
        case TraceExtended(count=count) if count and not job.trace_bytes:
            return [(LedgerKind.FIRST_TRACE_BYTE, "")]
        case ChecksumDiffered(checksum=checksum):
            return [(LedgerKind.CHECKSUM_MISMATCH, checksum)]
        case ArtifactStored(kind=kind, count=count):
            return [(LedgerKind.ARTIFACT, f"{kind} {count}")]
        case _:
            return []


_ENTERING = {
    JobState.PENDING: [(LedgerKind.PENDING, "")],
    JobState.CANCELING: [(LedgerKind.CANCELING, "")],
    **{state: [(LedgerKind.ENDED, str(state))] for state in ENDED},
}


def _entering(status: JobState, now: datetime) -> dict[str, Any]:
    if status is JobState.PENDING:
        return {"queued_at": now}
    if status is JobState.RUNNING:
        return {"started_at": now, "alive_at": now, "reserved_until": None}
    return {"finished_at": now} if status in ENDED else {}
