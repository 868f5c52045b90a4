"""Kills processes that write a store, and looks at what the next one finds: a program of its own, that forks.

`python -m tests.paas_pipelines.crashed_store points FOLDER` kills one story at each of its points, again and
again; `… kills FOLDER SEED COUNT` kills a busy writer at random moments.
"""

import asyncio
import hashlib
import os
import random
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from paas_pipelines.access.actor import Way, actor_of
from paas_pipelines.access.identity import Identity
from paas_pipelines.definitions.automation import Approval, Call, TaskType
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import Origin, TaskEnd
from paas_pipelines.store import coordinator_book, disk
from paas_pipelines.store.codec import to_text
from paas_pipelines.store.logs import Stream
from paas_pipelines.store.opening import opened

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.reports import Artifact, StateReport
from paas_runner.pipelines.spec import JobSpec
from paas_runner.secret import Secret
from paas_runner.store import database

KILLED = 9
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
LOCAL = Definition(name="local", source="x", tasks={"a": TaskDefinition(script=("x",))}, retention_count=1)
ASKS = Definition(
    name="asks",
    source="x",
    tasks={"ok": TaskDefinition(type=TaskType.APPROVAL, approval=Approval(count=2))},
)
CALLS = Definition(
    name="calls", source="x", tasks={"sub": TaskDefinition(type=TaskType.CALL, call=Call(pipeline="asks"))}
)
REMOTE = Definition(name="remote", source="x", tasks={"a": TaskDefinition(script=("x",), runner="big")})


def facts(store):
    """All that a store has, in few letters."""
    told = [to_text(run) for run in store.runs.runs()]
    for job in store.jobs.jobs().values():
        told += [repr(job), job.token.reveal(), repr(store.jobs.trace(job.job_id))]
        told += [repr((each, each.read())) for each in store.jobs.artifacts(job.job_id).values()]
    told += [f"{runner!r} {runner.token.reveal()}" for runner in store.jobs.runners()]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def in_folder(folder):
    return opened(folder, most_log_bytes=10_000)


def made(store):
    options = CoordinatorOptions(registration_token=Secret("r"), admin_token=Secret("a"))
    engine = Engine(lambda: NOW, store.runs, {each.name: each for each in (LOCAL, REMOTE, ASKS, CALLS)})
    return engine, Coordinator(lambda: NOW, options, random.Random(7), store.jobs)


# --- one story, killed at each point -----------------------------------------------------------------------


class Points:
    """Ends the process at the n-th of the places that are watched."""

    def __init__(self, last):
        self.left = last

    def point(self):
        self.left -= 1
        if self.left < 0:
            os._exit(KILLED)

    def around(self, module, name, *, after=True):
        function = getattr(module, name)

        def watched(*args, **named):
            self.point()
            result = function(*args, **named)
            if after:
                self.point()
            return result

        setattr(module, name, watched)


def story(store):
    """Verbs of engine and coordinator, each a section without an await."""
    engine, coordinator = made(store)
    runner = coordinator.runners.add(description="big")
    yield
    first = engine.schedule("local", variables={"x": 1})
    waiting = engine.schedule("local", variables={"x": 2})
    yield
    engine.task_ended(first.run_id, "a", TaskEnd(exit_code=3))
    yield
    remote = engine.schedule("remote", variables={})
    yield
    job = coordinator.submit_job(JobSpec(name="a"))
    engine.submitted(remote.run_id, "a", job.job_id)
    yield
    coordinator.acquire(runner.runner_id)
    yield
    for start in (0, 5):
        assert coordinator.append_trace(job.job_id, start, b"hello").status == 202
        yield
    coordinator.store_artifact(job.job_id, Artifact.of(b"PK", filename="a.zip"))
    yield
    coordinator.update(job.job_id, StateReport(state="success"))
    engine.task_ended(remote.run_id, "a", TaskEnd())
    yield
    engine.cancel(waiting.run_id)
    yield
    store.runs.remove(remote.run_id)
    yield
    coordinator.runners.remove(runner.runner_id)
    yield
    actor = actor_of(Identity("ann", kind="login", domain="corp", groups=("dev", "ops")), Way.PAGE)
    caller = engine.schedule("calls", variables={}, actor=actor)
    yield
    origin = Origin(caller_run=caller.run_id, caller_task="sub")
    callee = engine.schedule("asks", variables={}, origin=origin, actor=actor.calling())
    engine.called(caller.run_id, "sub", callee.run_id)
    yield
    asked = engine.ask(callee.run_id, "ok", "go on?").task("ok").asked
    yield
    for user in ("ann", "ann", "bob"):
        engine.decide(callee.run_id, "ok", user=user, approved=True, digest=asked.digest)
        yield
    engine.task_ended(caller.run_id, "sub", TaskEnd())
    yield


async def told_story(folder, tell):
    """Each moment is told, and how many of them the disk has for certain."""
    async with in_folder(folder) as store:
        moments = 1
        tell(f"M {facts(store)}")
        for _ in story(store):
            tell(f"M {facts(store)}")
            moments += 1
            if moments % 3:
                await asyncio.sleep(0)
            else:
                await store.journal.flushed()
                tell(f"A {moments}")


def killed_at(folder, last):
    """What the process told that was killed at its n-th point; whether it came to its end."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        points = Points(last)
        points.around(disk, "_written")
        points.around(database, "_answer", after=False)
        points.around(coordinator_book, "_write")
        in_child(told_story, folder, writing)
    os.close(writing)
    with os.fdopen(reading) as file:
        lines = file.read().splitlines()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED), "the story has an error"
    return lines, status == 0


def in_child(main, folder, writing):
    """Never returns."""
    try:
        asyncio.run(main(folder, lambda line: os.write(writing, f"{line}\n".encode())))
    except BaseException:  # noqa: BLE001 - told, and the end
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


async def look(folder):
    async with in_folder(folder) as store:
        for job in store.jobs.active():
            [task] = [
                (run.run_id, task)
                for run in store.runs.runs()
                for task in run.tasks
                if task.job_id == job.job_id
            ]
            log = store.logs.read(task[0], task[1].name, Stream.STDOUT)
            assert log == store.jobs.trace(job.job_id), "the log has what was not acknowledged"
        return facts(store)


def all_points(folder):
    seen = set()
    empty = asyncio.run(look(folder / "empty"))
    for last in range(200):
        place = folder / str(last)
        lines, ended = killed_at(place, last)
        moments = [line[2:] for line in lines if line.startswith("M")]
        certain = max([int(line[2:]) for line in lines if line.startswith("A")], default=0)
        found = asyncio.run(look(place))
        assert found in [empty, *moments], f"point {last}: no state of one moment"
        if certain:
            assert found in moments[certain - 1 :], f"point {last}: what was answered is lost"
        seen.add(found)
        if ended:
            assert found == moments[-1], "the end is not the last moment"
            print(last, len(seen), len(set(moments)))
            return


# --- a busy writer, killed at random ------------------------------------------------------------------------


async def schedule_for_ever(folder, tell):
    async with in_folder(folder) as store:
        engine, _ = made(store)

        async def client():
            while True:
                run = engine.schedule("local", variables={})
                store.journal.put("twin", run.run_id, str(run.number))
                await store.journal.flushed()
                tell(run.run_id)

        async with asyncio.TaskGroup() as group:
            for _ in range(16):
                group.create_task(client())


async def check(folder, acknowledged):
    async with in_folder(folder) as store:
        twins = await store.journal.stored("twin")
        runs = list(store.runs.runs())[::-1]
        assert [run.number for run in runs] == list(range(1, len(runs) + 1)), "there is a gap"
        assert {run.run_id: str(run.number) for run in runs} == twins, "a section is half there"
        assert acknowledged <= twins.keys(), "an answered one is lost"
        return len(runs)


def kills(folder, seed, count):
    rng = random.Random(seed)
    acknowledged = {}
    total = 0
    for _ in range(count):
        reading, writing = os.pipe()
        if not (child := os.fork()):
            in_child(schedule_for_ever, folder, writing)
        os.close(writing)
        with os.fdopen(reading) as file:
            acknowledged[file.readline().strip()] = None
            time.sleep(rng.random() ** 3 * 0.2)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            acknowledged |= dict.fromkeys(line.strip() for line in file if line.endswith("\n"))
        total = asyncio.run(check(folder, acknowledged.keys()))
    print(total, len(acknowledged))


if __name__ == "__main__":
    what, place, *numbers = sys.argv[1:]
    if what == "points":
        all_points(Path(place))
    else:
        kills(Path(place), *map(int, numbers))
