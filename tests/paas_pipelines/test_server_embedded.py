"""The server inside a program of somebody else's (P002, P134): prunner's `PipelineRunner` as an object."""

import asyncio

import pytest
from paas_pipelines.definitions.loading import load
from paas_pipelines.runs.book import UnknownRunError
from paas_pipelines.runs.engine import ShuttingDownError
from paas_pipelines.server.assembly import opened
from paas_pipelines.server.settings import Settings

from paas_runner.secret import Secret
from paas_runner.service.systemd import ServiceManager

DEFINITIONS = """\
pipelines:
  quick: {tasks: {one: {script: [echo 1]}}}
  slow: {tasks: {one: {script: [sleep 1000]}}}
  later: {start_delay: 1ms, tasks: {one: {script: [echo 1]}}}
"""


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


async def test_everything_that_the_api_does_is_a_call(tmp_path):
    (tmp_path / "pipelines.yml").write_text(DEFINITIONS)
    settings = Settings(
        path=tmp_path,
        data=tmp_path / "data",
        jwt_secret=Secret("of no meaning, but long enough"),
        address="127.0.0.1:0",
        env_files=(),
    )
    async with opened(settings, ServiceManager()) as server, asyncio.TaskGroup() as group:
        group.create_task(server.conductor.run())
        engine, book = server.engine, server.engine.book
        assert [each.definition.name for each in engine.pipelines()] == ["later", "quick", "slow"]
        quick, slow, later = (engine.schedule(name, variables={}) for name in ("quick", "slow", "later"))
        await until(lambda: book.run(quick.run_id).completed and book.run(later.run_id).completed)
        engine.cancel(slow.run_id)
        await until(lambda: book.run(slow.run_id).completed)
        assert [run.run_id for run in book.runs()] == [later.run_id, slow.run_id, quick.run_id]
        with pytest.raises(UnknownRunError):
            engine.cancel("nonsense")
        (tmp_path / "pipelines.yml").write_text("pipelines: {other: {}}\n")
        assert engine.replace_definitions(load(settings.path, settings.pattern))
        assert engine.schedule("other", variables={}).completed
        server.conductor.close()
        with pytest.raises(ShuttingDownError):
            engine.schedule("other", variables={})
    assert (
        tmp_path / "data" / "logs" / later.run_id / "one-stdout.log"
    ).exists() is False  # its pipeline is gone
