"""Heartbeats: at each turn and before each wait a loop says until when it is idle; one that is late has hung.

A process whose event loop still turns may be dead all the same: a wakeup that was lost, a call without a
deadline, and a job is never looked at again. So a timer that fires proves nothing. Each loop is held to the
deadline that it gave last, and only a loop that comes back to its own work can renew that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import attrs

LONGEST_ROUND_SECONDS = 3600.0  # many jobs share few connections; in an outage each call takes its deadline


@attrs.define(eq=False)
class _Heartbeat:
    loop: str
    round_seconds: float
    due: float = 0.0
    waits: int = 0
    """For how many wakeups by another task; as long as there is one it is never overdue."""

    def beat(self, idle_for: float) -> None:
        self.due = asyncio.get_running_loop().time() + idle_for + self.round_seconds

    def is_late(self, now: float) -> bool:
        return not self.waits and self.due < now


_own: ContextVar[_Heartbeat | None] = ContextVar("_own", default=None)


class Heartbeats:
    """The loops that run, and when the next heartbeat of each of them is due."""

    def __init__(self) -> None:
        self._heartbeats: set[_Heartbeat] = set()

    async def watched(
        self, name: str, run: Callable[[], Awaitable[None]], *, round_seconds: float = LONGEST_ROUND_SECONDS
    ) -> None:
        """Run a loop to its end. Its work between two beats takes at most `round_seconds`, or it has hung."""
        heartbeat = _Heartbeat(loop=name, round_seconds=round_seconds)
        heartbeat.beat(0.0)
        _own.set(heartbeat)
        self._heartbeats.add(heartbeat)
        try:
            await run()
        finally:
            self._heartbeats.remove(heartbeat)

    def overdue(self) -> Sequence[str]:
        """The names of the loops that have not come back when they should have."""
        now = asyncio.get_running_loop().time()
        return sorted(heartbeat.loop for heartbeat in self._heartbeats if heartbeat.is_late(now))


def beat(idle_for: float = 0.0) -> None:
    """The loop that calls this is alive, and idle for so many seconds from now; no effect in other tasks."""
    if heartbeat := _own.get():
        heartbeat.beat(idle_for)


@contextmanager
def waiting_to_be_woken() -> Iterator[None]:
    """Around a wait that only another task ends: that one has to be checked for forgetting it.

    Other tasks of the same loop may beat meanwhile.
    """
    heartbeat = _own.get()
    if heartbeat is None:
        yield
        return
    heartbeat.waits += 1
    try:
        yield
    finally:
        heartbeat.waits -= 1
        heartbeat.beat(0.0)
