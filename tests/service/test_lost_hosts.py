"""Hosts that vanish, die or never come up under a job: noticed, told, and never mistaken."""

import asyncio
from datetime import timedelta

import pytest

from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer, Delay, DropBefore, Hang

SLOW = CloudOptions(
    deployment_delay=timedelta(seconds=5),
    boot_delay=timedelta(seconds=20),
    build_delay=timedelta(seconds=10),
)


async def running(world, *script):
    """A job that has begun to run, and its application."""
    job = world.submit(*script)
    while not job.trace:
        await asyncio.sleep(1)
    [application] = world.cloud.applications(world.organisation)
    return job, application


def looks(world):
    """The requests for what belongs to one application."""
    return sum(count for route, count in world.cloud.ledger.requests.items() if "{application}" in route)


def assert_lost(world, job, *words):
    assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
    for word in words:
        assert word in job.trace.decode()
    assert "canary" not in job.trace.decode()
    assert not world.alive


def test_an_application_that_is_deleted_under_a_running_job_is_missed_within_two_minutes(play):
    async def story(world):
        async with world.service():
            job, application = await running(world, "sleep 3000")
            await asyncio.sleep(100)
            await world.cloud.delete(world.organisation, application.id)
            lost_at = world.seconds()
            await world.settled(job)
            assert world.seconds() - lost_at < 120
        assert_lost(world, job, "removed by someone else", application.id)

    play(story, cloud=SLOW)


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("moment", [0, 25, 50, 75])
def test_a_machine_that_dies_under_a_running_job_is_missed_within_two_minutes(play, moment, replaced):
    async def story(world):
        async with world.service():
            job, application = await running(world, "sleep 3000")
            await asyncio.sleep(moment)
            world.cloud.lose_instance(application, replaced=replaced)
            lost_at = world.seconds()
            await world.settled(job)
            assert world.seconds() - lost_at < 120
        assert_lost(world, job, "flavor M in zone par", "FAIL", "Build succeeded in 10 seconds")

    play(story, cloud=SLOW)


def test_a_stopped_application_is_missed(play):
    async def story(world):
        async with world.service():
            job, application = await running(world, "sleep 3000")
            await world.cloud.stop(application)
            await world.settled(job)
        assert_lost(world, job, "CANCELLED")

    play(story)


@pytest.mark.parametrize("logs_refused", [False, True])
def test_the_author_reads_the_end_of_a_failed_builds_log_where_it_can_be_had(play, logs_refused):
    async def story(world):
        async with world.service():
            job = world.submit("true")
            await world.settled(job)
            assert world.seconds() < 120
        last_lines = "    ERROR the base image does not exist\n    Deploy failed in 0 seconds"
        assert_lost(world, job, "Its own log:  not available" if logs_refused else last_lines)

    play(story, cloud=CloudOptions(build_fails=True, logs_refused=logs_refused))


@pytest.mark.parametrize(("fault", "usual"), [(Answer(503), 19), (DropBefore(), 19), (Hang(), 12)])
def test_a_cloud_that_is_down_for_ten_minutes_does_nothing_to_a_running_job(play, fault, usual):
    async def story(world):
        async with world.service():
            job, _ = await running(world, "sleep 900")
            world.cloud_faults.add(fault)
            looks = world.coordinator_faults.add(Delay(0), method="GET", path="/api/v4/job")
            await asyncio.sleep(600)
            assert looks.applied >= usual, "the job itself was still asked about"
            world.cloud_faults.clear()
            await world.settled(job)
        assert job.status == "success"

    play(story, cloud=SLOW)


def test_a_token_that_the_cloud_no_longer_knows_does_nothing_to_a_running_job(play):
    async def story(world):
        async with world.service():
            job, _ = await running(world, "sleep 900")
            world.cloud_faults.add(Answer(401, body=b'{"id": 2001, "message": "Not connected"}'))
            await asyncio.sleep(600)
            world.cloud_faults.clear()
            await world.settled(job)
        assert job.status == "success"

    play(story)


@pytest.mark.long
@pytest.mark.parametrize("task_running_shown", [False, True])
def test_jobs_that_end_at_any_moment_between_the_looks_keep_their_result(play, task_running_shown):
    async def story(world):
        async with world.service():
            good = [world.submit(f"sleep {50 + n * 1.7}", name=f"good {n}") for n in range(40)]
            bad = [world.submit(f"sleep {50 + n * 3.1}", "exit 3", name=f"bad {n}") for n in range(20)]
            await world.settled(*good, *bad)
        assert {job.status for job in good} == {"success"}
        assert {(job.status, job.failure_reason) for job in bad} == {("failed", "script_failure")}
        assert not any(b"The host of this job" in job.trace for job in (*good, *bad))

    options = CloudOptions(task_running_shown=task_running_shown, boot_delay=timedelta(seconds=7))
    play(story, cloud=options, concurrent=60, more="paas_max_concurrent_provisioning = 60")


def test_a_job_that_succeeded_is_not_reported_failed_even_when_nobody_says_so_but_its_log(play):
    """The host is found stopped, the coordinator's status is stale: the log, which is closed, decides."""

    async def story(world):
        async with world.service():
            job, _ = await running(world, "sleep 40", "echo done")
            stale = Answer(200, headers={"Content-Type": "application/json"}, body=b'{"status": "running"}')
            world.coordinator_faults.add(stale, method="GET", path="/api/v4/job")
            await world.settled(job)
        assert job.status == "success"
        assert b"done" in job.trace
        assert b"The host of this job" not in job.trace

    play(story)


def test_a_running_job_costs_the_cloud_one_request_a_minute_and_the_disk_nothing(play):
    async def story(world):
        async with world.service():
            job, _ = await running(world, "sleep 1200")
            await asyncio.sleep(60)
            [recorded], before = await world.store.jobs(), looks(world)
            await asyncio.sleep(600)
            assert 9 <= looks(world) - before <= 11
            assert (await world.store.jobs())[0] is recorded
            await world.settled(job)
        assert job.status == "success"

    play(story)
