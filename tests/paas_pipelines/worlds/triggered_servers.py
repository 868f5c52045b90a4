"""A world in which other systems deliver, clocks are set, and the server is killed at any moment.

Feed, engine and journal are the real ones, down to SQLite; time is virtual. What was delivered and answered,
and which moments there were, is the world's own knowledge, and what was promised is judged by that.
"""

import asyncio
import contextlib
import json
import random
import sqlite3
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import attrs
import pytest
import structlog
from paas_pipelines.definitions.automation import CatchUp, Overlap
from paas_pipelines.definitions.definition import Restart, TaskDefinition
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import Run, TaskEnd
from paas_pipelines.store.codec import records, to_text
from paas_pipelines.store.disk import FILE, SCHEMA, DiskJournal
from paas_pipelines.triggers import event_book
from paas_pipelines.triggers.event import Event
from paas_pipelines.triggers.event_book import DATA, EVENT, TRIGGER, TriggerState
from paas_pipelines.triggers.feed import Feed

from paas_runner.store.protocol import StoreError
from paas_runner.testing.virtual_time import EPOCH, virtual_now
from tests.paas_pipelines.worlds.killed_servers import MortalDatabase
from tests.plans.mortal import Life
from tests.support.triggered import KnownSecrets, after, hook, pipeline, schedule, signed

MOST_LIVES = 40
PATIENCE_SECONDS = 14 * 24 * 3600
BEGINNINGS = (
    datetime(2026, 3, 28, 23, tzinfo=UTC),  # two hours before the gap in Berlin
    datetime(2026, 10, 24, 23, tzinfo=UTC),  # before its repeated hour
    datetime(2026, 6, 1, tzinfo=UTC),
)
CRONS = ("*/7 * * * *", "30 2 * * *", "15,45 * * * *", "0 1-3 * * *", "*/20 2 * * *", "0 */2 * * *")
RETRIED = {"first": TaskDefinition(script=("true",), restart=Restart.RETRY)}
KINDS = ("run", EVENT, DATA, TRIGGER)


@attrs.frozen(kw_only=True)
class Mood:
    """How bad the world is in one run."""

    kill_at_write: float = 0
    life: float | None = None
    """How many seconds a server lives until it is killed, in the mean."""
    refusal: float = 0
    """Probability that a write fails."""
    latency: float = 0
    jumps: float = 0
    """How often an hour the clock is set."""
    reloads: float = 0
    room: int = event_book.MOST_WAITING
    """So many deliveries may wait."""
    repeats: float = 0.3
    """Share of deliveries that come again although they were answered."""

    @classmethod
    def drawn(cls, rng):
        return cls(
            kill_at_write=rng.choice([0, 0.01, 0.05]),
            life=rng.choice([None, 1000, 100, 20]),
            refusal=rng.choice([0, 0, 0.02, 0.2]),
            latency=rng.choice([0, 0.01, 1]),
            jumps=rng.choice([0, 0, 2]),
            reloads=rng.choice([0, 0, 3]),
            room=rng.choice([event_book.MOST_WAITING, 1]),
        )


class World:
    """One run from a seed; `plant` is the name of a fault in the server that has to be found."""

    def __init__(self, seed, *, mood=None, kills_at=None, plant="", deliveries=12, hours=4):
        self.rng = random.Random(seed)
        self.mood = mood or Mood.drawn(self.rng)
        self.kills_at, self.plant = kills_at, plant
        self.begin = self.rng.choice(BEGINNINGS)
        self.cron = self.rng.choice(CRONS)
        self.every = self.rng.choice([97, 600, 1800])
        self.skew = timedelta()
        self.were_set = False
        self.deliveries, self.seconds = deliveries, hours * 3600
        self.counts, self.complaints = Counter(), []
        self.disk = sqlite3.connect(":memory:")
        self.disk.executescript("".join(each.sql for each in SCHEMA.migrations))
        self.folder = Path("/nowhere")
        self.stored, self.removed = {}, set()
        self.events, self.runs, self.numbers, self.cursors = {}, {}, {}, defaultdict(list)
        self.texts = {kind: {} for kind in KINDS}
        self.acknowledged = {}
        self.points = []
        """Of each life: how often it might have been killed at a write."""

        self.ids = 0
        self.server = None
        self.definitions = self.drawn_definitions()

    def clock(self):
        return self.begin + (virtual_now() - EPOCH) + self.skew

    def drawn_definitions(self):
        """Hooks stay; whether there is a schedule more changes."""
        retry = {"tasks": RETRIED, "concurrency": 3}
        quick = {"tasks": {"nothing": TaskDefinition()}, "concurrency": 99}
        all_of_them = {
            "catch_up": CatchUp.ALL,
            "catch_up_window": timedelta(days=2),
            "overlap": Overlap.QUEUE,
        }
        number = {"n": "payload.n"}
        found = [
            pipeline("ci", hook(path="x", params_from=number), **retry),
            pipeline("also", hook(path="x", params_from=number, dedupe="payload.n"), **quick),
            pipeline("after", after("ci", params_from={"n": "source.params.n"}), **quick),
            pipeline("cron", schedule(cron=self.cron, timezone="Europe/Berlin", **all_of_them), **quick),
            pipeline("grid", schedule(every=timedelta(seconds=self.every), overlap=Overlap.SKIP), **retry),
        ]
        if self.rng.random() < 0.5:
            found.append(pipeline("more", schedule(every=timedelta(seconds=60)), **quick))
        return {each.name: each for each in found}

    # --- the story -----------------------------------------------------------------------------------------

    async def run(self):
        """What was promised and not kept."""
        asyncio.get_running_loop().set_exception_handler(self._unforeseen)
        with structlog.testing.capture_logs() as told, pytest.MonkeyPatch.context() as patch:
            patch.setattr(event_book, "MOST_WAITING", self.mood.room)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._lives()
            except TimeoutError:
                self.complaints.append("events do not end")
        self.disk.close()
        bugs = ("feed_error", "event_failed", "event_dead")
        self.complaints += [str(line) for line in told if line["event"] in bugs]
        return [*self.complaints, *self._broken()]

    def _unforeseen(self, _loop, context):
        self.complaints.append(f"{context['message']}: {context.get('exception')!r}")

    async def _lives(self):
        senders = [asyncio.create_task(self._sends(n)) for n in range(self.deliveries)]
        self.outside = {*senders, asyncio.create_task(self._jumps())}
        await asyncio.sleep(0)
        calm = Mood(repeats=0)
        loop = asyncio.get_running_loop()
        while self.mood is not calm or not self._is_over or not all(each.done() for each in senders):
            self.counts["lives"] += 1
            if self.counts["lives"] > MOST_LIVES or loop.time() > self.seconds:
                self.mood = calm
            await self._life(Life(self.counts["lives"], self.kills_at), senders)
            self.kills_at = None
            await asyncio.sleep(self.rng.choice([0, 1, 40, 2000]))
        for each in self.outside:
            each.cancel()

    @property
    def _is_over(self):
        return all(event.over for event in self.events.values()) and all(
            run.ended for run in self.runs.values()
        )

    async def _life(self, life, senders):
        self.server = server = Server(self, life)
        serving = asyncio.create_task(server.serve())
        ending = asyncio.create_task(self._ends(life, senders))
        await life.is_killed()
        if serving.done() and not serving.cancelled() and serving.exception():
            self.complaints.append(f"the server has ended: {serving.exception()!r}")
        self.server = None
        self.counts["crashes"] += 1
        self.points.append(life.points)
        ending.cancel()
        life._outside |= self.outside
        await life.bury(self)

    async def close(self):
        """Nothing is open that a dead process would hold on to."""

    async def _ends(self, life, senders):
        if self.mood.life is not None:
            await asyncio.sleep(self.rng.expovariate(1 / self.mood.life))
            return life.kill()
        left = self.seconds - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0, left))
        await asyncio.wait(senders)
        await asyncio.sleep(200)
        while not self._is_over:
            await asyncio.sleep(50)
        return life.kill()

    # --- those outside -------------------------------------------------------------------------------------

    async def _sends(self, n):
        """One delivery, until it is answered; and perhaps again, under its id or another one."""
        await asyncio.sleep(self.rng.uniform(0, self.seconds * 0.8))
        body = json.dumps({"n": n, "ref": "x"}).encode()
        again, delivery = True, f"{n}"
        while again:
            answer = await self._asked(body, delivery)
            if answer is None or answer.status == 503:
                await asyncio.sleep(self.rng.uniform(1, 60))
                continue
            event_id = answer.body.get("event", "")
            if answer.status not in (200, 202):
                self.complaints.append(f"delivery {n} was answered {answer}")
            elif self.acknowledged.setdefault(n, event_id) != event_id and answer.status == 202:
                self.complaints.append(f"delivery {n} was new twice")
            elif event_id not in self.events:
                self.complaints.append(f"delivery {n} was answered before it was on the disk")
            self.counts[f"answers {answer.status}"] += 1
            again = self.rng.random() < self.mood.repeats
            delivery = self.rng.choice([delivery, f"{n}-{self.rng.random()}"])
            await asyncio.sleep(self.rng.choice([0, 5, 500]))

    async def _asked(self, body, delivery):
        """What comes back; None without an answer."""
        server = self.server
        if server is None or server.feed is None:
            return None
        headers = signed(body, delivery=delivery).items()
        asking = asyncio.create_task(server.feed.deliver("x", headers, body))
        killed = asyncio.create_task(server.life.is_killed())
        await asyncio.wait({asking, killed}, return_when=asyncio.FIRST_COMPLETED)
        killed.cancel()
        if not asking.done() or asking.cancelled() or server.life.is_dead:
            self.counts["without an answer"] += 1
            return None
        return asking.result()

    async def _jumps(self):
        """The clock is set, and definitions are edited."""
        while True:
            await asyncio.sleep(600)
            if self.rng.random() < self.mood.jumps / 6:
                self.skew += timedelta(seconds=self.rng.choice([-7200, -90, 30, 600, 5000]))
                self.were_set = True
                self.counts["clocks set"] += 1
            if self.rng.random() < self.mood.reloads / 6:
                self.definitions = self.drawn_definitions()
                self.counts["reloads"] += 1
                if self.server is not None and self.server.engine is not None:
                    self.server.engine.replace_definitions(self.definitions)

    def new_id(self):
        self.ids += 1
        return f"run{self.ids}"

    # --- what is seen of the disk --------------------------------------------------------------------------

    def look_at_disk(self):
        """After each transaction: what belongs together is there together."""
        new = {}
        for kind in KINDS:
            now = dict(self.disk.execute("SELECT key, text FROM record WHERE kind = ?", (kind,)))
            new[kind] = {key: text for key, text in now.items() if self.texts[kind].get(key) != text}
            self.texts[kind] = now
        for key, text in new[DATA].items():
            self.numbers[key] = json.loads(text).get("n")
        changed_runs = list(records(new["run"], Run, "run"))
        self.runs |= {run.run_id: run for run in changed_runs}
        changed_events = list(records(new[EVENT], Event, EVENT))
        self.events |= {event.event_id: event for event in changed_events}
        for state in records(new[TRIGGER], TriggerState, TRIGGER):
            if state.cursor is not None and self.cursors[state.trigger][-1:] != [state.cursor]:
                self.cursors[state.trigger].append(state.cursor)
        for event in changed_events:
            for outcome in event.outcomes:
                if outcome.run_id and outcome.run_id not in self.runs:
                    self.complaints.append(f"{event.event_id} is done, and its run is not there")
        ends = {event.meta.get("run") for event in self.events.values()}
        for run in changed_runs:
            event = self.events.get(run.origin.event_id)
            if event is None or all(each.run_id != run.run_id for each in event.outcomes):
                self.complaints.append(f"{run.run_id} is there, and its event does not know it")
            if run.pipeline == "ci" and run.ended and not run.canceled and run.run_id not in ends:
                self.complaints.append(f"{run.run_id} has ended, and nobody was told")

    # --- what was promised ---------------------------------------------------------------------------------

    def _broken(self):
        for event in self.events.values():
            if not event.over:
                yield f"{event.event_id} is {event.state}"
        starts = Counter((run.pipeline, run.origin.event_id) for run in self.runs.values())
        yield from (f"{key} was started {count} times" for key, count in starts.items() if count > 1)
        yield from self._broken_of_deliveries()
        yield from self._broken_of_schedules()

    def _broken_of_deliveries(self):
        numbers = Counter((run.pipeline, run.variables.get("n")) for run in self.runs.values())
        for n in range(self.deliveries):
            for name in ("ci", "also", "after"):
                count = numbers[name, n]
                if count > 1:
                    yield f"delivery {n} has started {name} {count} times"
                if n in self.acknowledged and not count:
                    yield f"delivery {n}, which was acknowledged, has not started {name}"

    def _broken_of_schedules(self):
        planned = defaultdict(list)
        for event in sorted(self.events.values(), key=lambda event: event.event_id):
            if "planned" in event.meta:
                planned[event.identity.trigger].append(datetime.fromisoformat(event.meta["planned"]))
        for name, moments in planned.items():
            if any(late <= early for early, late in pairwise(moments)) and name != "more/often":
                yield f"{name} was planned twice, or backwards: {moments}"
        for name, is_one in (("cron/often", self._is_cron), ("grid/often", self._is_grid)):
            for moment in planned[name]:
                if not is_one(moment):
                    yield f"{name} has no such moment: {moment}"
            cursors = self.cursors[name]
            if not cursors or (self.were_set and name == "cron/often"):
                continue
            if name == "cron/often":
                minutes = int((cursors[-1] - cursors[0]).total_seconds() // 60) + 2
                first = cursors[0].replace(second=0, microsecond=0)
                all_of_them = [first + timedelta(minutes=n) for n in range(minutes)]
                wanted = [each for each in all_of_them if cursors[0] < each <= cursors[-1] and is_one(each)]
                if moments_lost := set(wanted) - set(planned[name]):
                    yield f"{name} has lost {sorted(moments_lost)[:3]} of {len(wanted)}"
                self.counts["moments"] += len(wanted)

    def _is_grid(self, moment):
        return moment.timestamp() % self.every == 0

    def _is_cron(self, moment):
        return any(_fires(self.cron, moment, gap) for gap in (False, True))


def _fires(cron, moment, gap):
    """By the rules for the zone of Berlin, whose offset is worked out by hand."""
    begins, ends = datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)
    summer = begins <= moment < ends
    local = moment + timedelta(hours=2 if summer else 1)
    starred = cron.split()[0].startswith("*") or cron.split()[1].startswith("*")
    if gap:  # at the end of the gap comes all that was in it
        return moment == begins and not starred and any(_matches(cron, 2, minute) for minute in range(60))
    repeated = timedelta() <= moment - ends < timedelta(hours=1)
    if repeated and not starred:
        return False
    return _matches(cron, local.hour, local.minute)


def _matches(cron, hour, minute):
    minutes, hours = cron.split()[:2]
    return _in(minutes, minute) and _in(hours, hour)


def _in(field, value):
    if field.startswith("*/"):
        return value % int(field[2:]) == 0
    if "-" in field:
        low, high = map(int, field.split("-"))
        return low <= value <= high
    return field == "*" or str(value) in field.split(",")


class Server:
    """The parts of the server that this is about, from one start to its end."""

    def __init__(self, world, life):
        self.world, self.life = world, life
        self.engine = self.feed = None

    async def serve(self):
        while True:
            try:
                return await self._serve()
            except StoreError:
                await asyncio.sleep(1)  # whoever started it does so again

    async def _serve(self):
        world = self.world
        journal = DiskJournal(MortalDatabase(world, self.life, world.folder / FILE))
        stored = list(records(await journal.stored("run"), Run, "run"))
        book = RunBook(stored, written=lambda run_id, run: journal.put("run", run_id, run and to_text(run)))
        engine = Engine(world.clock, book, world.definitions, new_id=world.new_id)
        feed = await Feed.opened(engine, journal, world.clock, secrets=KnownSecrets())
        feed._rng = random.Random(1)
        planted(world.plant, feed, engine)
        engine.recover()
        await journal.flushed()
        self.engine, self.feed = engine, feed
        async with asyncio.TaskGroup() as group:
            group.create_task(feed.run())
            group.create_task(self._works(engine, journal))

    async def _works(self, engine, journal):
        """Tasks end, as soon as it is on the disk that they have begun."""
        while True:
            await asyncio.sleep(self.world.rng.uniform(0.5, 20))
            due = list(engine.activities())
            with contextlib.suppress(StoreError):
                await journal.flushed()
                for activity in due:
                    engine.task_ended(activity.run.run_id, activity.task.name, TaskEnd(stopped=activity.stop))


def planted(name, feed, engine):
    """A fault of the kind that the judge has to find."""
    book = feed.book
    if name == "answers early":

        class Hasty:
            trouble = ""

            async def flushed(self):
                """At once."""

        feed._hooks._journal = Hasty()
    elif name == "forgets keys":

        async def unknown(_keys):
            return {}

        book.seen = unknown
    elif name == "event later":
        save = book.save

        def later(event):
            if event.over:
                asyncio.get_running_loop().call_later(0.5, save, event)
            else:
                save(event)

        book.save = later
    elif name == "cursor later":
        remember = book.remember

        def later_still(state):
            book._states[state.trigger] = state
            asyncio.get_running_loop().call_later(0.5, remember, attrs.evolve(state, paused_by="x"))

        book.remember = later_still
    elif name == "end unseen":
        engine.book.observers.clear()
