"""A world in which the pipelines server is killed at any moment, its disk fails, and people want much.

The engine, the conductor, the journal, its codec and SQLite are the real ones; time is virtual. What really
ran is the world's own knowledge, and what was promised is judged by that, not by what the server says.
"""

import asyncio
import contextlib
import random
import sqlite3
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import attrs
import structlog
from paas_pipelines.definitions.definition import Restart
from paas_pipelines.runs.book import RunBook, UnknownRunError
from paas_pipelines.runs.engine import AlreadyCompletedError, Engine, ScheduleRefusedError
from paas_pipelines.runs.run import TaskEnd, TaskStatus
from paas_pipelines.store.codec import run_text, runs
from paas_pipelines.store.disk import SCHEMA, DiskJournal
from paas_pipelines.store.logs import LogFiles
from paas_pipelines.tasks.conductor import FORGOTTEN, Conductor

from paas_runner.store.protocol import StoreError
from paas_runner.testing.virtual_time import virtual_now
from tests.paas_pipelines.worlds.engine_by_hand import defined, task
from tests.plans.mortal import Life

MOST_LIVES = 60
PATIENCE_SECONDS = 24 * 3600
RETRY = {"restart": Restart.RETRY}
SHAPES = (
    {},
    {"only": task()},
    {"only": task(**RETRY)},
    {"a": task(), "b": task("a"), "c": task("b", script="")},
    {"a": task(), "b": task(), "c": task("a", "b", script=""), "d": task("c"), "e": task("d", **RETRY)},
    {"a": task(allow_failure=True), "b": task("a", **RETRY), "c": task("b"), "d": task("a")},
    {"a": task(runner="clever"), "b": task(), "c": task("a")},
    {"a": task(**RETRY), "b": task(image="debian"), "c": task("a", "b", image="debian")},
)


@attrs.frozen(kw_only=True)
class Mood:
    """How bad the world is in one run."""

    trouble: float = 0
    """Share of tasks that do not simply succeed."""
    kill_at_write: float = 0
    """Probability, before and after each."""
    life: float | None = None
    """How many seconds a server lives until it is killed, in the mean."""
    orderly: float = 0
    """Share of ends of a life that begin with a signal."""
    refusal: float = 0
    """Probability that a write fails."""
    latency: float = 0
    wishes: tuple[float, float] = (0, 0)
    """How often a person cancels something, or changes the definitions, instead of scheduling."""

    @classmethod
    def drawn(cls, rng):
        return cls(
            trouble=rng.choice([0, 0.1, 0.4]),
            kill_at_write=rng.choice([0, 0.01, 0.05]),
            life=rng.choice([None, 100, 20, 5]),
            orderly=rng.choice([0, 0, 0.3]),
            refusal=rng.choice([0, 0, 0.02, 0.2]),
            latency=rng.choice([0, 0.01, 1]),
            wishes=rng.choice([(0, 0), (0.2, 0), (0.1, 0.1), (0.3, 0.2)]),
        )


@attrs.define(eq=False)
class Work:
    """A process or a job that has really been started; one elsewhere outlives the server."""

    run_id: str
    task: str
    attempt: int
    life: Life | None
    ended: TaskEnd | None = None
    over: asyncio.Event = attrs.field(factory=asyncio.Event)

    @property
    def alive(self):
        return self.ended is None and not (self.life and self.life.is_dead)

    def ends(self, end):
        if self.ended is None:
            self.ended = end
            self.over.set()


class World:
    """One run from a seed; `plant` is the name of a fault in the server that has to be found."""

    def __init__(self, seed, *, mood=None, kills_at=None, plant="", most_wishes=40):
        self.rng = random.Random(seed)
        self.mood = mood or Mood.drawn(self.rng)
        self.kills_at, self.plant = kills_at, plant
        self.counts, self.complaints = Counter(), []
        self.definitions = self.drawn_definitions()
        self.wishes = self.rng.randint(most_wishes // 4, most_wishes)
        self.disk = sqlite3.connect(":memory:")
        self.disk.executescript(SCHEMA.migrations[0].sql)
        self.texts, self.stored, self.removed = {}, {}, set()
        self.answered, self.canceled = [], []
        self.works, self.jobs = [], {}
        self.server = None
        self.ids = 0

    # --- the story -----------------------------------------------------------------------------------------

    async def run(self):
        """What was promised and not kept."""
        with tempfile.TemporaryDirectory() as folder, structlog.testing.capture_logs() as told:
            self.folder = Path(folder)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._lives()
            except TimeoutError:
                self.complaints.append("runs do not end")
            left = {path.name for path in self.folder.iterdir()} - self.stored.keys()
            self.complaints += [f"logs of forgotten runs are left: {sorted(left)}"] if left else []
        self.disk.close()
        bugs = ("task_end_lost", "retention_error")
        self.complaints += [str(line) for line in told if line["event"] in bugs]
        return [*self.complaints, *self._broken()]

    async def _lives(self):
        people = [asyncio.create_task(self._person(number)) for number in range(3)]
        await asyncio.sleep(0)
        calm = Mood(trouble=self.mood.trouble)
        while self.mood is not calm or not self._all_ended or not all(person.done() for person in people):
            self.counts["lives"] += 1
            if self.counts["lives"] > MOST_LIVES or all(person.done() for person in people):
                self.mood = calm
            await self._life(Life(self.counts["lives"], self.kills_at), people)
            self.kills_at = None
            if self.mood.wishes[1] and self.rng.random() < 0.2:
                self.definitions = self.drawn_definitions()  # edited while no server runs
            await asyncio.sleep(self.rng.choice([0, 0.5, 40]))

    @property
    def _all_ended(self):
        return all(run.ended for run in self.stored.values())

    async def _life(self, life, people):
        self.server = server = Server(self, life)
        serving = asyncio.create_task(server.serve())
        killed = asyncio.create_task(life.is_killed())
        ending = asyncio.create_task(self._ends(server, people))
        await asyncio.wait({serving, killed}, return_when=asyncio.FIRST_COMPLETED)
        self.server = None
        if life.is_dead:
            self.counts["crashes"] += 1
        else:
            self.counts["orderly ends"] += 1
            serving.result()
            if not self._all_ended:
                self.complaints.append("the server has ended, but runs have not")
        ending.cancel()
        life.kill()
        await life.bury(self)

    async def close(self):
        """Nothing is open that a dead process would hold on to."""

    async def _ends(self, server, people):
        """By a kill, by a signal, or, when nobody wants anything any more, by a signal at leisure."""
        if self.mood.life is not None:
            await asyncio.sleep(self.rng.expovariate(1 / self.mood.life))
            if self.rng.random() >= self.mood.orderly:
                return server.life.kill()
            await server.started.wait()
            server.conductor.close()
            await asyncio.sleep(self.rng.choice([0, 1, 20]))
            return server.conductor.force()
        await asyncio.wait([*people, asyncio.create_task(server.started.wait())])
        while not self._all_ended:
            await asyncio.sleep(5)
        return server.conductor.close()

    def drawn_definitions(self):
        rng = self.rng
        drawn = {}
        for name in ("p", "q", "r") if rng.random() < 0.8 else ("p", "r"):
            partitioned = rng.random() < 0.3
            limits = {"strategy": "partitioned_replace", "queue_partition_limit": rng.randint(1, 2)}
            plain = {"strategy": rng.choice(["append", "replace"]), "queue_limit": rng.choice([None, 1, 3])}
            drawn[name] = defined(
                name,
                tasks=rng.choice(SHAPES),
                delay=rng.choice([0, 0, 3, 30]),
                hook=rng.choice([None, "tell"]),
                concurrency=rng.randint(1, 3),
                continue_running_tasks_after_failure=rng.random() < 0.5,
                retention_count=rng.choice([0, 0, 1, 5]),
                retention_period=timedelta(seconds=rng.choice([0, 0, 60])),
                **(limits if partitioned else plain),
            )
        return drawn

    # --- people --------------------------------------------------------------------------------------------

    async def _person(self, number):
        while self.wishes > 0:
            await asyncio.sleep(self.rng.expovariate(1 / self.rng.choice([0.5, 5, 20])))
            chance = self.rng.random()
            cancels, reloads = self.mood.wishes
            if chance < cancels:
                done = await self._answer(self._cancel, number)
            elif chance < cancels + reloads:
                done = await self._answer(self._reload, number)
            else:
                done = await self._answer(self._schedule, number)
            self.wishes -= done

    async def _answer(self, wish, number):
        """Whether there was an answer."""
        server = self.server
        if server is None or server.engine is None:
            return False
        asking = asyncio.create_task(wish(server), name=f"person {number}")
        killed = asyncio.create_task(server.life.is_killed())
        await asyncio.wait({asking, killed}, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        if not asking.done() or asking.cancelled():
            self.counts["without an answer"] += 1
            return False
        with contextlib.suppress(StoreError):
            asking.result()
        return True

    async def _schedule(self, server):
        pipeline, partition = self.rng.choice("ppqr"), self.rng.choice(["", "x"])
        try:
            run = server.engine.schedule(pipeline, variables={"n": self.ids}, partition=partition)
        except ScheduleRefusedError:
            self.counts["refused"] += 1
            return
        await self._settled(server)
        self.answered.append(run.run_id)
        if run.run_id not in self.stored.keys() | self.removed:
            self.complaints.append(f"{run.run_id} was answered before it was on the disk")

    async def _cancel(self, server):
        runs = list(server.engine.book.runs())
        if not runs:
            return
        run_id = self.rng.choice(runs).run_id
        with contextlib.suppress(UnknownRunError, AlreadyCompletedError):
            server.engine.cancel(run_id)
            await self._settled(server)
            self.counts["cancels"] += 1
            if run_id not in self.removed and not self.stored[run_id].canceled:
                self.complaints.append(f"{run_id} was said to be canceled before it was on the disk")

    async def _reload(self, server):
        self.definitions = self.drawn_definitions()
        server.engine.replace_definitions(self.definitions)
        await self._settled(server)
        self.counts["reloads"] += 1

    async def _settled(self, server):
        if self.plant != "answers early":
            await server.journal.flushed()
        await server.life.goes_on()

    def new_id(self):
        self.ids += 1
        return f"run{self.ids}"

    # --- what is seen of the disk, and of what runs --------------------------------------------------------

    def look_at_disk(self):
        now = dict(self.disk.execute("SELECT key, text FROM record WHERE kind = 'run'"))
        for run_id in self.texts.keys() - now.keys():
            self._must_rest(run_id, "was forgotten")
            self.stored.pop(run_id)
            self.removed.add(run_id)
        changed = {run_id: text for run_id, text in now.items() if self.texts.get(run_id) != text}
        for run in runs(changed):
            before = self.stored.get(run.run_id)
            if before and before.ended:
                self.complaints.append(f"{run.run_id} changed after its end")
            if run.ended:
                self._must_rest(run.run_id, "has ended by the disk")
            self.stored[run.run_id] = run
        self.texts = now

    def _must_rest(self, run_id, since):
        if any(work.alive and work.run_id == run_id for work in self.works):
            self.complaints.append(f"{run_id} {since}, but something of it runs")

    def begins(self, order, life):
        """Something is really started for a task."""
        run_id, name = order.run.run_id, order.task.name
        where = f"{run_id} {name}"
        self.counts["tasks here" if life else "tasks elsewhere"] += 1
        known = self.stored.get(run_id)
        recorded = known and next((one for one in known.tasks if one.name == name), None)
        if recorded is None or recorded.status is not TaskStatus.RUNNING:
            self.complaints.append(f"{where} was started before that was on the disk")
        elif life and recorded.attempt != order.task.attempt:
            self.complaints.append(f"{where} was started again before that was on the disk")
        for need in order.task.definition.depends_on:
            if order.run.task(need).definition.script and not self._ended_well(order.run, need):
                self.complaints.append(f"{where} was started before {need} had ended")
        self.works.append(Work(run_id, name, order.task.attempt, life))
        return self.works[-1]

    def _ended_well(self, run, name):
        tolerant = run.task(name).definition.allow_failure
        ends = [work.ended for work in self.works if (work.run_id, work.task) == (run.run_id, name)]
        return any(end and (not end.exit_code or tolerant) for end in ends)

    def drawn_end(self, order):
        if self.rng.random() >= self.mood.trouble:
            return TaskEnd()
        return self.rng.choice(
            [TaskEnd(exit_code=1), TaskEnd(exit_code=7), TaskEnd(error="no such variable")]
        )

    def _broken(self):
        for run_id in self.answered:
            if run_id not in self.stored.keys() | self.removed:
                yield f"{run_id}, which was answered, is lost"
        for run in self.stored.values():
            if not run.ended:
                yield f"{run.run_id} has not ended"
            for one in run.tasks:
                says_done = one.status is TaskStatus.DONE and one.definition.script
                if says_done and not self._ended_well(run, one.name):
                    yield f"{run.run_id} {one.name} is done, and did not do it"
        for work in self.works:
            if work.alive:
                yield f"{work.run_id} {work.task} still runs"
        starts = Counter((work.run_id, work.task, work.attempt) for work in self.works)
        yield from (f"{key} was started {count} times" for key, count in starts.items() if count > 1)
        for run in self.stored.values():
            for one in run.tasks:
                again = len(
                    [work for work in self.works if (work.run_id, work.task) == (run.run_id, one.name)]
                )
                if again > 1 and (one.definition.restart is not Restart.RETRY or one.definition.elsewhere):
                    yield f"{run.run_id} {one.name} ran {again} times"


class Server:
    """The parts of the server that this is about, from one start to its end."""

    def __init__(self, world, life):
        self.world, self.life = world, life
        self.engine = self.conductor = None
        self.started = asyncio.Event()

    async def serve(self):
        world = self.world
        self.journal = journal = DiskJournal(MortalDatabase(world, self.life))
        stored = runs(await self._read("run"))
        forgotten = await self._read(FORGOTTEN)
        book = RunBook(stored, written=self._written)
        engine = Engine(virtual_now, book, world.definitions, new_id=world.new_id)
        engine.recover()
        here, elsewhere = Here(world, self.life), Elsewhere(world, self.life, engine, journal)
        self.conductor = Conductor(
            engine,
            Hasty(journal) if world.plant == "acts early" else journal,
            LogFiles(world.folder, most_bytes=10_000),
            lambda task: elsewhere if task.definition.elsewhere else here,
            clock=virtual_now,
            forgotten=forgotten,
        )
        self.conductor._rng = random.Random(1)
        self.engine = engine
        self.started.set()
        await self.conductor.run()
        while True:
            try:
                return await journal.flushed()
            except StoreError:
                await asyncio.sleep(1)

    def _written(self, run_id, run):
        self.journal.put("run", run_id, None if run is None else run_text(run))

    async def _read(self, kind):
        while True:
            try:
                return await self.journal.stored(kind)
            except StoreError:
                await asyncio.sleep(1)


@attrs.define(eq=False)
class MortalDatabase:
    """SQLite without a thread; slow, failing, and deadly."""

    world: World
    life: Life
    path: Path = Path("/nowhere/pipelines.db")

    async def transaction(self, work):
        world, rng = self.world, self.world.rng
        await self.life.goes_on()
        await asyncio.sleep(rng.uniform(0, world.mood.latency))
        self._may_die()
        await self.life.point()
        if rng.random() < world.mood.refusal:
            world.counts["refused writes"] += 1
            raise StoreError("the disk is full")
        with world.disk:
            done = work(world.disk)
        world.look_at_disk()
        self._may_die()
        await self.life.point()
        return done

    def _may_die(self):
        if not self.life.is_dead and self.world.rng.random() < self.world.mood.kill_at_write:
            self.world.counts["killed at writes"] += 1
            self.life.kill()


@attrs.define(eq=False)
class Hasty:
    """A journal that never waits: one of the faults that are planted."""

    journal: DiskJournal

    def put(self, *what):
        self.journal.put(*what)

    def grown(self, path):
        self.journal.grown(path)

    async def flushed(self):
        """At once."""


@attrs.define(eq=False)
class Here:
    """Processes of this machine, which die with the server: the keeper sees to that."""

    world: World
    life: Life

    async def run(self, order, output, stop):
        world, rng = self.world, self.world.rng
        await self.life.goes_on()
        work = world.begins(order, self.life)
        try:
            output.stdout(b"begun\n")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rng.choice([0, 1, 5, 30])):
                    await stop.wait()
            if stop.is_set():
                await asyncio.sleep(rng.uniform(0, 2))
                work.ends(TaskEnd(stopped=True))
            elif rng.random() < world.mood.trouble / 4:
                raise OSError("no space left on device")
            else:
                work.ends(world.drawn_end(order))
        finally:
            work.ends(TaskEnd(error="it is gone"))
        await self.life.goes_on()
        return work.ended


@attrs.define(eq=False)
class Elsewhere:
    """Jobs that runners take once they are on the disk, and that go on without the server."""

    world: World
    life: Life
    engine: Engine
    journal: DiskJournal

    async def run(self, order, output, stop):
        job_id = self.engine.book.run(order.run.run_id).task(order.task.name).job_id
        if job_id is None:
            if stop.is_set():
                return TaskEnd(stopped=True)
            job_id = len(self.world.jobs) + 1 + self.world.rng.randrange(10**6) * 1000
            self.engine.submitted(order.run.run_id, order.task.name, job_id)
        while True:
            try:
                await self.journal.flushed()
                break
            except StoreError:
                await asyncio.sleep(1)
        await self.life.goes_on()
        work = self.world.jobs.get(job_id) or self._handed_out(job_id, order)
        stopping, ended = asyncio.create_task(stop.wait()), asyncio.create_task(work.over.wait())
        await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
        if work.ended is None:
            self._later(self.world.rng.uniform(0, 2), work, TaskEnd(stopped=True))
        await ended
        stopping.cancel()
        output.stdout(b"done elsewhere\n")
        await self.life.goes_on()
        return work.ended

    def _handed_out(self, job_id, order):
        work = self.world.jobs[job_id] = self.world.begins(order, None)
        self._later(self.world.rng.choice([1, 20, 90]), work, self.world.drawn_end(order))
        return work

    def _later(self, seconds, work, end):
        asyncio.get_running_loop().call_later(seconds, work.ends, end)
