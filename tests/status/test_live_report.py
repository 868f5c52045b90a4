"""What the running service says of itself, in virtual time."""

import asyncio
import itertools
import json
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer
from paas_runner.status.report import RunnerReport, RunnerState, ServiceState, StatusReport, from_data
from paas_runner.status.views import JobExplanation, format_explanation, page
from paas_runner.store import StoreError
from paas_runner.testing import MemoryStore
from paas_runner.testing.virtual_time import run_virtual
from tests.support.operated_world import OperatedWorld

SLOW = CloudOptions(repository_delay=timedelta(seconds=10))
REQUEST = "/api/v4/jobs/request"


@pytest.fixture
def play(tmp_path):
    def run(story, **options):
        async def main():
            world = OperatedWorld(tmp_path, **options)
            try:
                await story(world)
            finally:
                await world.aclose()

        run_virtual(main())

    return run


async def report(world):
    [answer] = await world.ask("status")
    return from_data(json.loads(json.dumps(answer)), StatusReport)


async def runner(world):
    [found] = (await report(world)).runners
    return found


def test_a_job_is_shown_with_its_phase_its_host_what_was_last_and_what_is_next(play):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 30")
            await asyncio.sleep(8.5)
            found = await report(world)
            [shown] = found.jobs
            assert (shown.job, shown.runner_name, shown.phase) == (job.job_id, "virtual", "provisioning")
            assert shown.host.startswith("app_")
            assert shown.host_name == f"hpd-job-{world.key}-{job.job_id}"
            assert shown.flavor == "M"
            assert 0 < shown.phase_seconds <= shown.age_seconds < 9
            assert shown.last.what == "the host does not take the job yet"
            assert shown.next.what == "ask whether the host takes the job"
            assert 0 < (shown.next.at - found.at).total_seconds() <= 2
            assert found.capacity.concurrent.used == found.capacity.provisioning.used == 1
            assert found.capacity.concurrent.limit == 10
            assert found.capacity.quota is None
            assert found.service.state is ServiceState.RUNNING
            await world.settled(job)
            await asyncio.sleep(1)
            assert not (await report(world)).jobs

    play(story, cloud=SLOW)


def test_the_job_loop_does_what_the_report_announced_when_it_announced_it(play):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 200")
            await asyncio.sleep(61)
            [shown] = (await report(world)).jobs
            assert shown.phase == "running"
            [explanation] = await world.ask("explain", job=job.job_id)
            before = explanation["history"]
            found = await report(world)
            await asyncio.sleep((shown.next.at - found.at).total_seconds() + 1)
            [explanation] = await world.ask("explain", job=job.job_id)
            assert explanation["history"] != before
            await world.settled(job)

    play(story)


def test_a_runner_without_work_is_polling(play):
    async def story(world):
        async with world.service():
            await asyncio.sleep(10)
            assert await runner(world) == RunnerReport(
                name="virtual", runner=world.key, state=RunnerState.POLLING, why=""
            )

    play(story)


def test_a_runner_that_takes_the_last_place_with_its_own_request_is_polling(play):
    async def story(world):
        world.write(concurrent=1)
        async with world.service():
            await asyncio.sleep(10)
            assert (await runner(world)).state is RunnerState.POLLING

    play(story)


def test_a_runner_without_room_says_which_bound_is_reached(play):
    async def story(world):
        world.write(concurrent=1)
        async with world.service():
            job = world.submit("sleep 60")
            await asyncio.sleep(20)
            found = await runner(world)
            assert (found.state, found.why) == (RunnerState.NO_ROOM, "`concurrent` = 1 is reached")
            assert found.jobs == 1
            await world.settled(job)

    play(story)


def test_a_runner_whose_coordinator_fails_says_why_and_when_it_tries_again(play):
    async def story(world):
        rule = world.coordinator_faults.add(Answer(503), path=REQUEST)
        async with world.service():
            await asyncio.sleep(30)
            found, now = await runner(world), (await report(world)).at
            assert found.state is RunnerState.BACKING_OFF
            assert "503" in found.why
            assert timedelta() <= found.until - now <= timedelta(seconds=31)
            world.coordinator_faults.remove(rule)
            await asyncio.sleep(60)
            assert (await runner(world)).state is RunnerState.POLLING

    play(story)


def test_a_paused_runner_is_shown_as_paused_and_a_drained_service_as_draining(play):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 60")
            await asyncio.sleep(10)
            await world.ask("pause", runner="virtual")
            assert (await runner(world)).state is RunnerState.PAUSED
            await world.ask("drain")
            await asyncio.sleep(0)
            found = await report(world)
            assert found.service.state is ServiceState.DRAINING
            assert found.runners[0].state is RunnerState.DRAINING
            await world.settled(job)

    play(story)


def test_a_runner_that_a_reload_took_out_of_service_is_shown_until_its_last_job_is_gone(play):
    async def story(world):
        world.add_runner("other")
        world.write()
        async with world.service():
            job = world.submit("sleep 100")
            await asyncio.sleep(30)
            [shown] = (await report(world)).jobs
            [left] = {"virtual", "other"} - {shown.runner_name}
            world.write(left)
            await world.reload()
            staying, leaving = (await report(world)).runners
            assert (staying.name, staying.state) == (left, RunnerState.POLLING)
            assert (leaving.name, leaving.state) == (shown.runner_name, RunnerState.DRAINING)
            assert leaving.why == "no longer in the configuration: its jobs run to their end"
            assert (await report(world)).jobs[0].next
            await world.settled(job)
            await asyncio.sleep(60)
            assert [runner.name for runner in (await report(world)).runners] == [left]

    play(story)


def test_a_quota_is_shown_with_its_use(play):
    async def story(world):
        quota = '\n[quota_computation]\nreference_runner = "virtual"\nreference_flavor = "M"'
        world.write(more=quota + "\nreference_jobs_count = 3")
        async with world.service():
            job = world.submit("sleep 60")
            await asyncio.sleep(20)
            quota = (await report(world)).capacity.quota
            assert quota.limit == pytest.approx(3 * quota.used)
            await world.settled(job)

    play(story)


def test_explain_tells_the_whole_chain_and_only_of_the_job_that_is_meant(play):
    async def story(world):
        async with world.service():
            first, second = world.submit("sleep 100"), world.submit("sleep 100")
            await asyncio.sleep(61)
            [answer] = await world.ask("explain", job=first.job_id)
            explanation = from_data(json.loads(json.dumps(answer)), JobExplanation)
            assert explanation.key.job_id == first.job_id
            happened = [entry.what for entry in explanation.history]
            for earlier, later in itertools.pairwise(CHAIN):
                assert happened.index(earlier) < happened.index(later)
            text = format_explanation(explanation)
            assert f"job {first.job_id} of runner virtual ({world.key}) is running" in text
            assert text.splitlines()[-1].strip().startswith("next  in ")
            assert await world.ask("explain", job=999) == []
            await world.settled(first, second)
        history = world.store.histories[explanation.key]
        assert [entry.event for entry in history][-2:] == ["ended", "decommissioned"]

    play(story, cloud=SLOW)


CHAIN = [
    "acquired",
    "a host is asked for",
    "host created",
    "the host does not take the job yet",
    "the host takes the job",
    "the job is handed to its host",
    "the host has the job",
    "the job has begun",
]


def test_a_failing_cloud_is_shown_with_its_answer_and_the_next_try(play):
    async def story(world):
        world.cloud_faults.add(Answer(503), method="POST", path="/v2/organisations/*/applications", times=3)
        async with world.service():
            job = world.submit("sleep 10")
            await asyncio.sleep(6)
            [answer] = await world.ask("explain", job=job.job_id)
            text = format_explanation(from_data(answer, JobExplanation))
            assert "there is no host yet" in text
            assert "503" in text
            [shown] = (await report(world)).jobs
            assert shown.next.what == "look whether there is a host already, else ask for one"
            assert "failed, the last: " in shown.next.why
            await world.settled(job)

    play(story)


def test_a_dump_logs_everything_and_no_secret(play):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 60")
            await asyncio.sleep(30)
            with capture_logs() as logs:
                await world.ask("dump")
            assert [event["event"] for event in logs] == ["service_state", "runner_state", "job_state"]
            shown = f"{logs} {page(await report(world))} {await world.ask('explain', job=job.job_id)}"
            [record] = await world.store.jobs()
            for secret in (record.token.reveal(), world.runner.token.reveal(), "cloud-token-canary"):
                assert secret not in shown
            assert "deploy_url" not in shown
            await world.settled(job)

    play(story)


class FullDisk(MemoryStore):
    """One that refuses records while it is full."""

    full = False

    async def save(self, job):
        if self.full:
            raise StoreError("state.db: disk I/O error: No space left on device")
        await super().save(job)


def test_a_disk_that_takes_no_records_is_shown_until_it_does(play):
    async def story(world):
        world.store = FullDisk()
        async with world.service():
            await asyncio.sleep(1)
            world.store.full = True
            job = world.submit("true")
            await asyncio.sleep(20)
            found = await report(world)
            assert found.service.trouble.startswith("the records cannot be written: state.db")
            assert f"; {found.service.trouble}" in page(found)
            [shown] = found.runners
            assert shown.state is RunnerState.BACKING_OFF
            assert f"before the record of job {job.job_id} can be written" in shown.why
            world.store.full = False
            await world.settled(job)
            await asyncio.sleep(10)
            found = await report(world)
            assert (found.service.trouble, found.runners[0].state) == ("", RunnerState.POLLING)

    play(story)
