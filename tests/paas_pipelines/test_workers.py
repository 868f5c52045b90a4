"""Which workers take a task that requires something of them, and what is said of one that waits."""

import asyncio
from datetime import timedelta

import pytest
from paas_pipelines.tasks.remote import RemotePlace
from paas_pipelines.tasks.workers import all_workers, waiting_tasks

from tests.support.remote_tasks import remote_world

ARM = {"platform": "linux", "architecture": "arm64", "executor": "shell"}
INTEL = {"platform": "linux", "architecture": "amd64", "executor": "docker"}


def needing(*labels, **more):
    return {"runner": None, "image": "any", "requires_worker": labels, **more}


@pytest.mark.parametrize(
    "labels",
    [("arch=arm64",), ("os=linux", "executor=shell"), ("gpu", "arch"), ("gpu=1",), ("arch=arm64", "gpu=1")],
)
async def test_a_task_goes_to_the_machine_that_has_what_it_requires(labels):
    async with remote_world() as world:
        world.begin(world.schedule(**needing(*labels)))
        await asyncio.sleep(0)
        other = world.add_runner("other", tags=("gpus=1", "fast"))
        runner = world.add_runner("one", tags=("gpu=1",), runs_untagged=False)
        assert (await world.poll(other, info={"features": {}, **INTEL})).status_code == 204
        job = await world.acquired(runner, info={"features": {}, **ARM})
        assert job["job_info"]["name"] == "build"


async def test_without_requirement_any_worker_takes_it():
    async with remote_world() as world:
        world.begin(world.schedule(runner=None, image="any"))
        await asyncio.sleep(0)
        assert await world.acquired(world.add_runner("one", tags=("gpu=1",)))


async def test_what_no_worker_has_is_told_at_once():
    async with remote_world() as world:
        runner = world.add_runner("one", tags=("fast",))
        await world.poll(runner, info=INTEL)
        world.begin(world.schedule(**needing("gpu=1", "fast")))
        await asyncio.sleep(0)
        [waiting] = waiting_tasks(world.engine, world.coordinator)
        assert (waiting.task, waiting.reason) == ("build", "no worker has gpu=1")
        [worker] = all_workers(world.coordinator)
        assert worker.labels == ("arch=amd64", "executor=docker", "fast", "os=linux")


async def test_a_task_that_no_worker_can_take_fails_after_a_day():
    async with remote_world() as world:
        place = RemotePlace(world.coordinator, world.engine, stuck_after=timedelta(hours=24))
        run = world.schedule(**needing("gpu=1"))
        waiting = world.begin(run, place)
        await asyncio.sleep(0)
        assert not waiting.done()
        world.clock.ahead = timedelta(hours=25)
        end = await world.begin(run, place)  # as after a restart
        assert end.error == "no worker has gpu=1 for 24 h"
