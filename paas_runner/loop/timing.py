"""Time as a loop uses it: a clock that never jumps, sleeps that count as heartbeats, backoff that grows.

A loop that must finish what it has begun sleeps with `sleep_until_stopped` and looks at its event afterwards;
a loop that a shutdown may cut off anywhere sleeps with `sleep`. In both the loop says first for how long it
will be idle (`heartbeat.py`), so that nothing that merely waits is taken for hung.
"""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from paas_runner.loop.heartbeat import beat

Clock: TypeAlias = Callable[[], datetime]

LONGEST_SLEEP_SECONDS = 60.0
LONGEST_OUTAGE_BACKOFF = timedelta(seconds=30)
"""While the other side cannot answer: when it can again, no job waits for longer than this."""


def loop_clock(start: datetime | None = None) -> Clock:
    """UTC, advancing with the running event loop's own clock: a wall clock that jumps moves no deadline."""
    loop = asyncio.get_running_loop()
    origin, begun = start or datetime.now(UTC), loop.time()
    return lambda: origin + timedelta(seconds=loop.time() - begun)


def seconds_awake_or_not() -> float:
    """The machine's own count of seconds, those of its sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Stop(asyncio.Event):
    """An event during whose absence thousands sleep: what one of them costs does not depend on the others.

    In an `asyncio.Event` each that leaves is searched for among all that wait.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: set[asyncio.Future[None]] = set()

    def set(self) -> None:
        super().set()
        for sleeper in self._sleepers:
            _wake(sleeper)

    async def sleep(self, seconds: float) -> None:
        """For so long, or until it is set."""
        if self.is_set():
            return
        loop = asyncio.get_running_loop()
        sleeper: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _wake, sleeper)
        self._sleepers.add(sleeper)
        try:
            await sleeper
        finally:
            self._sleepers.discard(sleeper)
            timer.cancel()


def _wake(sleeper: "asyncio.Future[None]") -> None:
    if not sleeper.done():
        sleeper.set_result(None)


async def sleep_until_stopped(seconds: float, stopping: asyncio.Event) -> None:
    """Sleep, for at most a minute and no longer than until `stopping`."""
    seconds = max(0.0, min(seconds, LONGEST_SLEEP_SECONDS))
    beat(idle_for=seconds)
    if isinstance(stopping, Stop):
        await stopping.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return


async def sleep_until_any(seconds: float, *events: asyncio.Event) -> None:
    """Sleep, for at most a minute and no longer than until one of the events."""
    seconds = max(0.0, min(seconds, LONGEST_SLEEP_SECONDS))
    beat(idle_for=seconds)
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


async def sleep(interval: timedelta) -> None:
    """Sleep, for as long as it takes."""
    beat(idle_for=interval.total_seconds())
    await asyncio.sleep(interval.total_seconds())


def backoff(
    attempts: int,
    rng: random.Random,
    *,
    longest: timedelta = LONGEST_OUTAGE_BACKOFF,
    retry_after: float | None = None,
) -> timedelta:
    """How long to wait after `attempts` failed tries; `retry_after` (seconds) is the other side's wish."""
    if retry_after is not None:
        return timedelta(seconds=retry_after + rng.uniform(0.0, 1.0))
    grown = min(2.0 * 2.0 ** min(attempts, 16), longest.total_seconds())
    return timedelta(seconds=grown * rng.uniform(0.5, 1.0))
