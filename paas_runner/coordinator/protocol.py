"""What the service needs of a coordinator, for one runner: the port.

The service knows a coordinator by these verbs alone; `gitlab` has them over GitLab's runner API. Whatever is
worth repeating is raised as `Transient`, any other refusal as `Rejected`. A coordinator is asked about a job
with that job's own token.
"""

import enum
from typing import Protocol

import attrs

from paas_runner.job.audit import Believed, BelievedJob
from paas_runner.job.failure import Failure
from paas_runner.secret import Secret


class JobStatus(enum.StrEnum):
    """What the coordinator says of a job that it gave us."""

    RUNNING = "running"
    CANCELING = "canceling"  # its user wants it to end; a started job winds down
    ENDED = "ended"  # in any way: there is nothing left to run or report


@attrs.frozen(kw_only=True)
class TraceState:
    """How many bytes the job's trace has, and the job's status."""

    size: int
    status: JobStatus
    sure: bool = False
    """Of a job that has ended: whether that was said, and not only concluded from a refusal."""


@attrs.frozen(kw_only=True)
class JobAnswer:
    """What a request for a job has brought."""

    payload: bytes | None = attrs.field(default=None, repr=False)
    """Of a job that is ours now. Not decoded: one that cannot be read must be failed all the same."""

    last_update: str = ""
    """To be told with the next request; with each news it changes, and never back to an earlier value."""

    released: bool = False
    """The request was held and brought nothing; if there is news only the next one can bring it."""

    holds: bool = False
    """Whether this coordinator keeps requests waiting that tell its last update."""


class CoordinatorClient(Protocol):
    """One runner's view of its coordinator."""

    async def request_job(self, *, seen: str = "") -> JobAnswer:
        """Ask for a job; a request that tells the last update as `seen` may be kept waiting for news.

        Any number of them may be in flight.
        Raises `Rejected` with status 403 when the coordinator does not know the runner.
        """

    async def touch(self, job_id: int, token: Secret) -> JobStatus:
        """Say that the job is ours and alive; for one that was only reserved this is the acknowledgement."""

    async def status(self, job_id: int, token: Secret) -> JobStatus:
        """Whether the job still runs; `ENDED` must be sure, since its host is removed then."""

    async def trace_state(self, job_id: int, token: Secret) -> TraceState:
        """How long the job's trace is, found out without writing to it."""

    async def append_trace(self, job_id: int, token: Secret, text: str, *, begun: bool) -> None:
        """Write `text` at the end of the trace; repeated after a lost answer it stands there once.

        `begun` is whether the job's host has written to the trace before.
        A trace that takes nothing more, because the job is over, is left as it is.
        """

    async def report_failed(self, job_id: int, token: Secret, failure: Failure) -> None:
        """The job's final word; a job that is over already, or unknown, is as good as reported."""

    async def aclose(self) -> None:
        """Close connections."""


class Auditor(Protocol):
    """Reads what a coordinator believes a runner to run, and may put it right.

    Each call raises `RemoteError`.
    """

    @property
    def cancels(self) -> bool:
        """Whether jobs may be canceled and retried: the last three calls need it."""

    async def running(self) -> Believed:
        """The jobs that it believes to run on this machine; on all of the runner, where it cannot tell."""

    async def tells_machines_apart(self) -> bool:
        """Whether `running` is about this machine alone."""

    async def has_log(self, job: BelievedJob) -> bool:
        """Whether somebody has written anything for the job."""

    async def cancel(self, job: BelievedJob, *, force: bool = False) -> str:
        """Cancel, by `force` at once; returns the job's status then. May be repeated."""

    async def retry(self, job: BelievedJob) -> int | None:
        """Have another job take its place, whose id it is, as far as the coordinator tells it.

        Raises `Rejected` with 403 where that was done already.
        """

    async def aclose(self) -> None:
        """Close all connections."""
