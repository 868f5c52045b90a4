"""Waking those who wait for news, and the value by which a runner sees that there are some."""

import asyncio
import random


class Pulse:
    """Wakes everyone who waits at that moment."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def fire(self) -> None:
        """Wake the waiting; who begins to wait now waits for the next time."""
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self) -> None:
        """Return at the next `fire`."""
        await self._next.wait()


class QueueValue:
    """One runner's opaque `X-GitLab-Last-Update` (spec gitlab-runner-api.md §2.4)."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._pulse = Pulse()
        self.renew()

    def renew(self) -> None:
        """Make who holds the old value ask in earnest next time, without disturbing who waits now."""
        self.current = f"{self._rng.getrandbits(128):032x}"

    def tick(self) -> None:
        """There may be a job: a new value, and held requests are released."""
        self.renew()
        self._pulse.fire()

    async def ticked(self, *, since: str) -> None:
        """Return at the next tick, or at once where the value is another than `since` by now."""
        if self.current == since:
            await self._pulse.wait()
