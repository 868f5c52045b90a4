"""Which runs have changed since somebody looked last, for any number of readers, without a queue for any.

A revision counts the changes of a book; each run has that of its last one. Removed runs are remembered for a
while, and a reader who comes later than that looks at everything anew.
"""

from collections.abc import Sequence

MOST_REMOVED = 10_000


class Revisions:
    """The changes of one book, in this process."""

    def __init__(self, most_removed: int = MOST_REMOVED) -> None:
        self.last = 0
        """The revision that is now."""

        self._most_removed = most_removed
        self._changes: dict[str, int] = {}  # in their order
        self._removed: dict[str, None] = {}
        self._forgotten = 0

    def saved(self, run_id: str) -> None:
        self.last += 1
        self._changes.pop(run_id, None)
        self._changes[run_id] = self.last

    def removed(self, run_id: str) -> None:
        self.saved(run_id)
        self._removed[run_id] = None
        if len(self._removed) > self._most_removed:
            oldest = next(iter(self._removed))
            del self._removed[oldest]
            self._forgotten = self._changes.pop(oldest)

    def since(self, revision: int) -> Sequence[tuple[int, str]] | None:
        """Each run that has changed after that revision, once, with its own; None if not all is known."""
        if not self._forgotten <= revision <= self.last:
            return None
        found = []
        for run_id, changed in reversed(self._changes.items()):
            if changed <= revision:
                break
            found.append((changed, run_id))
        return found[::-1]
