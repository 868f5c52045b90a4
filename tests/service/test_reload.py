"""Reloads of the whole service in virtual time: what changes, what stays, what is refused."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Delay
from paas_runner.service.reload import NotDoneError
from paas_runner.store import StoreError
from tests.support.live_records import added

SLOW = CloudOptions(repository_delay=timedelta(seconds=3), boot_delay=timedelta(seconds=20))


async def running(world, *jobs):
    async with asyncio.timeout(600):
        while any(str(job.status) != "running" or not job.trace for job in jobs):
            await asyncio.sleep(1)


def test_a_raised_limit_holds_from_the_reload_on(operate):
    async def story(world):
        world.write(concurrent=1)
        async with world.service():
            jobs = [world.submit("sleep 300", name=f"job {n}") for n in range(4)]
            await asyncio.sleep(60)
            assert len(world.alive) == 1
            world.write(concurrent=4)
            assert (await world.reload())["changes"] == ["concurrent: 1 → 4"]
            await asyncio.sleep(60)
            assert len(world.alive) == 4
            await world.settled(*jobs)

    operate(story)


def test_a_lowered_limit_ends_no_job_and_lets_none_in(operate):
    async def story(world):
        async with world.service():
            jobs = [world.submit("sleep 300", name=f"job {n}") for n in range(4)]
            await running(world, *jobs[:3])
            world.write(limit=1)
            assert (await world.reload())["changes"] == ['runner "virtual": limit: 0 → 1']
            late = world.submit("sleep 30")
            await asyncio.sleep(100)
            assert late.count(LedgerKind.ACQUIRED) == 0
            await world.settled(*jobs, late)
        assert {job.status for job in [*jobs, late]} == {"success"}

    operate(story)


@pytest.mark.parametrize(
    "text", ["concurrent = [", 'concurrent = "many"', "concurrent = 5", "concurrent = 5\nrunners = []"]
)
def test_a_wrong_file_is_refused_as_a_whole_and_everything_goes_on(operate, text):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 60")
            await running(world, job)
            world.config_file.write_text(text)
            with capture_logs() as logs, pytest.raises(NotDoneError, match=r"config\.toml"):
                await world.reload()
            [refusal] = [entry for entry in logs if "refused" in entry["event"]]
            assert refusal["log_level"] == "error"
            assert all("config.toml" in complaint for complaint in refusal["complaints"])
            late = world.submit("sleep 60")
            await world.settled(job, late)
        assert {job.status, late.status} == {"success"}

    operate(story)


def test_a_file_without_changes_changes_nothing(operate):
    async def story(world):
        async with world.service():
            with capture_logs() as logs:
                assert await world.reload() == {"changes": [], "restart_needed": []}
            assert "configuration_unchanged" in [entry["event"] for entry in logs]

    operate(story)


def test_keys_that_need_a_restart_are_named_and_keep_their_values(operate):
    async def story(world):
        async with world.service():
            world.write(state_file="elsewhere.json", concurrent=2)
            with capture_logs() as logs:
                done = await world.reload()
            assert done == {"changes": ["concurrent: 10 → 2"], "restart_needed": ["state_file"]}
            assert ["state_file"] in [entry.get("keys") for entry in logs]
        assert (world.folder / "paas-runner-state.json").exists()
        assert not (world.folder / "elsewhere.json").exists()

    operate(story)


def test_a_runner_that_is_added_gets_jobs(operate):
    async def story(world):
        async with world.service():
            world.add_runner("second")
            world.write("second", "virtual")
            assert (await world.reload())["changes"] == ['runner "second": added, http://coordinator.test']
            world.gitlab.runners.remove(world.runners["virtual"].runner_id)
            job = world.submit("true")
            await world.settled(job)
        assert job.runner.runner_id == world.runners["second"].runner_id

    operate(story)


def test_a_runner_that_is_removed_sees_its_jobs_through_and_is_gone(operate):
    async def story(world):
        world.add_runner("second")
        world.gitlab.runners.remove(world.runners["virtual"].runner_id)
        world.write()
        async with world.service():
            job = world.submit("sleep 300")
            await running(world, job)
            world.runners["virtual"] = added(world.gitlab, description="virtual")
            world.write("virtual")
            with capture_logs() as logs:
                assert 'runner "second": removed' in (await world.reload())["changes"]
                late = world.submit("sleep 10")
                await world.settled(job, late)
                assert late.runner.runner_id == world.runners["virtual"].runner_id
                await asyncio.sleep(120)
            assert [entry["runner"] for entry in logs if "runner_removed" in entry["event"]] == ["second"]
        assert (job.status, late.status) == ("success", "success")

    operate(story)


def test_a_rotated_token_keeps_the_jobs_and_the_names_of_hosts(operate):
    async def story(world):
        key = world.key
        async with world.service():
            job = world.submit("sleep 300")
            await running(world, job)
            world.rotate()
            world.write()
            assert (await world.reload())["changes"] == ['runner "virtual": token: changed']
            late = world.submit("sleep 10")
            await running(world, late)
            assert {entry.name for entry in world.alive} == {
                f"hpd-job-{key}-{each.job_id}" for each in (job, late)
            }
            await world.settled(job, late)
        assert {job.status, late.status} == {"success"}
        assert world.key != key

    operate(story)


@pytest.mark.parametrize("reloaded", [True, False])
def test_a_rotated_token_is_the_same_runner_after_a_restart(operate, reloaded):
    async def story(world):
        key = world.key
        serving, _ = world.start()
        job = world.submit("sleep 300")
        await running(world, job)
        world.rotate()
        world.write()
        if reloaded:
            await world.reload()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        async with world.service():
            late = world.submit("sleep 10")
            await world.settled(job, late)
        assert {job.status, late.status} == {"success"}
        assert f"hpd-job-{key}-{late.job_id}" in world.launches

    operate(story)


def test_a_runner_that_was_refused_asks_at_once_with_its_new_token(operate):
    async def story(world):
        async with world.service():
            world.rotate()
            await asyncio.sleep(3600)
            world.write()
            await world.reload()
            job = world.submit("sleep 30")
            began = world.seconds()
            await running(world, job)
            assert world.seconds() - began < 60
            await world.settled(job)

    operate(story)


def test_a_job_is_finished_with_the_credentials_that_it_began_with(operate):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 300")
            await running(world, job)
            world.cloud_token = "not-a-token-of-anybody"
            world.write()
            assert (await world.reload())["changes"] == ['runner "virtual": cc_token: changed']
            await world.settled(job)
        assert job.status == "success"

    operate(story)


def test_new_jobs_get_the_new_credentials(operate):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 300")
            await running(world, job)
            world.rotate_cloud_token("another-cloud-token")
            world.write()
            await world.reload()
            late = world.submit("sleep 10")
            await world.settled(job, late)
            world.cloud.accounts.replace_tokens(world.organisation)
        assert {job.status, late.status} == {"success"}

    operate(story)


def test_no_secret_is_told_of_what_has_changed(operate):
    async def story(world):
        async with world.service():
            world.rotate()
            world.cloud_token = "secret-canary-of-the-cloud"
            world.write(more='[runners.cc_extra_env]\nPASSWORD = "secret-canary-of-a-host"')
            with capture_logs() as logs:
                changes = (await world.reload())["changes"]
            assert changes == [
                'runner "virtual": token: changed',
                'runner "virtual": cc_token: changed',
                'runner "virtual": cc_extra_env.PASSWORD: added',
            ]
            for secret in ("canary", world.runner.token.reveal()):
                assert secret not in str(logs)

    operate(story)


def test_a_store_that_cannot_be_written_refuses_the_reload(operate, monkeypatch):
    async def story(world):
        async with world.service():
            await world.reload()
            world.rotate()
            world.write(concurrent=3)

            async def full(_runners, **_over):
                raise StoreError("the disk is full")

            with monkeypatch.context() as patched:
                patched.setattr(world.store, "save_runners", full)
                with pytest.raises(NotDoneError, match="the disk is full"):
                    await world.reload()
            assert (await world.reload())["changes"] == [
                "concurrent: 10 → 3",
                'runner "virtual": token: changed',
            ]

    operate(story)


def test_a_reload_that_is_overtaken_by_the_end_of_the_service_is_refused(operate, monkeypatch):
    async def story(world):
        serving, _stopping = world.start()
        await world.reload()
        world.rotate()
        world.write()

        async def slow(_runners, **_over):
            await asyncio.sleep(10)
            return True

        monkeypatch.setattr(world.store, "save_runners", slow)
        reloading = asyncio.ensure_future(world.reload())
        await asyncio.sleep(5)
        serving.cancel()
        with pytest.raises(NotDoneError, match="stopping"):
            await reloading
        await asyncio.wait([serving])

    operate(story)


def test_jobs_of_a_runner_that_was_gone_go_on_once_it_is_back(operate):
    async def story(world):
        world.add_runner("second")
        world.gitlab.runners.remove(world.runners["virtual"].runner_id)
        world.write()
        async with world.service():
            job = world.submit("sleep 300")
            await running(world, job)
        world.write("virtual")
        async with world.service():
            await asyncio.sleep(600)
            assert len(world.alive) == 1
            world.write()
            await world.reload()
            await world.settled(job)
        assert job.status == "success"

    operate(story)


def test_a_quota_that_comes_and_goes_with_reloads_is_kept_while_it_is_there(operate):
    quota = """
[quota_computation]
reference_runner = "virtual"
reference_flavor = "M"
reference_jobs_count = 2
"""

    async def story(world):
        async with world.service():
            jobs = [world.submit("sleep 300", name=f"job {n}") for n in range(6)]
            await running(world, *jobs[:1])
            world.config_file.write_text(world.config_file.read_text() + quota)
            await world.reload()
            await world.settled(*jobs)
            more = [world.submit("sleep 300", name=f"more {n}") for n in range(6)]
            await asyncio.sleep(120)
            assert len(world.alive) == 2
            world.write()
            await world.reload()
            await asyncio.sleep(60)
            assert len(world.alive) == 6
            await world.settled(*more)

    operate(story)


def test_a_request_in_flight_is_not_dropped_and_its_job_is_run(operate):
    async def story(world):
        async with world.service():
            await world.reload()
            world.coordinator_faults.add(Delay(20), path="/api/v4/jobs/request", times=1)
            await asyncio.sleep(10)
            job = world.submit("sleep 60")
            world.write(more="cc_auth_user = 'another'")
            await world.reload()
            await world.settled(job)
        assert job.status == "success"
        assert job.count(LedgerKind.ACQUIRED) == 1

    operate(story)


@pytest.mark.soak
@pytest.mark.long
def test_thirty_reloads_under_load_lose_nothing(operate):
    """Limits and tokens change, runners come and go, every third file is wrong."""

    async def story(world):
        world.add_runner("second")
        world.write()
        refused = 0
        watching = asyncio.ensure_future(world.watch())
        async with world.service():
            jobs = []
            for number in range(30):
                jobs += [world.submit("sleep 40", name=f"job {number}.{n}") for n in range(2)]
                if number % 5 == 0:
                    world.rotate("second" if number % 2 else "virtual")
                if number % 4 == 1:
                    world.rotate_cloud_token(f"cloud-token-{number}")
                names = ("virtual",) if number % 7 == 6 else ("second", "virtual")
                world.write(*names, concurrent=6 + number % 5, limit=number % 4 and 4)
                if number % 3 == 2:
                    world.config_file.write_text(world.config_file.read_text() + "\nlimit = broken")
                try:
                    await world.reload()
                except NotDoneError:
                    refused += 1
                await asyncio.sleep(world.rng.uniform(0, 30))
            world.write()
            await world.reload()
            await world.settled(*jobs)
        watching.cancel()
        assert refused == 10
        assert {job.status for job in jobs} == {"success"}
        assert {job.count(LedgerKind.ACQUIRED) for job in jobs} == {1}
        assert set(world.launches.values()) == {1}
        assert len(world.launches) == len(jobs)
        assert world.most_alive <= 10
        assert not await world.store.jobs()

    operate(story, cloud=SLOW)
