"""The coordinator's record of one job: its state, its trace, and the ledger of what happened to it.

When a created job's turn has come: a function of the jobs before it.
"""

import enum
from collections.abc import Collection
from datetime import datetime

import attrs

from paas_runner.pipelines.artifacts import Artifact
from paas_runner.pipelines.runners import RunnerRecord
from paas_runner.pipelines.spec import JobSpec, RunWhen
from paas_runner.pipelines.states import ACTIVE, ENDED, Change, JobState, after
from paas_runner.secret import Secret


@attrs.frozen(kw_only=True)
class Outcome:
    """What a job amounts to for those that wait for it."""

    state: JobState
    tolerated: bool = False  # failed, but allowed to


def turn(when: RunWhen, before: Collection[Outcome], *, by_needs: bool) -> Change | None:
    """Whether a created job is to be enqueued, skipped, or (None) waits on.

    With `needs` a skipped job before counts against it, with stages it does not.
    """
    if when is RunWhen.MANUAL:
        return Change.SKIP
    if any(outcome.state not in ENDED for outcome in before):
        return None
    failed = any(outcome.state is JobState.FAILED and not outcome.tolerated for outcome in before)
    match when:
        case RunWhen.ALWAYS:
            runs = True
        case RunWhen.ON_FAILURE:
            runs = failed
        case RunWhen.ON_SUCCESS:
            hindered = any(outcome.state is JobState.CANCELED for outcome in before)
            lacking = by_needs and any(outcome.state is JobState.SKIPPED for outcome in before)
            runs = not (failed or hindered or lacking)
    return Change.ENQUEUE if runs else Change.SKIP


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
    """None: the commit is made up, and jobs are told of no repository that they could fetch."""

    @property
    def name(self) -> str:
        """The last component of the path."""
        return self.full_path.rpartition("/")[2]

    @property
    def namespace(self) -> str:
        """The path without the name."""
        return self.full_path.rpartition("/")[0]

    @property
    def root_namespace(self) -> str:
        """The first component of the path."""
        return self.full_path.partition("/")[0]


class LedgerKind(enum.StrEnum):
    """Kinds of ledger entries."""

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


@attrs.define(kw_only=True, eq=False)
class Job:
    """Changed by its `Coordinator` alone, read by anyone."""

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
    runner: RunnerRecord | None = None
    cancel_gracefully: bool = False  # whether the runner that has it knows `canceling`
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    reserved_until: datetime | None = None
    alive_at: datetime | None = None  # the last PUT or PATCH
    postponed: int = 0  # final PUTs that were not taken for the last word
    events: list[LedgerEntry] = attrs.field(factory=list)
    artifacts: dict[str, Artifact] = attrs.field(factory=dict)  # by type
    _trace: bytearray = attrs.field(factory=bytearray, init=False, repr=False)

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
        """Whether nothing will happen to it any more."""
        return self.status in ENDED

    @property
    def outcome(self) -> Outcome:
        """What the jobs after it see."""
        return Outcome(state=self.status, tolerated=self.spec.tolerates(self.exit_code))

    @property
    def trace(self) -> bytes:
        """The log so far."""
        return bytes(self._trace)

    @property
    def trace_bytes(self) -> int:
        """The size of the log."""
        return len(self._trace)

    def note(self, at: datetime, kind: LedgerKind, detail: str = "") -> None:
        """Write a line into the ledger."""
        self.events.append(LedgerEntry(at=at, kind=kind, detail=detail))

    def append(self, data: bytes, at: datetime) -> None:
        """Extend the log."""
        if data and not self._trace:
            self.note(at, LedgerKind.FIRST_TRACE_BYTE)
        self._trace += data

    def change(self, change: Change, at: datetime) -> None:
        """Go to the next state and write it down; raises `IllegalTransitionError`."""
        self.status = after(self.status, change)
        if self.status is JobState.PENDING:
            self.queued_at = at
            self.note(at, LedgerKind.PENDING)
        elif self.status is JobState.RUNNING:
            self.started_at = self.alive_at = at
        elif self.status is JobState.CANCELING:
            self.note(at, LedgerKind.CANCELING)
        elif self.ended:
            self.finished_at = at
            self.note(at, LedgerKind.ENDED, self.status)

    def count(self, kind: LedgerKind) -> int:
        """How many entries of one kind the ledger has."""
        return sum(entry.kind is kind for entry in self.events)
