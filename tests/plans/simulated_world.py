"""A world in which workstreams are killed at any moment, their store fails, and people stop their plans."""

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import attrs
from paas_plans.document import plan_of
from paas_plans.errors import ClosedError, NotStartedError, StoreError, StoreInUseError
from paas_plans.plan import Plan, Status
from paas_plans.registry import Registry
from paas_plans.stores.memory import MemoryStore
from paas_plans.stores.protocol import Filter
from paas_plans.workstream import Workstream

from paas_runner.testing import virtual_now
from tests.plans.invariants import assert_consistent
from tests.plans.made_up_worlds import Case
from tests.plans.mortal import PLUGINS, Does, Life, MortalStore, Record, broken_promises
from tests.plans.random_plans import Draw

MOST_LIVES = 60
PATIENCE_SECONDS = 12 * 3600


@attrs.frozen(kw_only=True)
class Mood:
    """How bad the world is in one run."""

    trouble: float = 0
    """Share of actions that do not simply succeed."""
    kill_at_write: float = 0
    """Probability, before and after each."""
    life: float | None = None
    """How many seconds a process lives until it is killed, in the mean."""
    restart: float = 0
    """Share of ends of a life that are in order."""
    refusal: float = 0
    """Probability that a write fails; half of the time it is done all the same."""
    outage: float = 0
    """Probability that after a write the store cannot be used for a while."""
    latency: float = 0
    stop: float = 0
    """Share of plans that somebody stops."""
    rival: float = 0
    """Probability of a second workstream in each life."""
    clock: float = 0
    """Probability that the clock is set in a life."""

    @classmethod
    def drawn(cls, rng: random.Random) -> "Mood":
        return cls(
            trouble=rng.choice([0, 0.1, 0.3]),
            kill_at_write=rng.choice([0, 0.01, 0.05, 0.1]),
            life=rng.choice([None, None, 60, 20, 8]),
            restart=rng.choice([0, 0, 0.3]),
            refusal=rng.choice([0, 0, 0.02, 0.2]),
            outage=rng.choice([0, 0, 0.01]),
            latency=rng.choice([0, 0, 0.01, 0.5]),
            stop=rng.choice([0, 0.2, 0.5]),
            rival=rng.choice([0, 0.3]),
            clock=rng.choice([0, 0, 0.1]),
        )


class World:
    """One run from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.mood = Mood.drawn(self.rng)
        self.counts: Counter[str] = Counter()
        self.disk, self.record = MemoryStore(), Record()
        draw = Draw(self.rng, trouble=self.mood.trouble)
        self.cases = [draw.case() for _ in range(self.rng.choice([1, 2, 3]))]
        self.ids: dict[int, UUID] = {}
        self.ended: dict[int, Plan] = {}
        self.store_is_down_until = 0.0
        self.clock_is_off = timedelta(0)
        for case in self.cases:
            self.record.knows(case.plan)

    async def run(self) -> list[str]:
        """What was promised and not kept."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._lives()
        except TimeoutError:
            return [*self.record.complaints, "plans do not end"]
        return self.record.complaints + [
            complaint
            for number, case in enumerate(self.cases)
            for complaint in self._broken(case, self.ended[number])
        ]

    def _broken(self, case: Case, ended: Plan) -> list[str]:
        return broken_promises(case, self.record, ended, clock_jumped="clock jumps" in self.counts)

    def now(self) -> datetime:
        return virtual_now() + self.clock_is_off

    async def _lives(self) -> None:
        while len(self.ended) < len(self.cases):
            self.counts["lives"] += 1
            if self.counts["lives"] > MOST_LIVES:
                self.mood = Mood(trouble=self.mood.trouble)
            await self._life(Life(self.counts["lives"]))
            await self._stop_from_outside()
            await asyncio.sleep(self.rng.choice([0, 0.5, 40]))

    async def _life(self, life: Life) -> None:
        leaving = asyncio.Event()
        working = asyncio.create_task(self._work(life, leaving))
        killed = asyncio.create_task(life.is_killed())
        timer = asyncio.create_task(self._ends(life, leaving))
        await asyncio.wait({working, killed}, return_when=asyncio.FIRST_COMPLETED)
        if life.is_dead:
            self.counts["crashes"] += 1
        else:
            self.counts["orderly ends"] += 1
            with contextlib.suppress(StoreError, ClosedError):
                working.result()
        timer.cancel()
        life.kill()
        await life.bury(self.disk)

    async def _ends(self, life: Life, leaving: asyncio.Event) -> None:
        if self.mood.life is not None:
            await asyncio.sleep(self.rng.expovariate(1 / self.mood.life))
            if self.rng.random() < self.mood.restart:
                leaving.set()
            else:
                life.kill()

    def _stream(self, life: Life) -> Workstream:
        registry = Registry(
            *(Does(name, self.behaviours, self.record, life) for name in PLUGINS),
        )
        store = FaultyStore(self.disk, life, self.record, self)
        unlimited: dict[str, Any] = {"oldest_recovered": None, "oldest_started": None}
        return Workstream(store, registry, now=self.now, chance=lambda: self._chance(life), **unlimited)

    def _chance(self, life: Life) -> float:
        """The dead roll no dice, as they go in no order."""
        return 0.5 if life.is_dead else self.rng.random()

    @property
    def behaviours(self) -> dict[str, Any]:
        return {name: one for case in self.cases for name, one in case.behaviours.items()}

    async def _work(self, life: Life, leaving: asyncio.Event) -> None:
        async with self._stream(life) as stream, asyncio.TaskGroup() as people:
            tasks = [people.create_task(self._rival(life)), people.create_task(self._clock())]
            tasks += [
                people.create_task(self._user(stream, life, number)) for number in range(len(self.cases))
            ]
            left = asyncio.create_task(leaving.wait())
            done = asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.wait({left, done}, return_when=asyncio.FIRST_COMPLETED)
            for task in (*tasks, left):
                task.cancel()

    async def _rival(self, life: Life) -> None:
        if self.rng.random() < self.mood.rival:
            await asyncio.sleep(self.rng.uniform(0, 10))
            try:
                async with self._stream(life):
                    self.record.complaints.append("two workstreams run the same store")
            except StoreInUseError:
                self.counts["rivals refused"] += 1

    async def _clock(self) -> None:
        if self.rng.random() < self.mood.clock:
            await asyncio.sleep(self.rng.uniform(0, 30))
            self.clock_is_off += timedelta(seconds=self.rng.choice([-3600, -30, 30, 3600]))
            self.counts["clock jumps"] += 1

    async def _user(self, stream: Workstream, life: Life, number: int) -> None:
        if number in self.ended:
            return
        await asyncio.sleep(number / 100)
        await self._find(number)
        if number not in self.ids and self.rng.random() < 0.5:
            with contextlib.suppress(StoreError):
                self.ids[number] = (await stream.run(self.cases[number].plan)).id
            await self._find(number)
        if number not in self.ids:
            self.ids[number] = await self._patiently(lambda: stream.submit(self.cases[number].plan))
        plan_id = self.ids[number]
        document = await self.disk.read(plan_id)
        plan = plan_of(document, stream._world.registry, None)
        assert_consistent(plan, clock_jumped="clock jumps" in self.counts)
        await self._patiently(lambda: stream.start(plan_id))
        stopping = asyncio.create_task(self._stopper(stream, life, number))
        try:
            self.ended[number] = await self._patiently(lambda: stream.wait(plan_id))
        finally:
            stopping.cancel()
        stored = plan_of(await self.disk.read(plan_id), stream._world.registry, None)
        if stored != self.ended[number]:
            self.record.complaints.append("what is told of a plan is not what is stored")

    async def _find(self, number: int) -> None:
        """Whether it has been submitted, though its user may not have been told."""
        async for summary in self.disk.search(Filter()):
            if summary.name == self.cases[number].plan.name:
                self.ids.setdefault(number, summary.id)

    async def _stopper(self, stream: Workstream, life: Life, number: int) -> None:
        if self.rng.random() < self.mood.stop / 4:
            await asyncio.sleep(self.rng.expovariate(1 / 20))
            with contextlib.suppress(NotStartedError):
                await self._patiently(lambda: stream.stop(self.ids[number]))
                self.counts["stops"] += 1
                self.record.stops.setdefault(self.cases[number].plan.name, life.number)

    async def _stop_from_outside(self) -> None:
        """By another program, while no workstream runs."""
        for number in self.ids.keys() - self.ended.keys():
            if self.rng.random() < self.mood.stop / 8:
                await self.disk.open(running_plans=False)
                if (await self.disk.read(self.ids[number])).summary.status is Status.RUNNING:
                    await self.disk.ask_to_stop(self.ids[number])
                    self.counts["stops from outside"] += 1
                    self.record.stops.setdefault(self.cases[number].plan.name, self.counts["lives"])
                await self.disk.close()

    async def _patiently(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        while True:
            try:
                return await ask()
            except StoreError as error:
                if isinstance(error, ClosedError):
                    raise
                self.counts["users refused"] += 1
                await asyncio.sleep(1)


@attrs.define(eq=False)
class FaultyStore(MortalStore):
    """Slow, failing, and deadly."""

    world: World

    async def writes(self, write: Callable[[], Any]) -> None:
        world, rng = self.world, self.world.rng
        await self._goes_on()
        await asyncio.sleep(rng.uniform(0, world.mood.latency))
        self._may_die()
        await self.life.goes_on()
        refused = rng.random() < world.mood.refusal
        world.counts["refused writes"] += refused
        if refused and rng.random() < 0.5:
            raise StoreError("the disk is full")
        await write()
        self._may_die()
        await self.life.goes_on()
        if rng.random() < world.mood.outage:
            world.counts["outages"] += 1
            world.store_is_down_until = asyncio.get_running_loop().time() + rng.choice([1, 30, 400])
        if refused:
            raise StoreError("the answer was lost")

    async def reads(self) -> None:
        await self._goes_on()
        await asyncio.sleep(self.world.rng.uniform(0, self.world.mood.latency))
        await self._goes_on()

    async def _goes_on(self) -> None:
        await self.life.goes_on()
        if asyncio.get_running_loop().time() < self.world.store_is_down_until:
            await asyncio.sleep(0.1)
            raise StoreError("the disk is away")

    def _may_die(self) -> None:
        if self.world.rng.random() < self.world.mood.kill_at_write and not self.life.is_dead:
            self.world.counts["killed at writes"] += 1
            self.life.kill()


class Bugs(logging.Handler):
    """What the library logs of defects of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(self.format(record))
