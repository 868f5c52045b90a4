"""Time as the dispatch uses it: a clock that never jumps, sleeps that a shutdown ends, pauses that grow."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from paas_runner.loop.heartbeat import away

Clock: TypeAlias = Callable[[], datetime]

LONGEST_NAP_SECONDS = 60.0


def loop_clock(start: datetime | None = None) -> Clock:
    """UTC, advancing with the running event loop's own clock: a wall clock that jumps moves no deadline."""
    loop = asyncio.get_running_loop()
    origin, begun = start or datetime.now(UTC), loop.time()
    return lambda: origin + timedelta(seconds=loop.time() - begun)


async def nap(seconds: float, stopping: asyncio.Event) -> None:
    """Sleep, at most a minute and no longer than until `stopping`; a sign of life."""
    seconds = max(0.0, min(seconds, LONGEST_NAP_SECONDS))
    away(seconds)
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return


async def rest(interval: timedelta) -> None:
    """Sleep, for as long as it takes; a sign of life. For loops that a shutdown cancels."""
    away(interval.total_seconds())
    await asyncio.sleep(interval.total_seconds())


def pause(attempts: int, rng: random.Random, *, longest: timedelta, told: float | None = None) -> timedelta:
    """How long to wait after the given number of failed tries; `told` (seconds) is the other side's wish."""
    if told is not None:
        return timedelta(seconds=told + rng.uniform(0.0, 1.0))
    grown = min(2.0 * 2.0 ** min(attempts, 16), longest.total_seconds())
    return timedelta(seconds=grown * rng.uniform(0.5, 1.0))
