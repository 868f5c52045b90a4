"""Tasks elsewhere without a server around them: an engine, a coordinator, a runner that a test plays."""

import asyncio
import itertools
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import attrs
import httpx
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.store.logs import LogFiles, Stream
from paas_pipelines.store.opening import opened
from paas_pipelines.tasks.conductor import Conductor
from paas_pipelines.tasks.job_server import JobServer
from paas_pipelines.tasks.place import order_of

from paas_runner.secret import Secret
from paas_runner.server.listening import Listener
from tests.support.memory_journal import MemoryJournal

SECRET = Secret("not-very-secret-but-long")
FEATURES = {"return_exit_code": True, "cancelable": True, "cancel_gracefully": True}
URL = "http://pipelines.test"


class Clock:
    """The present time, or one that a test has jumped to."""

    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return datetime.now(UTC) + self.ahead


class Said:
    """What a task has said."""

    def __init__(self):
        self.bytes = b""

    def stdout(self, data):
        self.bytes += data

    stderr = stdout


@attrs.define
class RemoteWorld:
    """One server's part for tasks elsewhere."""

    engine: Engine
    journal: MemoryJournal
    server: JobServer
    http: httpx.AsyncClient
    clock: Clock
    said: Said = attrs.field(factory=Said)
    stop: asyncio.Event = attrs.field(factory=asyncio.Event)
    _tasks: list = attrs.field(factory=list)

    @property
    def coordinator(self):
        return self.server.coordinator

    def schedule(self, variables=None, env=None, **task):
        """A run of one task, `build`, which is running by the records."""
        definition = TaskDefinition(**{"script": ("echo hi",), "runner": "far", **task})
        self.engine.definitions = {
            "release it": Definition(
                name="release it", source="x", env=env or {}, tasks={"build": definition}
            )
        }
        return self.engine.schedule("release it", variables=variables or {})

    def order(self, run):
        run = self.engine.book.run(run.run_id)
        return order_of(run, run.task("build"))

    def begin(self, run, place=None):
        """The task at work; what `Place.run` returns is the result of it."""
        running = (place or self.server.place).run(self.order(run), self.said, self.stop)
        self._tasks.append(asyncio.create_task(running))
        return self._tasks[-1]

    def add_runner(self, description="far", **more):
        return self.coordinator.runners.add(description=description, **more)

    async def poll(self, runner, *, features=FEATURES, **more):
        body = {"token": runner.token.reveal(), "info": {"features": features}, "system_id": "s_1", **more}
        return await self.http.post("/api/v4/jobs/request", json=body)

    async def acquired(self, runner, **more):
        """The payload of the job that the runner gets, once there is one."""
        for _ in range(50):
            answer = await self.poll(runner, **more)
            if answer.status_code == 201:
                return answer.json()
            await asyncio.sleep(0.01)
        raise AssertionError(f"no job: {answer.status_code}")

    async def put(self, job, state, **more):
        return await self.http.put(
            f"/api/v4/jobs/{job['id']}", json={"token": job["token"], "state": state, **more}
        )

    async def aclose(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def remote_world(journal=None, **more):
    numbers, clock = itertools.count(1), Clock()
    engine = Engine(clock, RunBook(), {}, new_id=lambda: f"run-{next(numbers)}")
    journal = journal or MemoryJournal()
    server = JobServer.open(engine=engine, journal=journal, secret=SECRET, clock=clock, **more)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server.app), base_url=URL) as client:
        world = RemoteWorld(engine, journal, server, client, clock)
        yield world
        await world.aclose()


@attrs.define
class ServedWorld:
    """The same on a disk and on a port, with the conductor at work."""

    engine: Engine
    server: JobServer
    logs: LogFiles
    url: str

    def schedule(self, variables=None, **tasks):
        self.engine.definitions = {"p": Definition(name="p", source="x", tasks=tasks, concurrency=10)}
        return self.engine.schedule("p", variables=variables or {}).run_id

    async def ended(self, run_id, seconds=60):
        async with asyncio.timeout(seconds):
            while not (run := self.engine.book.run(run_id)).completed:
                await asyncio.sleep(0.02)
        return run

    def said(self, run_id, task):
        return self.logs.read(run_id, task, Stream.STDOUT)


@asynccontextmanager
async def served_world(folder):
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened(folder, most_log_bytes=1_000_000))
        clock = Clock()
        engine = Engine(clock, store.runs, {})
        server = JobServer.open(
            engine=engine, journal=store.journal, secret=SECRET, clock=clock, book=store.jobs
        )
        listener = Listener(server.app)
        await listener.start()
        stack.push_async_callback(listener.stop)
        conductor = Conductor(engine, store.journal, store.logs, lambda _task: server.place, clock=clock)
        working = asyncio.create_task(conductor.run())
        try:
            yield ServedWorld(engine, server, store.logs, listener.url)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
