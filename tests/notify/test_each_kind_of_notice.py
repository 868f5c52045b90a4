"""Each kind of notice in the world that it is about: told when it is so, never of an author's mistakes."""

import asyncio

from structlog.testing import capture_logs

from paas_runner.job.variables import Variable
from paas_runner.sandbox.faults import Answer, DropAfter
from paas_runner.store import StoreError
from tests.service.test_orphans import GRACE, another_like, gone, host_of_a_job
from tests.service.test_quota import quota, wants

MINUTE = 60


def of_kind(world, kind):
    return [told for told in world.told if told["kind"] == kind]


def test_what_an_author_got_wrong_wakes_nobody(notified):
    async def story(world):
        wrong = (Variable(key="CI_CLEVER_CLOUD_FLAVOR", value="9XL"),)
        async with world.service():
            jobs = [world.submit("exit 3"), world.submit(variables=wrong), world.submit("sleep 600")]
            await asyncio.sleep(2 * MINUTE)
            world.gitlab.cancel(jobs[2].job_id)
            await world.settled(*jobs)
            await asyncio.sleep(10 * MINUTE)
        assert [job.status for job in jobs] == ["failed", "failed", "canceled"]
        assert world.told == []

    notified(story)


def test_a_host_that_is_gone_while_its_job_runs_is_told_with_job_and_host(notified):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 1800")
            await asyncio.sleep(3 * MINUTE)
            [host] = world.alive
            await world.cloud.delete(world.organisation, host.app_id)
            await world.settled(job)
            await asyncio.sleep(5 * MINUTE)
        [told] = of_kind(world, "host_lost")
        assert told["jobs"] == [{"runner": "virtual", "job": job.job_id, "host": host.app_id}]
        assert told["why"]

    notified(story)


def test_an_orphan_that_is_found_is_told_with_its_name(notified):
    async def story(world):
        async with world.service():
            job, application = await host_of_a_job(world)
            await world.settled(job)
            await gone(world, another_like(world, application, age=GRACE))
            await asyncio.sleep(5 * MINUTE)
        [told] = world.told
        assert (told["kind"], told["state"], told["count"]) == ("orphan_found", "happened", 1)
        assert f"hpd-job-{world.key}-{job.job_id}" in told["why"]

    notified(story)


def test_a_job_that_was_lost_on_its_way_is_told_with_its_number(notified):
    async def story(world):
        world.write(more='[runners.paas_acquisition_audit]\n  token = "admin"')
        world.coordinator_faults.add(DropAfter(), path="/api/v4/jobs/request", times=1)
        async with world.service():
            job = world.submit("true")
            await asyncio.sleep(10 * MINUTE)
        [told] = of_kind(world, "job_lost")
        assert (told["subject"], told["count"]) == ("virtual", 1)
        assert [each["job"] for each in told["jobs"]] == [job.job_id]

    notified(story)


def test_a_quota_that_is_exhausted_for_long_is_told_and_that_there_is_room_again(notified):
    async def story(world):
        async with world.service():
            jobs = [world.submit("sleep 240", name=f"job {n}", variables=wants("M")) for n in range(4)]
            await asyncio.sleep(4 * MINUTE)
            assert world.told == []
            await asyncio.sleep(6 * MINUTE)
            assert world.words == [("quota_exhausted", "begun")]
            await world.settled(*jobs)
            await asyncio.sleep(10 * MINUTE)
        assert world.words == [("quota_exhausted", "begun"), ("quota_exhausted", "over")]

    notified(story, notify="quota_seconds = 300", tail=quota("M", 1))


def test_a_disk_that_takes_no_records_is_told_although_it_takes_no_notices_either(notified):
    full = True

    async def story(world):
        save, keep = world.store.save, world.store.keep_notices

        async def refusing(*what, then):
            if full:
                raise StoreError("the disk is full")
            return await then(*what)

        world.store.save = lambda *what: refusing(*what, then=save)
        world.store.keep_notices = lambda *what: refusing(*what, then=keep)
        with capture_logs() as logs:
            await outage(world)
        assert [line["event"] for line in logs].count("notices_not_written") == 1
        assert world.words == [("store_unwritable", "begun"), ("store_unwritable", "over")]

    async def outage(world):
        nonlocal full
        async with world.service():
            job = world.submit()
            await asyncio.sleep(10 * MINUTE)
            assert world.words == [("store_unwritable", "begun")]
            assert "the disk is full" in world.told[0]["why"]
            full = False
            await world.settled(job)
            await asyncio.sleep(10 * MINUTE)

    notified(story)


def test_what_a_cloud_quotes_of_a_jobs_token_is_told_to_nobody_and_kept_nowhere(notified):
    async def story(world):
        async with world.service():
            job = world.submit()
            words = f'{{"message": "no: {job.token.reveal()}"}}'.encode()
            world.cloud_faults.add(Answer(400, body=words), method="POST", path="**/applications")
            await world.settled(job)
            await asyncio.sleep(20)
            kept = await world.store.notices()
            assert "launch_failed" in kept["ops"].book
            assert job.token.reveal() not in kept["ops"].book
            await asyncio.sleep(10 * MINUTE)  # the job is gone by then, and its token forgotten
        [told] = world.told
        assert job.token.reveal() not in str(told)

    notified(story)


def test_hosts_that_are_left_in_place_as_configured_are_told(notified):
    async def story(world):
        world.write(paas_finished_jobs_keep_resources=True)
        async with world.service():
            jobs = [world.submit(name=f"job {n}") for n in range(3)]
            await asyncio.sleep(20 * MINUTE)
        assert {job.status for job in jobs} == {"success"}
        [told] = world.told
        assert (told["kind"], told["count"], len(told["jobs"])) == ("host_left", 3, 3)

    notified(story)


def test_whoever_asks_for_other_runners_hears_nothing_of_this_one(notified):
    async def story(world):
        world.add_runner("another")
        world.notify('runners = ["another"]')
        async with world.service():
            await world.ask("pause", runner="another")
            job = world.submit("sleep 1800")
            await asyncio.sleep(3 * MINUTE)
            [host] = world.alive
            await world.cloud.delete(world.organisation, host.app_id)
            await world.settled(job)
            await asyncio.sleep(5 * MINUTE)
        assert job.failure_reason == "runner_system_failure"
        assert world.told == []

    notified(story)
