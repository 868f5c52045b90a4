"""A stop, an update, a drain: how long they take, what is cared for meanwhile, what is never lost."""

import asyncio
import functools

import pytest

from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.sandbox.faults import Delay
from paas_runner.secret import Secret
from paas_runner.store import StoreError
from paas_runner.store.state_file import StateFileError
from tests.support.operated_world import OperatedWorld


@pytest.fixture
def operate(tmp_path):
    return functools.partial(OperatedWorld.play, tmp_path)


async def stopped(world, serving, stopping):
    began = world.seconds()
    stopping.set()
    await serving
    return world.seconds() - began


@pytest.mark.parametrize(("held_for", "most"), [(40, 0.5), (5, 0.5), (0.1, 1.5)])
def test_a_request_that_is_held_delays_no_stop(operate, held_for, most):
    async def story(world):
        serving, stopping = world.start()
        await asyncio.sleep(3 + held_for)  # the first request is answered at once, the next is held for 50 s
        assert await stopped(world, serving, stopping) < most

    operate(story)


def test_a_job_that_comes_while_a_stop_waits_is_kept(operate):
    async def story(world):
        world.coordinator_faults.add(Delay(5), method="POST", path="/api/v4/jobs/request")
        serving, stopping = world.start()
        job = world.submit()
        await asyncio.sleep(1)
        await stopped(world, serving, stopping)
        assert job.count(LedgerKind.ACQUIRED) == 1
        assert [record.key.job_id for record in await world.store.jobs()] == [job.job_id]
        async with world.service():
            await world.settled(job)
        assert job.status == "success"

    operate(story)


@pytest.mark.parametrize("state_file", ["written", "refused"])
def test_a_job_that_is_on_no_disk_at_the_stop_is_reported_as_failed(operate, state_file):
    async def story(world):
        async def refusing(job):
            raise StoreError("the disk is full")

        save, world.store.save = world.store.save, refusing
        kept = world.configuration().state_file
        in_the_way = kept.with_name(f"{kept.name}.new")
        if state_file == "refused":
            in_the_way.mkdir()
        serving, stopping = world.start()
        job = world.submit()
        await asyncio.sleep(10)
        assert job.count(LedgerKind.ACQUIRED) == 1
        stopping.set()
        if state_file == "refused":
            with pytest.raises(StateFileError):
                await serving
            assert job.failure_reason == "runner_system_failure"
            assert b"no record of this job" in world.gitlab.trace(job.job_id)
            in_the_way.rmdir()
        else:
            await serving
            assert job.status == "running"
        assert not world.launches
        world.store.save = save
        async with world.service():
            await world.settled(job)
        assert job.status == ("failed" if state_file == "refused" else "success")

    operate(story)


def test_jobs_are_cared_for_while_a_stop_waits_for_an_answer(operate):
    async def story(world):
        world.write(concurrent=3, job_progress_poll_interval=5)
        serving, stopping = world.start()
        jobs = [world.submit("sleep 20", name=f"job {n}") for n in range(2)]
        await asyncio.sleep(15)
        assert len(world.alive) == 2
        world.coordinator_faults.add(Delay(28), method="POST", path="/api/v4/jobs/request")
        await asyncio.sleep(4)
        assert await stopped(world, serving, stopping) > 20
        assert {job.status for job in jobs} == {"success"}
        assert not world.alive

    operate(story, coordinator={"long_poll_seconds": 0.0})


def test_a_drain_ends_and_names_the_hosts_that_cannot_be_removed_and_why(operate):
    async def story(world):
        async with world.service() as serving:
            job = world.submit("sleep 30")
            await asyncio.sleep(20)
            world.cloud.accounts.replace_tokens(world.organisation, Secret("revoked"))
            began = world.seconds()
            parts = await world.ask("drain", wait=True)
            await serving
        certificate = parts[-1]["certificate"]
        assert world.seconds() - began < 15 * 60
        assert job.status == "success"
        assert not certificate["drained"]
        [left] = certificate["left_jobs"]
        assert left["host"] == world.alive[0].app_id
        assert "401" in left["why"]

    operate(story)


def test_a_job_cancelled_while_the_disk_refuses_the_intent_is_not_launched(operate):
    async def story(world):
        save = world.store.save

        async def refusing(job):
            cancelled = world.gitlab.jobs[job.key.job_id].count(LedgerKind.CANCELING)
            if job.phase == "launching" and not cancelled:
                world.refused += 1
                raise StoreError("the disk is full")
            await save(job)

        world.refused = 0
        world.store.save = refusing
        async with world.service():
            job = world.submit()
            await asyncio.sleep(60)
            assert world.refused > 3
            world.gitlab.cancel(job.job_id)
            await world.settled(job)
        assert set(world.launches.values()) == {0}

    operate(story)
