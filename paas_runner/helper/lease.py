"""When a helper has to end: a host that nobody asks for ends by itself, whatever became of its service.

All times are seconds of one clock that never goes back. Any request that shows the token renews the lease; a
job keeps the helper, and has a deadline of its own instead: its time limit, and the margin.
"""

import enum
import math

import attrs


class Due(enum.StrEnum):
    """What has to be done at a moment."""

    NOTHING = "nothing"
    END_JOB = "end the job"
    END = "end"


@attrs.frozen(kw_only=True)
class Lease:
    """What is known at a moment; the methods give the lease after something has happened."""

    idle_seconds: float
    """For which it holds without a request and without a job; 0: for ever."""

    margin_seconds: float
    """For which a job may go on after its time limit: until then it is its inner runner's to end it."""

    renewed_at: float
    job_ends_at: float | None = None
    """The deadline of the job that runs."""

    def renewed(self, now: float) -> "Lease":
        """Somebody asked for something."""
        return attrs.evolve(self, renewed_at=max(self.renewed_at, now))

    def begun(self, now: float, limit_seconds: float) -> "Lease":
        """A job with this time limit runs from now on."""
        ends_at = now + limit_seconds + self.margin_seconds
        return attrs.evolve(self.renewed(now), job_ends_at=ends_at)

    def ended(self, now: float) -> "Lease":
        """The job runs no more; its outcome is kept as long as if somebody had asked."""
        return attrs.evolve(self.renewed(now), job_ends_at=None)

    @property
    def next_at(self) -> float:
        """When something is due; infinite for never."""
        if self.job_ends_at is not None:
            return self.job_ends_at
        return self.renewed_at + self.idle_seconds if self.idle_seconds else math.inf

    def due(self, now: float) -> Due:
        """What has to be done now."""
        if now < self.next_at:
            return Due.NOTHING
        return Due.END if self.job_ends_at is None else Due.END_JOB
