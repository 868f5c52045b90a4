"""What happened in a world: requests by door and operation, and the moments of each job.

Moments are those of the machine's monotonic clock, which every process reads alike.
"""

import time
from collections import Counter

import attrs


@attrs.define(kw_only=True)
class Job:
    """One job. Nothing runs it: it has its first byte and its end by virtue of time after the push."""

    job_id: int
    token: str
    runner: str
    first_byte_seconds: float
    """From the push."""

    run_seconds: float
    """From the push until it ends."""

    queued: float
    acquired: float | None = None
    created: float | None = None
    pushed: float | None = None
    ends: float | None = None
    failed: float | None = None
    """When the service itself ended it."""

    found: float | None = None
    """When an answer first told that it is over."""

    deleted: float | None = None

    def runs(self, now: float) -> bool:
        over = self.failed is not None or (self.ends is not None and now >= self.ends)
        return self.acquired is not None and not over

    def trace_bytes(self, now: float) -> int:
        begun = self.pushed is not None and now >= self.pushed + self.first_byte_seconds
        return 600 if begun else 0


@attrs.define
class Books:
    """Of one world."""

    requests: Counter[str] = attrs.field(factory=Counter)
    """By door and operation."""

    first_request: float | None = None
    jobs: dict[int, Job] = attrs.field(factory=dict)
    by_token: dict[str, Job] = attrs.field(factory=dict)
    done: Counter[str] = attrs.field(factory=Counter)
    """How many jobs had each moment."""

    unseen: set[int] = attrs.field(factory=set)
    """Jobs that nobody has asked about since they were marked."""

    def mark(self) -> None:
        """From now on see which of the jobs that run are asked about."""
        now = time.monotonic()
        self.unseen = {job.job_id for job in self.jobs.values() if job.runs(now)}

    def add(self, job: Job) -> None:
        self.jobs[job.job_id] = self.by_token[job.token] = job
        self.done["queued"] += 1

    def note(self, job: Job, moment: str) -> None:
        """The first time counts."""
        if getattr(job, moment) is None:
            setattr(job, moment, time.monotonic())
            self.done[moment] += 1

    def count(self, door: str, operation: str) -> None:
        if self.first_request is None and operation == "request a job":
            self.first_request = time.monotonic()
        self.requests[f"{door}: {operation}"] += 1
