"""`--poll-cycles`: the service ends by itself once every runner has asked so many times in vain."""

import asyncio
from collections import Counter
from collections.abc import Sequence


class PollCycles:
    """Counts for one life of the service; runners that a reload adds or removes change nothing."""

    def __init__(self, most: int | None, *, runners: Sequence[str], stopping: asyncio.Event) -> None:
        """Set `stopping` after `most` cycles; None is never. `runners` are their short tokens."""
        self._most = most
        self._runners = runners
        self._stopping = stopping
        self._asked: Counter[str] = Counter()
        self._end_if_over()

    def fruitless(self, runner: str) -> None:
        """A request of the runner brought no job."""
        self._asked[runner] += 1
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._most is not None and min(self._asked[runner] for runner in self._runners) >= self._most:
            self._stopping.set()
