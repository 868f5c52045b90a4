"""Signs of life: at each turn and before each wait a loop says until when it is away; who is late has hung.

A process whose event loop still turns may be dead all the same: a wakeup that was lost, a call without a
deadline, and a job is never looked at again. So nobody concludes life from a timer that fires. Each loop of
the dispatch is asked for what it promised last, and only a loop that comes back to its own work renews that.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar

import attrs

LONGEST_ROUND_SECONDS = 3600.0  # many jobs share few connections; in an outage each call takes its deadline


@attrs.define(eq=False)
class _Sign:
    name: str
    round_seconds: float
    due: float = 0.0

    def give(self, away: float) -> None:
        self.due = asyncio.get_running_loop().time() + away + self.round_seconds


_own: ContextVar[_Sign | None] = ContextVar("_own", default=None)


class Heartbeats:
    """The loops that run, and until when each of them has promised to be seen again."""

    def __init__(self) -> None:
        """Nobody is watched yet."""
        self._signs: set[_Sign] = set()

    async def watched(
        self, name: str, run: Callable[[], Awaitable[None]], *, round_seconds: float = LONGEST_ROUND_SECONDS
    ) -> None:
        """Run a loop to its end. Its work between two signs takes at most `round_seconds`, or it has hung."""
        sign = _Sign(name=name, round_seconds=round_seconds)
        sign.give(0.0)
        _own.set(sign)
        self._signs.add(sign)
        try:
            await run()
        finally:
            self._signs.remove(sign)

    def overdue(self) -> Sequence[str]:
        """The names of the loops that have not come back when they should have."""
        now = asyncio.get_running_loop().time()
        return sorted(sign.name for sign in self._signs if sign.due < now)


def away(seconds: float) -> None:
    """The loop that calls this is alive, and about to wait for so long; nothing outside of a watched loop."""
    if sign := _own.get():
        sign.give(seconds)


def here() -> None:
    """The loop that calls this is alive, and begins another turn."""
    away(0.0)


def away_until_called() -> None:
    """The same, for a wait that only others can end: they have to be asked whether they forgot it."""
    away(math.inf)
