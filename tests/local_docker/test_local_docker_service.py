"""The real service with local-docker on a real engine: what the product promises holds here, too."""

import asyncio
import random
import signal
from contextlib import suppress
from datetime import timedelta

import pytest
from docker.errors import APIError

from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.server.waiting import settled
from tests.support.docker_world import docker_world

pytestmark = pytest.mark.process

LIVES, JOBS, KILLS = 32, 36, 50


@pytest.fixture
async def world(tmp_path, engine, host_image):
    async with docker_world(tmp_path, engine=engine, image=host_image) as world:
        yield world


@pytest.fixture
async def own_world(tmp_path, start_engine, host_context):
    """With an engine of its own: everything that is left there is counted."""
    engine = start_engine()
    image = engine.build_folder("paas-runner-test/host", host_context, BASE=engine.base)
    async with docker_world(tmp_path, engine=engine, image=image) as world:
        yield world


@pytest.mark.parametrize("inner_executor", ["docker", "shell"])
async def test_jobs_run_on_containers_and_end_as_their_scripts_do(world, inner_executor):
    world.configure(inner_executor=inner_executor)
    async with world.service():
        [good] = world.submit(script=("echo hello from $(cat /etc/debian_version)",))
        [bad] = world.submit(script=("exit 3",))
        await world.settled([good, bad])
    assert (good.status, bad.status) == ("success", "failed"), (good.trace, bad.trace)
    assert (bad.failure_reason, bad.exit_code) == ("script_failure", 3)
    assert b"hello from 1" in good.trace


async def test_a_canceled_job_has_nothing_on_the_engine_after_five_seconds(world):
    async with world.service():
        [job] = world.submit(script=(world.saying_that_it_runs, "sleep 600"))
        await world.until(lambda: world.runs, seconds=60)
        world.sandbox.coordinator.cancel(job.job_id)
        await world.settled([job], seconds=5)
    assert job.status == "canceled"


async def test_a_job_that_takes_too_long_is_ended_and_has_nothing_on_the_engine(world):
    async with world.service():
        [job] = world.submit(script=("sleep 600",), timeout=timedelta(seconds=3))
        await world.settled([job], seconds=60)
    assert (job.status, job.failure_reason) == ("failed", "job_execution_timeout")


async def test_a_running_job_outlives_the_service_and_its_host_goes_after_the_restart(world):
    async with world.service():
        [job] = world.submit(script=("sleep 3", world.saying_that_it_runs))
        await world.until(lambda: world.phases("running"), seconds=60)
    await settled(world.sandbox.coordinator, [job.job_id])
    assert world.alive
    async with world.service():
        await world.settled([job])
    assert (job.status, world.runs) == ("success", {job.job_id: 1})


async def test_a_base_image_that_is_missing_fails_the_job_with_an_account(world):
    world.configure(image="127.0.0.1:9/no/such:image")
    async with world.service():
        [job] = world.submit()
        await world.until(lambda: "its registry does not answer" in world.printed(), seconds=60)
        world.sandbox.coordinator.cancel(job.job_id)
        await world.settled([job])


async def test_a_host_that_is_killed_behind_our_back_ends_its_job_with_an_account(world):
    async with world.service():
        [job] = world.submit(script=(world.saying_that_it_runs, "sleep 600"))
        await world.until(lambda: world.runs, seconds=60)
        with world.engine.client() as client:
            client.kill(world.running[0]["Id"])
        await world.settled([job], seconds=60)
    assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
    assert b"the container ended with exit code 137" in job.trace


async def test_an_engine_that_restarts_ends_its_jobs_and_nothing_else(own_world):
    world = own_world
    before = world.engine.everything()
    async with world.service():
        [job] = world.submit(script=("sleep 600",))
        await world.until(lambda: world.phases("running"), seconds=60)
        await asyncio.get_running_loop().run_in_executor(None, world.engine.restart)
        [late] = world.submit(script=(world.saying_that_it_runs,))
        await world.settled([job, late])
    assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
    assert (late.status, world.runs) == ("success", {late.job_id: 1})
    assert world.engine.everything() == before


async def test_kill_9_of_service_and_inner_runners_leaves_nothing_and_runs_no_job_twice(own_world):
    world, rng = own_world, random.Random(9)
    before = world.engine.everything()
    jobs, killed = [], set()

    def kill_inner_runner():
        if running := world.running:
            container = rng.choice(running)
            with world.engine.client() as client, suppress(APIError):  # it has just ended by itself
                client.kill(container["Id"])
                killed.add(int(container["Names"][0].rpartition("-")[2]))

    for life in range(LIVES):
        service = await world.start()
        try:
            wanted = max(1, JOBS * (life + 1) // LIVES - len(jobs))
            jobs += world.submit(wanted, script=(world.saying_that_it_runs, "sleep 1.5"))
            await world.until(lambda: any(event["event"] == "started" for event in world.log))
            await asyncio.sleep(rng.uniform(0, 2.0))
            if life % 4:
                await world.until(lambda: world.running)
                kill_inner_runner()
        finally:
            service._process.kill()
            exit_code = await service.wait()
        assert exit_code == -signal.SIGKILL, world.last_words
        world.log.clear()
    async with world.service():
        await world.settled(jobs)
    coordinator = world.sandbox.coordinator
    for job in coordinator.jobs.values():
        assert job.count(LedgerKind.ACQUIRED) <= 1
        assert world.runs.get(job.job_id, 0) <= 1
    for last in (coordinator.latest(job.job_id) for job in jobs):
        assert last.job_id in killed or last.status == "success", (
            last.failure_reason,
            coordinator.trace(last.job_id)[-300:],
        )
    assert LIVES + len(killed) >= KILLS
    assert world.engine.everything() == before
