"""How long a host may exist, whoever is alive to look after it: its job's timeout, and a margin. Pure.

The inner runner holds its own part on the host. What is on a machine of ours has its end as a label, too, for
a program that is not the service.
"""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

import attrs

MARGIN_VARIABLE = "PAAS_RUNNER_MARGIN_SECONDS"
"""Of a host: how long after its job's timeout the inner runner is to be gone at the latest."""

MARGIN = timedelta(minutes=10)
GRACE = timedelta(minutes=5)
"""By which the end that is written on a host is later: whoever else can end it comes first."""

_LONGEST_MARGIN_SECONDS = 24 * 3600.0


def margin_in(environment: Mapping[str, str]) -> timedelta:
    """What the variable says, a day at most; the usual margin where it is absent or no number above 0."""
    try:
        seconds = float(environment.get(MARGIN_VARIABLE, ""))
    except ValueError:
        return MARGIN
    if not seconds > 0 or math.isinf(seconds):
        return MARGIN
    return timedelta(seconds=min(seconds, _LONGEST_MARGIN_SECONDS))


@attrs.frozen
class Deadlines:
    """What has to be over when, in seconds from the start of the inner runner."""

    timeout: timedelta
    """The job's own: then its scripts are ended, and it is reported as timed out."""

    margin: timedelta

    @property
    def report_seconds(self) -> float:
        """When the coordinator has had its time to take the result."""
        return self._after(0.75)

    @property
    def work_seconds(self) -> float:
        """When whatever still goes on is broken off, unreported."""
        return self._after(0.8)

    @property
    def kill_seconds(self) -> float:
        """When a program that has not even done that is killed."""
        return self._after(0.9)

    @property
    def end_seconds(self) -> float:
        """When nothing may be left: neither process nor container."""
        return self._after(1)

    def _after(self, part: float) -> float:
        return (self.timeout + part * self.margin).total_seconds()


def written_end(created_at: datetime, timeout: timedelta) -> datetime:
    """What is written on the host of a job with that timeout when it is created."""
    return created_at + timeout + MARGIN + GRACE


def last_moment(ends_at: datetime, *, created_at: datetime | None, started_at: datetime | None) -> datetime:
    """The end of a host with `ends_at` written on it.

    What is between its creation and its launch counts for the job, but no longer than the whole of its time:
    who starts it again and again gains nothing.
    """
    if created_at is None or started_at is None:
        return ends_at
    waited = min(started_at - created_at, ends_at - created_at)
    return ends_at + max(waited, timedelta())
