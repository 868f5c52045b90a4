"""An engine that outlives the servers, and processes that set executors up: what really exists.

Answers get lost, the engine is away for a while, and now and then it comes back without any container.
"""

import asyncio
import contextlib
from collections import Counter
from types import SimpleNamespace

import attrs
from paas_pipelines.runs.run import TaskEnd

from paas_runner.container import Ended, Image, Line
from paas_runner.errors import Rejected, Transient


@attrs.define(eq=False)
class Container:
    """One, from its creation to its removal."""

    labels: dict
    work: object = None
    """Of the world, once it was started."""

    ended: asyncio.Event = attrs.field(factory=asyncio.Event)
    code: int = 0

    def ends(self, code):
        if not self.ended.is_set():
            self.code = code
            self.work.ends(TaskEnd(exit_code=code))
            self.ended.set()


@attrs.define(eq=False)
class Engine:
    """All containers of a world, and what was ever set up."""

    world: object
    containers: dict = attrs.field(factory=dict)
    away_until: float = 0.0
    starts: Counter = attrs.field(factory=Counter)
    """Of containers, by name: one that has run once must never run again."""

    async def misfortunes(self):
        """For as long as servers are killed."""
        rng, now = self.world.rng, asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(rng.expovariate(1 / 60))
            if self.world.is_calm:
                return
            if rng.random() < 0.3:
                self.world.counts["engine without its containers"] += 1
                for name in list(self.containers):
                    self.gone(name)
            else:
                self.away_until = now() + rng.choice([1, 20, 200])
                self.world.counts["engine away"] += 1

    def gone(self, name):
        found = self.containers.pop(name, None)
        if found and found.work:
            found.ends(137)

    def found(self, name):
        if name not in self.containers:
            raise Rejected("no such container", service="engine", op="ask", status=404)
        return self.containers[name]

    async def runs(self, container):
        """It ends by itself, unless it was ended before."""
        rng = self.world.rng
        await asyncio.sleep(rng.choice([0, 1, 5, 30]))
        container.ends(rng.choice([0, 1, 7]) if rng.random() < self.world.mood.trouble else 0)


@attrs.define(eq=False)
class Docked:
    """The way of one server to the engine: a `tasks.executing.containers.Containers`."""

    engine: Engine
    life: object

    async def _asked(self, deed):
        world, rng = self.engine.world, self.engine.world.rng
        await self.life.goes_on()
        await asyncio.sleep(rng.uniform(0, world.mood.latency))
        await self.life.goes_on()
        away = asyncio.get_running_loop().time() < self.engine.away_until
        lost = not world.is_calm and rng.random() < world.mood.refusal / 2
        if away or (lost and rng.random() < 0.5):
            raise Transient("does not answer", service="engine", op="ask")
        answer = deed()
        world.may_die(self.life)
        await self.life.goes_on()
        if lost:
            world.counts["answers of the engine lost"] += 1
            raise Transient("the answer is lost", service="engine", op="ask")
        return answer

    async def prepare(self, _wanted):
        return await self._asked(Image)

    async def create(self, wanted):
        def created():
            if wanted.name not in self.engine.containers:
                self.engine.world.judge_creation(wanted)
                self.engine.containers[wanted.name] = Container(dict(wanted.labels))

        found = self.engine.containers.get(wanted.name)
        if found and found.work is None:  # it would get its input twice
            await self._asked(lambda: self.engine.gone(wanted.name))
        await self._asked(created)

    async def start(self, name, _data=None):
        def started():
            container = self.engine.found(name)
            if container.work is None:
                self.engine.starts[name] += 1
                container.work = self.engine.world.begins_in(container.labels)
                self.engine.world.detached(self.engine.runs(container))

        await self._asked(started)

    async def wait(self, name, _limit=None):
        container = await self._asked(lambda: self.engine.found(name))
        await container.ended.wait()
        await self.life.goes_on()
        if name not in self.engine.containers:
            raise Rejected("no such container", service="engine", op="wait", status=404)
        return Ended(code=container.code)

    async def lines(self, name):
        container = await self._asked(lambda: self.engine.found(name))
        await self.life.goes_on()
        yield Line(b"begun")
        await container.ended.wait()
        await self.life.goes_on()
        yield Line(b"done")

    async def stop(self, name, _grace):
        def stopped():
            container = self.engine.found(name)
            if container.work:
                container.ends(143)

        await self._asked(stopped)

    async def remove(self, name):
        await self._asked(lambda: self.engine.gone(name))

    async def begun(self, name):
        def begun():
            container = self.engine.containers.get(name)
            return container and container.work is not None

        return await self._asked(begun)

    async def facts(self, name):
        await self._asked(lambda: self.engine.found(name))
        return {}


@attrs.define(eq=False)
class HookProcesses:
    """Setups and teardowns: processes of this machine, which die with the server."""

    world: object
    life: object

    @property
    def workspaces(self):
        return self

    @contextlib.contextmanager
    def fresh(self):
        path = self.world.folder / "told"
        path.write_bytes(b"")
        yield SimpleNamespace(output=path)

    async def run(self, order, _output, _stop):
        world, rng = self.world, self.world.rng
        await self.life.goes_on()
        [verb] = order.task.definition.script
        scope = order.env["SCOPE"]
        key = order.run.run_id, order.task.name if scope == "task" else ""
        if verb == "setup":
            world.judge_setup(key)
        await asyncio.sleep(rng.choice([0, 0, 2]))
        world.may_die(self.life)
        await self.life.goes_on()
        if rng.random() < world.mood.trouble / 2:
            world.counts[f"{verb} failed"] += 1
            return TaskEnd(exit_code=1)
        world.hooked[key] = "ready" if verb == "setup" else "down"
        world.counts[verb] += 1
        world.may_die(self.life)
        await self.life.goes_on()
        return TaskEnd()
