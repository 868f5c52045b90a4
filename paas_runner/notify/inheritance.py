"""Whose book is whose where several processes share a store, and when one that was left is taken over.

Each process keeps a book of its own for each receiver, and delivers what it has told itself. Of a process
that is gone, the one that speaks for all goes on with the books, once the other can write into them no more.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

LAST_WORDS = timedelta(seconds=20)
"""For so long a process that has left may still write; one that was gone before we came does not."""

_BETWEEN = "@"


def key_of(receiver: str, holder: str) -> str:
    """Under what the store keeps a receiver's book; `holder` is empty for the only process of a store."""
    return f"{receiver}{_BETWEEN}{holder}" if holder else receiver


def owner_of(key: str, receivers: Collection[str]) -> tuple[str, str]:
    """The receiver and the process, empty for the only one of a store; names may have anything in them."""
    if key in receivers or _BETWEEN not in key:
        return key, ""
    receiver, _, holder = key.rpartition(_BETWEEN)
    return receiver, holder


class Estates:
    """Which processes have left, as one knows it that looks from time to time."""

    def __init__(self) -> None:
        self._present: frozenset[str] = frozenset()
        self._left_at: dict[str, datetime] = {}
        self._due: list[datetime] = []
        self._unknown = True
        """What there was before the first look."""

    def look(self, alive: Collection[str], now: datetime) -> bool:
        """Whether there may be something to take over now."""
        for holder in self._present - set(alive):
            self._left_at[holder] = now
            self._due = [now, now + LAST_WORDS]
        self._left_at = {holder: at for holder, at in self._left_at.items() if now - at <= 2 * LAST_WORDS}
        self._present = frozenset(alive)
        return self._unknown or any(due <= now for due in self._due)

    def taken_over(self, now: datetime) -> None:
        """What was left until now is in hand."""
        self._unknown = False
        self._due = [due for due in self._due if due > now]

    def is_left(self, holder: str, now: datetime) -> bool:
        """Whether that process will write no more."""
        left_at = self._left_at.get(holder)
        return holder not in self._present and (left_at is None or now - left_at >= LAST_WORDS)
