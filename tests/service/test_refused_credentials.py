"""A provider that refuses the runner's credentials costs no queue: jobs wait, and none is burnt."""

import asyncio

from structlog.testing import capture_logs

from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.secret import Secret

WRONG = Secret("revoked-for-now")


def revoked(world):
    world.cloud.accounts.replace_tokens(world.organisation, WRONG)


def good_again(world):
    world.cloud.accounts.replace_tokens(world.organisation, Secret(world.cloud_token))


def acquired(jobs):
    return [job for job in jobs if job.count(LedgerKind.ACQUIRED)]


def test_no_job_is_asked_for_until_the_provider_takes_the_credentials_again(operate):
    async def story(world):
        revoked(world)
        with capture_logs() as logs:
            async with world.service():
                jobs = [world.submit(name=f"job {n}") for n in range(10)]
                await asyncio.sleep(600)
                assert len(acquired(jobs)) <= 2
                assert not any(job.ended for job in jobs)
                [[status]] = [await world.ask("status")]
                [runner] = status["runners"]
                assert runner["state"] == "backing off"
                assert "401" in runner["why"]
                good_again(world)
                await world.settled(*jobs)
        assert {job.status for job in jobs} == {"success"}
        told = [entry["event"] for entry in logs if entry["event"].startswith("credentials_")]
        assert told == ["credentials_refused", "credentials_accepted"]

    operate(story)


def test_after_the_job_that_met_it_has_failed_the_hosts_are_asked_for_now_and_then(operate):
    async def story(world):
        revoked(world)
        async with world.service():
            jobs = [world.submit(name=f"job {n}") for n in range(10)]
            await asyncio.sleep(3 * 3600)
            burnt = acquired(jobs)
            assert len(burnt) <= 2
            assert {job.failure_reason for job in burnt} == {"runner_system_failure"}
            good_again(world)
            await world.settled(*jobs)
        assert [job.status for job in jobs].count("success") == 10 - len(burnt)

    operate(story)


def test_a_reload_with_the_right_token_heals_at_once(operate):
    async def story(world):
        revoked(world)
        async with world.service():
            jobs = [world.submit(name=f"job {n}") for n in range(3)]
            await asyncio.sleep(300)
            world.cloud_token = WRONG.reveal()
            world.write()
            await world.reload()
            await asyncio.sleep(120)
            assert {job.status for job in jobs} == {"success"}
            await world.settled(*jobs)

    operate(story)
