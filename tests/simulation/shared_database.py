"""The way from one process to the database that it shares with others, and what can go wrong on it.

As the engine on PostgreSQL has it: one request after the other; what was under way when the connection was
lost is sent once more, though it may have been done; before anything else is sent the session that was left
is ended, so that nothing of it takes effect later. An asker that gives up takes nothing back.
"""

import asyncio
import contextlib
import enum
import random

import attrs

from paas_runner.store import StoreError, StoreUnreachableError
from paas_runner.testing.shared_memory import SharedMemoryStore

REQUEST_SECONDS = 5.0
RECONNECT_SECONDS = 1.0


class _LostError(Exception):
    """The connection is gone; whether what was sent has been done is not known."""


class Mishap(enum.Enum):
    """What happens to one request on its way there and back."""

    NONE = enum.auto()
    SLOW = enum.auto()
    DROPPED = enum.auto()  # the connection is lost before the request arrives
    UNANSWERED = enum.auto()  # it is committed, the answer never comes
    RESET = enum.auto()  # as UNANSWERED, and the connection is lost at once
    STALLED = enum.auto()  # the server stands still with it, and comes with it later, or never
    FULL = enum.auto()  # refused


@attrs.define
class Weather:
    """How the way to the database is in one world; drawn from its seed."""

    rng: random.Random
    mishap: float
    full: bool
    latency: float

    @classmethod
    def drawn(cls, rng: random.Random) -> "Weather":
        return cls(
            rng=rng,
            mishap=rng.choice([0.0, 0.0, 0.01, 0.05]),
            full=rng.random() < 0.2,
            latency=rng.choice([0.001, 0.02, 0.2]),
        )

    def mishap_now(self) -> Mishap:
        if self.rng.random() >= self.mishap:
            return Mishap.NONE
        never = {Mishap.NONE} if self.full else {Mishap.NONE, Mishap.FULL}
        return self.rng.choice([each for each in Mishap if each not in never])


class RemoteStore(SharedMemoryStore):
    """The store of one life of one process."""

    def __init__(self, disk, table, *, world, life) -> None:
        super().__init__(disk, table)
        self._world = world
        self._life = life
        self._one_at_a_time = asyncio.Lock()
        self._session = 0
        self._oldest_session = 0

    async def add(self, job):
        ours = await super().add(job)
        if not ours:
            self._world.note_late(job)
        return ours

    async def told(self):
        async for word in super().told():
            if self._world.is_down(self._life.way_to("database")):
                raise StoreUnreachableError("the database does not answer: a word was lost")
            yield word

    async def _asked(self, work):
        await self._life.point()
        request = asyncio.ensure_future(self._in_turn(work))
        request.add_done_callback(lambda done: done.cancelled() or done.exception())
        answer = await asyncio.shield(request)
        await self._life.point()
        return answer

    async def _in_turn(self, work):
        try:
            async with self._one_at_a_time, asyncio.timeout(REQUEST_SECONDS):
                while True:
                    with contextlib.suppress(_LostError):
                        return await self._sent(work)
                    self._session += 1
                    await asyncio.sleep(RECONNECT_SECONDS)
        except TimeoutError:
            self._session += 1
            self._world.troubled(self._life)
            self._world.note_refusal()
            raise StoreUnreachableError("the database does not answer") from None

    async def _sent(self, work):
        await self._life.gone()
        weather, mishap = self._world.weather, self._world.weather.mishap_now()
        if mishap is not Mishap.NONE:
            self._world.troubled(self._life)
            self._world.chaos.counts[f"database: {mishap.name.lower()}"] += 1
        if self._world.is_down("database") or mishap is Mishap.DROPPED:
            raise _LostError
        if mishap is Mishap.FULL:
            self._world.note_refusal()
            raise StoreError("the database's disk is full")
        delays = {Mishap.SLOW: weather.rng.uniform(0, 8), Mishap.STALLED: weather.rng.uniform(3, 60)}
        delay = weather.latency + delays.get(mishap, 0.0)
        answer = await asyncio.shield(self._world.detached(self._performed(work, delay, self._session)))
        if mishap is Mishap.RESET:
            raise _LostError
        if mishap is Mishap.UNANSWERED or self._world.is_deaf(self._life.way_to("database")):
            await asyncio.get_running_loop().create_future()
        return answer

    async def _performed(self, work, delay, session):
        """At the server, which does not stop because we did."""
        await asyncio.sleep(delay)
        if self._world.is_down(self._life.way_to("database")):
            await asyncio.get_running_loop().create_future()
        if session < self._oldest_session:
            raise _LostError
        self._oldest_session = session
        answer = await work()
        self._world.note_records()
        return answer
