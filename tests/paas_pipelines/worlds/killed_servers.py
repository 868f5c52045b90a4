"""A world in which the pipelines server is killed at any moment, its disk fails, and people want much.

The engine, the conductor, the coordinator and the store are the real ones, down to SQLite; time is virtual.
What really ran is the world's own knowledge, and what was promised is judged by that. In every second world
pipelines are automated: they ask people, call one another and tell somebody.
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
from paas_pipelines.api.served import Served
from paas_pipelines.definitions.automation import OnDeadline
from paas_pipelines.definitions.definition import Restart
from paas_pipelines.runs.approving import DecisionRefusedError
from paas_pipelines.runs.book import UnknownRunError
from paas_pipelines.runs.digests import before
from paas_pipelines.runs.engine import AlreadyCompletedError, Engine, ScheduleRefusedError
from paas_pipelines.runs.run import Run, TaskEnd, TaskStatus
from paas_pipelines.store import opening
from paas_pipelines.store.codec import records
from paas_pipelines.store.disk import FILE, SCHEMA, DiskJournal
from paas_pipelines.store.logs import Stream
from paas_pipelines.tasks.conductor import Conductor
from paas_pipelines.tasks.gate import Gate
from paas_pipelines.tasks.job_server import JobServer
from paas_pipelines.tasks.job_spec import RUN_ID
from paas_pipelines.tasks.native import NativePlace

from paas_runner.inner.keeper import pass_gate
from paas_runner.pipelines.reports import StateReport
from paas_runner.pipelines.states import JobState
from paas_runner.secret import Secret
from paas_runner.server.waiting import keep_sweeping
from paas_runner.store.protocol import StoreError
from paas_runner.testing.virtual_time import virtual_now
from tests.paas_pipelines.worlds import automated_shapes
from tests.paas_pipelines.worlds.engine_by_hand import defined, task
from tests.plans.mortal import Life

RUNNER = "clever"
FEATURES = frozenset({"two_phase_job_commit", "cancel_gracefully"})
SAID_ELSEWHERE = b"done elsewhere\n"
FULL = "no space left on device"
MEMORY = next((path for path in ["/dev/shm"] if Path(path).is_dir()), None)  # else a slower place
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

    def __init__(self, seed, *, mood=None, kills_at=None, plant="", most_wishes=40, automated=None):
        self.automated = bool(seed % 2) if automated is None else automated
        self.rng = random.Random(seed)
        self.said = []  # decisions as they were answered
        self.tried = Counter()  # approvals that somebody has sent, answered or not
        self.called = {}  # by caller and task: the runs that the disk had
        self.notices = {}
        self.mood = mood or Mood.drawn(self.rng)
        self.kills_at, self.plant = kills_at, plant
        self.counts, self.complaints = Counter(), []
        self.definitions = self.drawn_definitions()
        self.wishes = self.rng.randint(most_wishes // 4, most_wishes)
        self.disk = sqlite3.connect(":memory:")
        self.disk.executescript("".join(each.sql for each in SCHEMA.migrations))
        self.texts, self.stored, self.removed = {}, {}, set()
        self.answered, self.canceled = [], []
        self.works, self.outside = [], set()
        self.server = None
        self.ids = 0

    # --- the story -----------------------------------------------------------------------------------------

    async def run(self):
        """What was promised and not kept."""
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder, structlog.testing.capture_logs() as told:
            self.folder = Path(folder)
            opening.DiskJournal, unpatched = self, opening.DiskJournal
            asyncio.get_running_loop().set_exception_handler(self._unforeseen)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._lives()
            except TimeoutError:
                self.complaints.append("runs do not end")
            finally:
                opening.DiskJournal = unpatched
                for each in self.outside:
                    each.cancel()
            left = {path.name for path in self.folder.glob("logs/*")} - self.stored.keys()
            self.complaints += self._unsaid()
            self.complaints += [f"logs of forgotten runs are left: {sorted(left)}"] if left else []
        self.disk.close()
        bugs = ("task_end_lost", "retention_error")
        self.complaints += [str(line) for line in told if line["event"] in bugs]
        return [*self.complaints, *self._broken()]

    def _unforeseen(self, _loop, context):
        self.complaints.append(f"{context['message']}: {context.get('exception')!r}")

    async def _lives(self):
        people = [asyncio.create_task(self._person()) for _ in range(3)]
        self.outside = {*people, asyncio.create_task(self._runner())}
        if self.automated:
            self.outside |= {asyncio.create_task(self._decider()) for _ in automated_shapes.PEOPLE}
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
        self.server = server = self._server(life)
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
            if any(not run.ended and not _waits_for_others(run) for run in self.stored.values()):
                self.complaints.append("the server has ended, but runs have not")
        ending.cancel()
        life.kill()
        life._outside |= self.outside
        await life.bury(self)

    def _server(self, life):
        return Server(self, life)

    async def close(self):
        """Nothing is open that a dead process would hold on to."""

    async def open(self, _folder):
        """The journal of the server that is about to begin."""
        return DiskJournal(MortalDatabase(self, self.server.life, self.folder / FILE))

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
            shape = automated_shapes.drawn(rng, name) if self.automated else {"tasks": rng.choice(SHAPES)}
            drawn[name] = defined(
                name,
                **shape,
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

    async def _person(self):
        while self.wishes > 0:
            await asyncio.sleep(self.rng.expovariate(1 / self.rng.choice([0.5, 5, 20])))
            chance = self.rng.random()
            cancels, reloads = self.mood.wishes
            if chance < cancels:
                done = await self._answer(self._cancel)
            elif chance < cancels + reloads:
                done = await self._answer(self._reload)
            else:
                done = await self._answer(self._schedule)
                await self._answer(self._look)
            self.wishes -= done is not None

    async def _answer(self, wish, *more):
        """What comes back of it; None without an answer, or for one that says that the disk is full."""
        server = self.server
        if server is None or not server.started.is_set():
            return None
        asking = asyncio.create_task(wish(server, *more))
        killed = asyncio.create_task(server.life.is_killed())
        await asyncio.wait({asking, killed}, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        if not asking.done() or asking.cancelled():
            self.counts["without an answer"] += 1
            return None
        try:
            return asking.result()
        except StoreError:
            self.counts["answers 503"] += 1
            return None

    async def _schedule(self, server):
        pipeline, partition = self.rng.choice("ppqr"), self.rng.choice(["", "x"])
        try:
            user = automated_shapes.STARTER if self.automated else ""
            run = await server.served.schedule(
                pipeline, variables={"n": self.ids}, partition=partition, user=user
            )
        except ScheduleRefusedError:
            self.counts["refused"] += 1
            return "refused"
        await server.life.goes_on()
        self.answered.append(run.run_id)
        if run.run_id not in self.stored.keys() | self.removed and not self._is_forgotten(server, run.run_id):
            self.complaints.append(f"{run.run_id} was answered before it was on the disk")
        return run.run_id

    async def _cancel(self, server):
        known = list(server.engine.book.runs())
        if not known:
            return ""
        run_id = self.rng.choice(known).run_id
        with contextlib.suppress(UnknownRunError, AlreadyCompletedError):
            await server.served.cancel(run_id)
            await server.life.goes_on()
            self.counts["cancels"] += 1
            if run_id not in self.removed and not self.stored[run_id].canceled:
                self.complaints.append(f"{run_id} was said to be canceled before it was on the disk")
        return run_id

    async def _decider(self):
        """Somebody who looks in now and then."""
        while True:
            await asyncio.sleep(self.rng.expovariate(1 / self.rng.choice([2, 10, 200])))
            await self._answer(self._decide)

    async def _decide(self, server):
        """Whoever gets an answer can rely on it."""
        if not (blocked := server.engine.blocked()):
            return ""
        run, one = self.rng.choice(blocked)
        user, approved = self.rng.choice(automated_shapes.PEOPLE), self.rng.random() < 0.85
        key = (run.run_id, one.name, one.attempt)
        if approved:
            self.tried[key] += 1
        with contextlib.suppress(DecisionRefusedError):
            server.engine.decide(run.run_id, one.name, user=user, approved=approved, digest=one.asked.digest)
            await server.served.durable()
            await server.life.goes_on()
            self.said.append((*key, user, approved))
            self.counts["decisions"] += 1
        return user

    async def _reload(self, server):
        self.definitions = self.drawn_definitions()
        server.engine.replace_definitions(self.definitions)
        await server.served.durable()
        await server.life.goes_on()
        self.counts["reloads"] += 1
        return "reloaded"

    async def _look(self, server):
        """Whoever is told of an end can rely on it."""
        told = list(server.engine.book.runs())
        await server.served.durable()
        await server.life.goes_on()
        for run in told:
            differs = run.ended and self.stored.get(run.run_id) != run
            if differs and not self._is_forgotten(server, run.run_id):
                self.complaints.append(f"the end of {run.run_id} was told before it was on the disk")
        self.counts["looks"] += 1
        return "seen"

    def _is_forgotten(self, server, run_id):
        """Perhaps before it ever was on the disk, which has it neither way."""
        if all(run.run_id != run_id for run in server.engine.book.runs()):
            self.removed.add(run_id)
        return run_id in self.removed

    # --- a runner ------------------------------------------------------------------------------------------

    async def _runner(self):
        """Takes every job; one that it has goes on whatever becomes of the server."""
        while True:
            await asyncio.sleep(self.rng.uniform(0.2, 4))
            if job := await self._answer(self._request):
                self.outside.add(asyncio.create_task(self._job(job)))

    async def _request(self, server):
        coordinator = server.jobs.coordinator
        if not list(coordinator.runners):
            coordinator.runners.add(description=RUNNER)
        job = coordinator.acquire(1, features=FEATURES)
        await server.journal.flushed()
        await server.life.goes_on()
        return job

    async def _told(self, job, report):
        """A PUT, or a PATCH of the trace, until it is answered."""
        while True:
            answer = await self._answer(self._report, job, report)
            if answer is not None:
                return answer
            await asyncio.sleep(2)

    async def _report(self, server, job, report):
        coordinator = server.jobs.coordinator
        if job.job_id not in coordinator.jobs:
            return (404, None)
        if isinstance(report, bytes):
            reply = coordinator.append_trace(job.job_id, 0, report)
        else:
            reply = coordinator.update(job.job_id, report)
        await server.journal.flushed()
        await server.life.goes_on()
        return (reply.status, reply.job_status)

    async def _job(self, job):
        running = StateReport(state="running")
        if (await self._told(job, running))[0] != 200:
            return  # the reservation was over: somebody else gets it
        work = self.begins(_run_of(job), job.spec.name, None)
        loop = asyncio.get_running_loop()
        until, status = loop.time() + self.rng.choice([1, 20, 90]), JobState.RUNNING
        while loop.time() < until and status is JobState.RUNNING:
            await asyncio.sleep(max(0.01, min(3, until - loop.time())))  # a clock takes no less
            _, status = await self._answer(self._report, job, running) or (0, status)
        if status is JobState.RUNNING:
            end = self.drawn_end(error="")
        else:
            await asyncio.sleep(self.rng.uniform(0, 2))
            end = TaskEnd(stopped=True, exit_code=1)
        await self._told(job, SAID_ELSEWHERE)
        work.ends(end)
        state = "failed" if end.exit_code else "success"
        reason = "script_failure" if end.exit_code else None
        await self._told(job, StateReport(state=state, failure_reason=reason, exit_code=end.exit_code))

    def _unsaid(self):
        """What a job has said, and was told that it was heard, is in the log of its task."""
        for run in self.stored.values():
            for one in run.tasks:
                if one.definition.elsewhere and one.status is TaskStatus.DONE:
                    path = self.folder / "logs" / run.run_id / f"{one.name}-{Stream.STDOUT}.log"
                    if path.read_bytes() != SAID_ELSEWHERE:
                        yield f"{run.run_id} {one.name} has the log {path.read_bytes()}"

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
        for run in records(changed, Run, "run"):
            before = self.stored.get(run.run_id)
            if before and before.ended:
                self.complaints.append(f"{run.run_id} changed after its end")
            if run.ended:
                self._must_rest(run.run_id, "has ended by the disk")
            self.stored[run.run_id] = run
            self._look_at_automation(run)
        self.texts = now

    def _look_at_automation(self, run):
        """What belongs together comes to the disk together."""
        if run.origin.caller_run:
            of = self.called.setdefault((run.origin.caller_run, run.origin.caller_task), set())
            self.counts["calls"] += run.run_id not in of
            of.add(run.run_id)
            if len(of) > 1:
                self.complaints.append(f"{run.origin.caller_run} has called {sorted(of)} with one task")
        sent = {key for (key,) in self.disk.execute("SELECT key FROM record WHERE kind = 'notice'")}
        for one in run.tasks:
            if one.called and one.called not in self.texts.keys() | self.stored.keys() | self.removed:
                known = self.disk.execute("SELECT 1 FROM record WHERE key = ?", (one.called,)).fetchall()
                if not known:
                    self.complaints.append(
                        f"{run.run_id} {one.name} has called {one.called}, which is not there"
                    )
            told = f"message/{run.run_id}/{one.name}/{one.attempt}"
            if (
                one.definition.message
                and one.status is TaskStatus.DONE
                and not one.error
                and told not in sent
            ):
                self.complaints.append(f"{told} was not told")
            if one.definition.approval and one.status is TaskStatus.DONE:
                self._must_be_approved(run, one)

    def _must_be_approved(self, run, one):
        approval, where = one.definition.approval, f"{run.run_id} {one.name}"
        users = [each.user for each in one.asked.decisions if each.approved] if one.asked else []
        if len(users) != len(set(users)):
            self.complaints.append(f"{where}: one person counts twice: {users}")
        if one.asked is None:
            self.complaints.append(f"{where} is done and was never asked")
        elif not (one.asked.passed and approval.on_deadline is OnDeadline.APPROVE):
            tried = self.tried[run.run_id, one.name, one.attempt]
            if not approval.count <= len(users) <= tried:
                self.complaints.append(f"{where} is done by {users}, and {tried} were sent")
            if approval.four_eyes and automated_shapes.STARTER in users:
                self.complaints.append(f"{where} was approved by whoever started it")

    def _must_rest(self, run_id, since):
        if any(work.alive and work.run_id == run_id for work in self.works):
            self.complaints.append(f"{run_id} {since}, but something of it runs")

    def must_be_lost(self, before, book):
        """A restart cancels a run only for a task that really began, and may not run again."""
        for run_id, run in before.items():
            if run.canceled or not book.run(run_id).canceled:
                continue
            begun = {work.task: work.attempt for work in self.works if work.run_id == run_id}
            ran = [one for one in run.tasks if one.status is TaskStatus.RUNNING]
            if not any(begun.get(one.name) == one.attempt for one in ran):
                self.complaints.append(f"{run_id} was canceled although nothing of it had begun")
            self.counts["canceled by a restart"] += 1

    def begins(self, run_id, name, life, attempt=1):
        """Something is really started for a task."""
        where = f"{run_id} {name}"
        self.counts["tasks here" if life else "tasks elsewhere"] += 1
        self.works.append(Work(run_id, name, attempt, life))
        known = self.stored.get(run_id)
        recorded = known and next((one for one in known.tasks if one.name == name), None)
        if recorded is None or recorded.status is not TaskStatus.RUNNING:
            self.complaints.append(f"{where} was started before that was on the disk")
            return self.works[-1]
        if recorded.attempt != attempt:
            self.complaints.append(f"{where} was started again before that was on the disk")
        for need in before(known, name):
            decided = known.task(need).status in (TaskStatus.DONE, TaskStatus.SKIPPED)
            if known.task(need).definition.approval and not decided:
                self.complaints.append(f"{where} was started before {need} was approved")
        for need in recorded.definition.depends_on:
            if known.task(need).definition.script and not self._ended_well(known, need):
                self.complaints.append(f"{where} was started before {need} had ended")
        return self.works[-1]

    def _ended_well(self, run, name):
        tolerant = run.task(name).definition.allow_failure
        ends = [work.ended for work in self.works if (work.run_id, work.task) == (run.run_id, name)]
        return any(end and (not end.exit_code or tolerant) for end in ends)

    def drawn_end(self, error="no such variable"):
        if self.rng.random() >= self.mood.trouble:
            return TaskEnd()
        code = self.rng.choice([0, 1, 7])
        return TaskEnd(exit_code=code, error="" if code else error)

    def _broken(self):
        for run_id in self.answered:
            if run_id not in self.stored.keys() | self.removed:
                yield f"{run_id}, which was answered, is lost"
        yield from self._broken_automation()
        for run in self.stored.values():
            if not run.ended:
                yield f"{run.run_id} has not ended"
            for one in run.tasks:
                if one.error.startswith("unexpected error") and FULL not in one.error:
                    yield f"{run.run_id} {one.name}: {one.error}"
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

    def _broken_automation(self):
        for run_id, name, attempt, user, approved in self.said:
            one = self.stored[run_id].task(name) if run_id in self.stored else None
            if one is None or one.attempt != attempt:
                continue
            said = [each.approved for each in one.asked.decisions if each.user == user] if one.asked else []
            if said.count(approved) != 1:
                yield f"{run_id} {name}: that {user} said {approved} counts {said.count(approved)} times"
        for run in self.stored.values():
            for one in run.tasks:
                calls = self.called.get((run.run_id, one.name), ())
                if (
                    one.definition.call
                    and one.status is TaskStatus.DONE
                    and not one.error
                    and len(calls) != 1
                ):
                    yield f"{run.run_id} {one.name} is done and has called {len(calls)} runs"


def _waits_for_others(run):
    """For people, for a slot until they have decided, or for what it calls; or it was called itself."""
    if run.waiting:
        return bool(run.origin.caller_run)
    running = [one for one in run.tasks if one.status is TaskStatus.RUNNING]
    blocked = any(one.status is TaskStatus.BLOCKED for one in run.tasks)
    return all(one.definition.call for one in running) and (blocked or bool(running))


def _run_of(job):
    return next(each.value for each in job.spec.variables if each.key == RUN_ID)


class Server:
    """The parts of the server that this is about, from one start to its end."""

    def __init__(self, world, life):
        self.world, self.life = world, life
        self.engine = self.conductor = None
        self.started = asyncio.Event()

    async def serve(self):
        while True:
            try:
                async with opening.opened(self.world.folder, most_log_bytes=10_000) as store:
                    return await self._serve(store)
            except StoreError:
                if self.started.is_set():
                    return None
                await asyncio.sleep(1)  # whoever started it does so again

    async def _serve(self, store):
        world = self.world
        self.journal = journal = store.journal
        self.engine = engine = Engine(
            virtual_now, store.runs, world.definitions, new_id=world.new_id, stdout=store.logs.last_words
        )
        gate = Gate(world.folder / "begun")
        before = {run.run_id: run for run in store.runs.all_active()}
        engine.recover(gate.shut(engine.activities()))
        world.must_be_lost(before, store.runs)
        await gate.sweep(engine.activities, journal)
        secret = Secret("a secret for the tokens")
        self.jobs = JobServer.open(
            engine=engine, journal=journal, secret=secret, clock=virtual_now, book=store.jobs
        )
        asked = Hasty(journal) if world.plant == "answers early" else journal
        self.served = Served(engine=engine, journal=asked, logs=store.logs, secret=secret, clock=virtual_now)
        here = Here(world, self.life, gate)
        place_of = await self._places(store, self.jobs, here)
        self.conductor = Conductor(
            engine,
            Hasty(journal) if world.plant == "acts early" else journal,
            store.logs,
            place_of,
            clock=virtual_now,
            native=NativePlace(engine=engine, clock=virtual_now, notices=Told(journal)),
        )
        self.conductor._rng = random.Random(1)
        sweeping = asyncio.create_task(keep_sweeping(self.jobs.coordinator))
        self.started.set()
        await self.conductor.run()
        sweeping.cancel()
        await self._rests()
        while True:
            try:
                return await journal.flushed()
            except StoreError:
                await asyncio.sleep(1)

    async def _places(self, _store, jobs, here):
        """Where each task is brought to."""
        return lambda task: jobs.place if task.definition.elsewhere else here

    async def _rests(self):
        """What is owed at an orderly end."""


@attrs.define(eq=False)
class MortalDatabase:
    """SQLite without a thread; slow, failing, and deadly."""

    world: World
    life: Life
    path: Path

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

    async def aclose(self):
        """The disk outlives it."""

    def _may_die(self):
        if not self.life.is_dead and self.world.rng.random() < self.world.mood.kill_at_write:
            self.world.counts["killed at writes"] += 1
            self.life.kill()


@attrs.define(eq=False)
class Told:
    """Notices as far as the journal."""

    journal: DiskJournal

    def tell(self, to, *, key, text, **_more):
        self.journal.put("notice", key, f"{to}: {text}")


@attrs.define(eq=False)
class Hasty:
    """A journal that never waits: one of the faults that are planted."""

    journal: DiskJournal
    trouble = ""

    def put(self, *what, **more):
        self.journal.put(*what, **more)

    def grown(self, path):
        self.journal.grown(path)

    async def flushed(self):
        """At once."""


@attrs.define(eq=False)
class Here:
    """Processes of this machine, which die with the server: the keeper sees to that."""

    world: World
    life: Life
    gate: Gate

    async def run(self, order, output, stop):
        world, rng = self.world, self.world.rng
        await asyncio.sleep(rng.choice([0, 0, 0.01, 1]))  # until there is room, and its keeper is there
        await self.life.goes_on()
        pass_gate(str(self.gate.of(order.run, order.task)))
        work = world.begins(order.run.run_id, order.task.name, self.life, order.task.attempt)
        try:
            output.stdout(b"begun\n")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rng.choice([0, 1, 5, 30])):
                    await stop.wait()
            if stop.is_set():
                await asyncio.sleep(rng.uniform(0, 2))
                work.ends(TaskEnd(stopped=True))
            elif rng.random() < world.mood.trouble / 4:
                raise OSError(FULL)
            else:
                end = world.drawn_end()
                if order.task.definition.outputs and end == TaskEnd():
                    end = TaskEnd(outputs={"changed": rng.random() < 0.8})
                work.ends(end)
        finally:
            work.ends(TaskEnd(error="it is gone"))
        await self.life.goes_on()
        return work.ended
