"""A notice as the disk has it, and when it is tried again: pure."""

from datetime import datetime, timedelta
from random import Random

import attrs

from paas_runner.errors import RunnerError

KEPT_TRYING = timedelta(hours=24)
REMEMBERED = timedelta(days=7)
"""So long the key of one that is over is known: to tell the same again does nothing."""

MOST_CHARACTERS = 4_000
_FIRST_SECONDS = 5.0
_LONGEST_SECONDS = 3600.0


class UndeliveredError(RunnerError):
    """It was not taken; the text says why, and nothing of an address or a password."""

    def __init__(self, text: str, *, retry_after: float | None = None) -> None:
        """`retry_after` (seconds) is the receiver's own wish."""
        super().__init__(text)
        self.retry_after = retry_after


@attrs.frozen(kw_only=True)
class Notice:
    """What one notifier is to tell; once it is over, only its key and time are left."""

    key: str
    to: str
    at: datetime
    text: str = ""
    subject: str = ""
    channel: str = ""
    link: str = ""
    tries: int = 0
    not_before: datetime | None = None
    over: bool = False

    @property
    def due(self) -> datetime:
        return self.not_before or self.at

    def closed(self) -> "Notice":
        """Nothing is left to be told."""
        return Notice(key=self.key, to=self.to, at=self.at, tries=self.tries, over=True)

    def failed(self, now: datetime, rng: Random, retry_after: float | None) -> "Notice":
        """After one more try; over where its time is."""
        tries = self.tries + 1
        if now - self.at >= KEPT_TRYING:
            return attrs.evolve(self, tries=tries).closed()
        seconds = min(_FIRST_SECONDS * 2 ** min(tries - 1, 20), _LONGEST_SECONDS) * rng.uniform(0.75, 1.25)
        if retry_after is not None:
            seconds = max(seconds, min(retry_after, _LONGEST_SECONDS))
        return attrs.evolve(self, tries=tries, not_before=now + timedelta(seconds=seconds))
