"""What a job can be on the coordinator, what can happen to it, and where that leads: one table.

What a record keeps of each event is in `jobs.apply`.
"""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

import attrs

from paas_runner.pipelines.runners import JobRunner


class JobState(enum.StrEnum):
    """The statuses of spec gitlab-runner-api.md §3.4, as the API spells them."""

    CREATED = "created"  # waits for jobs before it
    PENDING = "pending"  # waits for a runner, or for the word of the one that it is reserved for
    RUNNING = "running"
    CANCELING = "canceling"  # a runner has been asked to wind it down
    SUCCESS = "success"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"


ACTIVE = frozenset({JobState.RUNNING, JobState.CANCELING})
"""While in one of these a job's token is valid."""

ENDED = frozenset({JobState.SUCCESS, JobState.FAILED, JobState.CANCELED, JobState.SKIPPED})


@attrs.frozen
class Enqueued:
    """Its turn has come."""


@attrs.frozen
class Skipped:
    """Its turn will never come."""


@attrs.frozen(kw_only=True)
class Reserved:
    """Handed out to a runner that is to acknowledge it until `until` (two-phase acquisition, §2.8)."""

    runner: JobRunner
    until: datetime


@attrs.frozen(kw_only=True)
class ReservationExtended:
    """The runner is still getting ready for it."""

    until: datetime


@attrs.frozen
class Acknowledged:
    """The runner has taken the job that was reserved for it."""


@attrs.frozen(kw_only=True)
class Acquired:
    """Handed out to a runner as running."""

    runner: JobRunner


@attrs.frozen(kw_only=True)
class StateReported:
    """The runner sent a PUT with this state."""

    state: str


@attrs.frozen(kw_only=True)
class ReportRefused:
    """A PUT or PATCH came although no runner has the job."""

    what: str


@attrs.frozen
class HeldBack:
    """The end of a trace that may be the beginning of a secret, and is hidden until more has come."""

    state: int = 0
    """Of the search for secrets, which goes on from it in another process, too; it says nothing of them."""

    count: int = 0
    """How many bytes it has."""

    covered: int = 0
    """How many of its first ones belong to a secret that ends in it: these stay hidden."""


@attrs.frozen(kw_only=True)
class TraceExtended:
    """The runner sent a piece of the trace, which fits; no bytes for one that does not."""

    count: int
    held_back: HeldBack | None = None
    """None where that is as before."""


@attrs.frozen(kw_only=True)
class ChecksumDiffered:
    """The trace is not the one that the runner has."""

    checksum: str


@attrs.frozen
class FinalReportPostponed:
    """The runner's last word was not taken, it is to be sent again."""


@attrs.frozen(kw_only=True)
class ArtifactStored:
    """A file of the job was uploaded; the upload may have outlasted the job."""

    kind: str
    count: int


@attrs.frozen(kw_only=True)
class Succeeded:
    """The runner's last word."""

    exit_code: int | None = None


@attrs.frozen(kw_only=True)
class Failed:
    """The runner's last word, or the coordinator's own finding."""

    reason: str
    exit_code: int | None = None


@attrs.frozen
class CancelRequested:
    """Its user wants it to end, and the runner that has it can wind it down."""


@attrs.frozen
class Canceled:
    """Its user ended it."""


@attrs.frozen(kw_only=True)
class Retried:
    """Another job stands in its place."""

    job_id: int


Event: TypeAlias = (
    Enqueued
    | Skipped
    | Reserved
    | ReservationExtended
    | Acknowledged
    | Acquired
    | StateReported
    | ReportRefused
    | TraceExtended
    | ChecksumDiffered
    | FinalReportPostponed
    | ArtifactStored
    | Succeeded
    | Failed
    | CancelRequested
    | Canceled
    | Retried
)


def _staying(state: JobState, *events: type[Event]) -> dict[type[Event], JobState]:
    return dict.fromkeys(events, state)


_REPORTS = (StateReported, TraceExtended, ChecksumDiffered, FinalReportPostponed, ArtifactStored)

TRANSITIONS: Mapping[JobState, Mapping[type[Event], JobState]] = {
    JobState.CREATED: {
        Enqueued: JobState.PENDING,
        Skipped: JobState.SKIPPED,
        Canceled: JobState.CANCELED,
        **_staying(JobState.CREATED, ReportRefused),
    },
    JobState.PENDING: {
        Acquired: JobState.RUNNING,
        Acknowledged: JobState.RUNNING,
        Failed: JobState.FAILED,
        Canceled: JobState.CANCELED,
        **_staying(JobState.PENDING, Reserved, ReservationExtended, ReportRefused, ArtifactStored),
    },
    JobState.RUNNING: {
        Succeeded: JobState.SUCCESS,
        Failed: JobState.FAILED,
        CancelRequested: JobState.CANCELING,
        Canceled: JobState.CANCELED,
        **_staying(JobState.RUNNING, *_REPORTS),
    },
    JobState.CANCELING: {
        Succeeded: JobState.CANCELED,
        Failed: JobState.CANCELED,
        Canceled: JobState.CANCELED,
        **_staying(JobState.CANCELING, *_REPORTS),
    },
    JobState.SUCCESS: _staying(JobState.SUCCESS, ReportRefused, ArtifactStored, Retried),
    JobState.FAILED: _staying(JobState.FAILED, ReportRefused, ArtifactStored, Retried),
    JobState.CANCELED: _staying(JobState.CANCELED, ReportRefused, ArtifactStored, Retried),
    JobState.SKIPPED: _staying(JobState.SKIPPED, ReportRefused),
}
"""Which events a state knows and where they lead; every other pair is a bug of ours."""
