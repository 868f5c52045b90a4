"""The conductor with tasks of this machine, logs as files and a journal on a disk: nothing is played."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from paas_pipelines.definitions.definition import Definition, OnError, Restart, TaskDefinition
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import Run
from paas_pipelines.store.logs import Stream
from paas_pipelines.store.opening import Store, opened
from paas_pipelines.tasks.conductor import Conductor
from paas_pipelines.tasks.local import LocalPlace

from tests.support.processes import alive, until


@contextlib.asynccontextmanager
async def serving(folder: Path, *definitions: Definition) -> AsyncIterator[tuple[Engine, Store]]:
    """As the server does it; the end comes at once, as by SIGKILL but for the keepers."""
    async with opened(folder / "data", most_log_bytes=1_000_000) as store:
        engine = Engine(lambda: datetime.now(UTC), store.runs, {each.name: each for each in definitions})
        engine.recover()
        await store.journal.flushed()
        place = LocalPlace(os.environ, folder=folder)
        conductor = Conductor(
            engine, store.journal, store.logs, lambda _task: place, clock=lambda: datetime.now(UTC)
        )
        task = asyncio.create_task(conductor.run())
        try:
            yield engine, store
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def pipeline(on_error: OnError | None = None, **tasks: TaskDefinition) -> Definition:
    return Definition(name="one", source="pipelines.yml", tasks=tasks, on_error=on_error)


def task(*script: str, **keys: object) -> TaskDefinition:
    return TaskDefinition(script=script, **keys)


async def ended(engine: Engine, run: Run) -> Run:
    await until(
        lambda: (now := engine.book.run(run.run_id)).completed or (now.canceled and not now.active), 60
    )
    return engine.book.run(run.run_id)


async def test_a_failure_ends_the_others_and_its_hook_knows_what_was_said(tmp_path: Path) -> None:
    """P050 to P053, P074."""
    definition = pipeline(
        OnError(script=("echo '{{ .failedTaskName }} {{ .failedTaskExitCode }}: {{ .failedTaskStderr }}'",)),
        bad=task("until [ -e up ]; do sleep 0.01; done; echo oh no >&2; exit 9"),
        long=task("touch up; sleep 64.001"),
        late=task("touch late", depends_on=("long",)),
    )
    async with serving(tmp_path, definition) as (engine, store):
        run = await ended(engine, engine.schedule("one", variables={}))
        assert {each.name: str(each.status) for each in run.tasks} == {
            "bad": "error",
            "late": "canceled",
            "long": "canceled",
            "on_error": "done",
        }
        said = store.logs.read(run.run_id, "on_error", Stream.STDOUT)
        assert said.decode().strip() == "bad 9: oh no"
        assert run.last_error == "exit status 9"
        assert not run.canceled
    assert not alive("64.001")
    assert not (tmp_path / "late").exists()


async def test_a_cancel_ends_the_processes_and_the_run(tmp_path: Path) -> None:
    """P068, P118."""
    async with serving(tmp_path, pipeline(a=task("setsid sleep 64.002 & sleep 64.002"))) as (engine, _):
        run = engine.schedule("one", variables={})
        await until(lambda: alive("64.002"), 60)
        engine.cancel(run.run_id)
        run = await ended(engine, run)
        assert run.last_error == "context canceled"
        assert run.task("a").exit_code in (130, 137)
        assert not alive("64.002")


@pytest.mark.parametrize("restart", list(Restart))
async def test_what_died_with_the_server_is_canceled_or_run_again(tmp_path: Path, restart: Restart) -> None:
    """P111, and `restart: retry`."""
    number = "64.003" if restart is Restart.RETRY else "64.004"
    script = f"if ! [ -e begun ]; then echo x >>begun; sleep {number}; fi; echo x >>begun"
    definition = pipeline(a=task(script, restart=restart), b=task("true", depends_on=("a",)))
    async with serving(tmp_path, definition) as (engine, _):
        run = engine.schedule("one", variables={})
        await until(lambda: alive(number), 60)
    assert not alive(number)
    async with serving(tmp_path, definition) as (engine, _):
        run = await ended(engine, run)
    assert run.completed is (restart is Restart.RETRY)
    assert run.task("a").attempt == (2 if restart is Restart.RETRY else 1)
    assert len((tmp_path / "begun").read_text().splitlines()) == run.task("a").attempt
