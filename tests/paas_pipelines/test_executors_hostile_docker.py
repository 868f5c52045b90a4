"""On a real engine: containers that somebody kills, files that a task takes away, an engine that is down."""

import asyncio

import attrs
import pytest
from paas_pipelines.definitions.automation import ExecutorDefinition

from tests.support.executor_world import containers_of, executor_world, task

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def box(engine):
    return ExecutorDefinition(type="docker", name="box", settings={"host": engine.url, "image": engine.base})


@pytest.fixture(autouse=True)
def nothing_is_left(engine, tmp_path):
    yield
    with engine.client() as client:
        assert [each["Names"] for each in containers_of(client, tmp_path / "data")] == []


async def test_a_container_that_somebody_kills_ends_its_task_with_words(tmp_path, box, engine):
    async with executor_world(tmp_path) as world:
        run_id = world.schedule(build=task("echo begun; sleep 60", executor=box))
        await world.says(run_id, "build", "begun\n")
        with engine.client() as client:
            [found] = containers_of(client, tmp_path / "data")
            client.kill(found["Id"])
        build = (await world.ended(run_id)).task("build")
        assert build.exit_code == 137
        assert build.error
        await world.nothing_owed()


HOSTILE = {
    "no folder": "cd /; rm -rf /pipeline-task/files",
    "a link instead": "cd /; rm -rf /pipeline-task/files; ln -s /etc /pipeline-task/files",
    "no file": "mkfifo x",
    "a device": "mknod x c 1 5 || mkfifo x",
    "a link out of it": "ln -s /etc/passwd x",
    "too much": "truncate -s 300M x",
}


async def test_what_a_hostile_task_leaves_ends_with_words(tmp_path, box):
    async with executor_world(tmp_path) as world:
        for name, script in HOSTILE.items():
            run = await world.ran(seconds=120, build=task(script, executor=box, save=("x",)))
            assert run.task("build").error.startswith("save: "), name
        await world.nothing_owed()


async def test_an_engine_that_is_down_is_told_and_nothing_has_begun(tmp_path, box):
    down = attrs.evolve(box, settings={**box.settings, "host": f"unix://{tmp_path}/nowhere"})
    async with executor_world(tmp_path) as world:
        world.executors.contained = attrs.evolve(world.executors.contained, patience_seconds=0.5)
        run = await world.ran(build=task("true", executor=down))
        assert "there is no engine" in run.task("build").error
        await asyncio.wait_for(world.nothing_owed(), 60)
