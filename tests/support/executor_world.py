"""Tasks with executors on a data folder, without HTTP: engine, conductor, and what another start finds."""

import asyncio
import itertools
import os
import sqlite3
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime

import attrs
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import Statement
from paas_pipelines.credentials.envelope import Keys
from paas_pipelines.credentials.records import StoredCredentials
from paas_pipelines.credentials.types import Text
from paas_pipelines.credentials.vault import Vault
from paas_pipelines.definitions.automation import EngineHook, ExecutorDefinition, Scope
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.runs.engine import Engine
from paas_pipelines.store.audit import Audit
from paas_pipelines.store.disk import FILE
from paas_pipelines.store.logs import Stream
from paas_pipelines.store.opening import FILES, Store
from paas_pipelines.store.opening import opened as store_opened
from paas_pipelines.tasks.conductor import Conductor
from paas_pipelines.tasks.executing.executors import Executors, opened
from paas_pipelines.tasks.files import RunFiles
from paas_pipelines.tasks.job_server import JobServer
from paas_pipelines.tasks.local import LocalPlace
from paas_pipelines.tasks.workspace import Workspaces

from paas_runner.secret import Secret
from tests.support.remote_tasks import SECRET

RUN_LABEL = "paas-pipelines.run"


def now():
    return datetime.now(UTC)


@attrs.define
class ExecutorWorld:
    engine: Engine
    store: Store
    executors: Executors
    conductor: Conductor

    def schedule(self, **tasks):
        definition = Definition(name="p", source="x", tasks=tasks, concurrency=10)
        self.engine.definitions = {"p": definition}
        return self.engine.schedule("p", variables={}).run_id

    async def ended(self, run_id, seconds=60):
        async with asyncio.timeout(seconds):
            while not (run := self.engine.book.run(run_id)).ended:
                await asyncio.sleep(0.02)
        return run

    async def ran(self, seconds=60, **tasks):
        return await self.ended(self.schedule(**tasks), seconds)

    def said(self, run_id, task, stream=Stream.STDOUT):
        return self.store.logs.read(run_id, task, stream).decode()

    async def says(self, run_id, task, text, seconds=60):
        async with asyncio.timeout(seconds):
            while text not in self.said(run_id, task):
                await asyncio.sleep(0.02)

    async def nothing_owed(self, seconds=60):
        async with asyncio.timeout(seconds):
            while list(self.executors.executions):
                await asyncio.sleep(0.02)


def containers_of(client, data):
    """Those of the runs in a data folder; others use the same engine."""
    with closing(sqlite3.connect(data / FILE)) as db:
        ids = {key for (key,) in db.execute("SELECT key FROM record WHERE kind = 'run'")}
    found = client.containers(all=True, filters={"label": RUN_LABEL})
    return [each for each in found if each["Labels"][RUN_LABEL] in ids]


@asynccontextmanager
async def executor_world(folder, environment=None, canary=""):
    """Ends as if it were killed: what runs is not seen off. A `canary` is its credential `key`."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(store_opened(folder / "data", most_log_bytes=1_000_000))
        numbers = itertools.count(len(store.runs) + 1)
        engine = Engine(now, store.runs, {}, new_id=lambda: f"run-{next(numbers)}-{os.urandom(4).hex()}")
        engine.recover()
        base = folder / "base"
        base.mkdir(exist_ok=True)
        kept = RunFiles(folder / "data" / FILES, store.journal)
        local = LocalPlace(
            {"PATH": os.environ["PATH"], **(environment or {})},
            folder=base,
            workspaces=Workspaces(folder / "data" / "work"),
            kept=kept,
        )
        jobs = JobServer.open(
            engine=engine, journal=store.journal, secret=SECRET, clock=now, book=store.jobs, files=kept
        )
        vault = await vault_of(store, canary) if canary else None
        executors = await stack.enter_async_context(
            opened(
                journal=store.journal,
                book=store.runs,
                logs=store.logs,
                local=local,
                remote=jobs.place,
                vault=vault,
            )
        )
        conductor = Conductor(
            engine, store.journal, store.logs, lambda _task: executors, clock=now, vault=vault
        )
        working = [asyncio.create_task(each()) for each in (conductor.run, executors.keep_paying)]
        try:
            yield ExecutorWorld(engine, store, executors, conductor)
        finally:
            for each in working:
                each.cancel()
            await asyncio.gather(*working, return_exceptions=True)


async def vault_of(store, value):
    """Every pipeline may use its one credential."""
    may = Statement(identity=("pipeline/*",), method=("use",), resource=("*",))
    return Vault(
        stored=await StoredCredentials.open(store.journal, Keys([]), now),
        access=Access((may,)),
        audit=await Audit.open(store.journal, now),
        configured={"key": Text(value=Secret(value))},
    )


def hooked(setup="", teardown="", *, scope="task", **more):
    """An executor with these scripts around its work."""
    return ExecutorDefinition(
        setup=EngineHook(script=(setup,)) if setup else None,
        teardown=EngineHook(script=(teardown,)) if teardown else None,
        scope=Scope(scope),
        **more,
    )


def task(*script, **more):
    return TaskDefinition(script=script, **more)
