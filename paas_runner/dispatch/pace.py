"""When a runner asks for its next job, and how many of its requests may be in flight: as many as bring jobs.

Each job that comes lets one more request begin, so that under a burst they double with each answer; an answer
without a job leads back to one. Requests that were in flight together and fail together are one failure.
"""

import random
from datetime import datetime, timedelta

import attrs

from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.loop.timing import Clock, backoff

AT_ONCE_USUALLY = 8
"""Requests in flight where nobody has said how many: more would only race for the same job (§2.3, 409)."""

QUIET_AFTER = timedelta(minutes=10)
"""Without a job for so long, a runner that chooses its own pause asks as rarely as it ever does."""


@attrs.frozen(kw_only=True)
class Rhythm:
    """How one runner asks; all of it configuration."""

    longest_pause: timedelta
    """After an answer without a job, counted from its request."""

    shortest_pause: timedelta
    """The same while jobs come; it grows with the time since the last of them."""

    at_once: int
    """Requests in flight at most."""

    refusals_tolerated: int
    """How often in a row the coordinator may refuse the runner before it is asked more and more rarely."""

    longest_backoff: timedelta


class Pace:
    """What the answers so far mean for the next request."""

    def __init__(self, rhythm: Rhythm, *, clock: Clock, rng: random.Random) -> None:
        self._rhythm = rhythm
        self._clock = clock
        self._rng = rng
        self._active_at = self._quiet_until = clock()
        self._hurried = False
        self._failures = 0
        self._refusals = 0
        self._failed_at: datetime | None = None
        self._backoff_until: datetime | None = None
        self.at_once = 1
        """How many requests may be in flight now."""

        self.brought_one = False
        """Whether the last answer was a job."""

    @property
    def next_at(self) -> datetime:
        """The next request does not begin before."""
        return max(self._quiet_until, self._backoff_until or self._quiet_until)

    @property
    def backoff_until(self) -> datetime | None:
        """Until when the coordinator is left alone because the last request failed."""
        return self._backoff_until

    def granted(self, asked_at: datetime) -> None:
        """A job has come: the next request may begin at once, and one more beside it."""
        self.brought_one = True
        self.at_once = min(self.at_once + 1, self._rhythm.at_once)
        self._active_at = self._quiet_until = self._clock()
        self._hurried = False
        self._answered(asked_at)

    def in_vain(self, asked_at: datetime, *, released: bool) -> None:
        """No job. After a request that was `released` only the next one can bring what it was released for.

        Such a pair is not followed by another in a hurry: whatever a coordinator answers, it is asked no more
        than twice in one pause.
        """
        now = self._clock()
        until = asked_at + self._pause
        in_a_hurry = released and not self._hurried
        self._quiet_until = now if in_a_hurry else until
        self._hurried = in_a_hurry and now < until
        self._one_by_one()
        self._answered(asked_at)

    def refused(self, asked_at: datetime) -> timedelta | None:
        """The token is not known (§2.3, §2.5); for how long to wait, None when that is no news."""
        if self._is_old(asked_at):
            return None
        self._refusals += 1
        excess = self._refusals - self._rhythm.refusals_tolerated
        return self._back_off(self._rhythm.longest_pause if excess <= 0 else self._growing(excess + 4))

    def failed(self, error: RemoteError, asked_at: datetime) -> timedelta | None:
        """The request failed; for how long to wait, None when one that began with it had failed before."""
        if isinstance(error, Rejected) and error.status == 403:
            return self.refused(asked_at)
        wish = error.retry_after if isinstance(error, Transient) else None
        if self._is_old(asked_at):
            if wish is not None and self._backoff_until:
                self._backoff_until = max(self._backoff_until, self._clock() + timedelta(seconds=wish))
            return None
        if isinstance(error, Transient):
            delay = backoff(self._failures, self._rng, retry_after=wish)
        else:
            delay = self._growing(self._failures)
        self._failures += 1
        return self._back_off(max(self._rhythm.longest_pause, delay))

    def useless(self, asked_at: datetime) -> timedelta | None:
        """The answer says nothing: the pauses grow as after a refusal."""
        self._refusals = 0
        if self._is_old(asked_at):
            return None
        delay = max(self._rhythm.longest_pause, self._growing(self._failures))
        self._failures += 1
        return self._back_off(delay)

    @property
    def _pause(self) -> timedelta:
        """Asked most when jobs come, and less and less the longer none has come."""
        idle = (self._clock() - self._active_at) / QUIET_AFTER
        longest, shortest = self._rhythm.longest_pause, self._rhythm.shortest_pause
        return min(max(longest * idle, shortest), longest)

    def _one_by_one(self) -> None:
        self.brought_one = False
        self.at_once = 1

    def _answered(self, asked_at: datetime) -> None:
        self._refusals = 0
        if not self._is_old(asked_at):
            self._failures = 0
            self._backoff_until = None

    def _is_old(self, asked_at: datetime) -> bool:
        """Whether it had begun before the last failure, and so says nothing about what came after."""
        return self._failed_at is not None and asked_at < self._failed_at

    def _back_off(self, delay: timedelta) -> timedelta:
        now = self._clock()
        self._failed_at = now
        self._backoff_until = now + delay
        self._one_by_one()
        return delay

    def _growing(self, attempts: int) -> timedelta:
        return backoff(attempts, self._rng, longest=self._rhythm.longest_backoff)
