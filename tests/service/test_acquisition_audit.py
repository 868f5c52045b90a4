"""A job that was lost between the coordinator's answer and the disk is found and put right, no other one."""

import asyncio
import json

import pytest

from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.sandbox.faults import Answer, DropAfter, DropBefore
from tests.support.logged_events import events_in

LIST, CANCEL = "canary-list-0123456789", "canary-cancel-0123456789"
FINDS = """
  [runners.paas_acquisition_audit]
    token = "admin"
"""
MENDS = FINDS + '    cancel_token = "admin"\n'
LOST = {"path": "/api/v4/jobs/request", "times": 1}
MINUTE = 60


async def acquired(world, job):
    while not job.count(LedgerKind.ACQUIRED):
        await asyncio.sleep(1)
        job = world.gitlab.jobs[job.job_id]


def test_a_lost_job_is_found_canceled_and_retried_within_three_minutes(play, logs):
    async def story(world):
        world.coordinator_faults.add(DropAfter(), **LOST)
        async with world.service():
            job = world.submit("true")
            await acquired(world, job)
            since = world.seconds()
            await world.settled(job)
            while world.gitlab.latest(job.job_id).job_id == job.job_id:
                await asyncio.sleep(1)
            assert world.seconds() - since < 3 * MINUTE
            again = world.gitlab.latest(job.job_id)
            await world.settled(again)
        assert world.gitlab.jobs[job.job_id].status == "canceled"
        assert world.gitlab.latest(job.job_id).status == "success"
        assert sum(world.launches.values()) == 1

    play(story, runner=MENDS)
    assert [line["job"] for line in events_in(logs, "job_lost")] == [1]
    assert [(line["job"], line["retried_as"]) for line in events_in(logs, "lost_job_retried")] == [(1, 2)]
    assert events_in(logs, "stopped")[0]["jobs_lost"] == 1


def test_after_a_kill_the_next_start_finds_what_was_lost(play, logs):
    """The process dies between the answer and the record, and with it all that it knew."""

    async def story(world):
        serving, _ = world.start()
        add = world.store.add

        async def killed(_job):
            serving.cancel()
            await asyncio.get_running_loop().create_future()

        world.store.add = killed
        job = world.submit("true")
        await acquired(world, job)
        await asyncio.gather(serving, return_exceptions=True)
        world.store.add = add
        async with world.service():
            while world.gitlab.latest(job.job_id).job_id == job.job_id:
                await asyncio.sleep(1)
            await world.settled(world.gitlab.latest(job.job_id))
        assert world.gitlab.latest(job.job_id).status == "success"

    play(story, runner=MENDS)
    assert len(events_in(logs, "job_lost")) == 1


def test_with_the_first_token_alone_a_lost_job_is_only_told(play, logs):
    async def story(world):
        world.coordinator_faults.add(DropAfter(), **LOST)
        async with world.service():
            job = world.submit("true")
            await asyncio.sleep(20 * MINUTE)
        assert world.gitlab.jobs[job.job_id].status == "running"

    play(story, runner=FINDS)
    assert [(line["job"], line["jobs_lost"]) for line in events_in(logs, "job_lost")] == [(1, 1)]


def test_of_jobs_that_wait_run_and_end_for_hours_none_is_ever_lost(play, logs):
    async def story(world):
        async with world.service():
            jobs = []
            for number in range(40):
                jobs.append(world.submit(f"sleep {number * 37 % 900}", name=f"job {number}"))
                await asyncio.sleep(number * 61 % 130)
            await world.settled(*jobs)
        assert all(world.gitlab.jobs[job.job_id].status == "success" for job in jobs)

    play(story, runner=MENDS + "    every_seconds = 30\n", concurrent=5)
    assert not events_in(logs, "job_lost")
    assert not events_in(logs, "audit_failed")


def test_a_job_whose_record_the_disk_refuses_for_long_is_in_nobodys_list_of_lost_ones(play, logs):
    from paas_runner.store import StoreError

    async def story(world):
        add = world.store.add

        async def refused(_job):
            raise StoreError("the disk is full")

        world.store.add = refused
        async with world.service():
            job = world.submit("true")
            await asyncio.sleep(20 * MINUTE)
            world.store.add = add
            await world.settled(job)
        assert world.gitlab.jobs[job.job_id].status == "success"

    play(story, runner=MENDS)
    assert not events_in(logs, "job_lost")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_coordinator_that_refuses_the_list_is_said_once_and_jobs_go_on(play, logs, status):
    async def story(world):
        world.coordinator_faults.add(Answer(status), path="/api/v4/runners/*/jobs")
        async with world.service():
            job = world.submit("true")
            await world.settled(job)
            await asyncio.sleep(60 * MINUTE)
        assert world.gitlab.jobs[job.job_id].status == "success"

    play(story, runner=MENDS)
    [said] = events_in(logs, "audit_refused")
    assert str(status) in said["reason"]


def test_a_coordinator_that_does_not_answer_is_asked_again_later(play, logs):
    async def story(world):
        world.coordinator_faults.add(DropAfter(), **LOST)
        world.coordinator_faults.add(DropBefore(), path="/api/v4/runners/*/jobs", times=9)
        async with world.service():
            job = world.submit("true")
            while world.gitlab.latest(job.job_id).job_id == job.job_id:
                await asyncio.sleep(1)
            await world.settled(world.gitlab.latest(job.job_id))

    play(story, runner=MENDS)
    assert len(events_in(logs, "audit_failed")) == 1
    assert len(events_in(logs, "lost_job_retried")) == 1


def test_the_tokens_are_in_no_line_of_the_log(play, logs):
    async def story(world):
        async with world.service():
            await asyncio.sleep(10 * MINUTE)

    audit = f'[runners.paas_acquisition_audit]\ntoken = "{LIST}"\ncancel_token = "{CANCEL}"\n'
    play(story, runner=audit)
    assert events_in(logs, "audit_refused")
    told = json.dumps(logs, default=str)
    assert LIST not in told
    assert CANCEL not in told
