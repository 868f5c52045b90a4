"""The whole service against the sandbox in process: what the product promises, in virtual hours."""

import asyncio
from datetime import timedelta

import pytest

from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer, Delay, DropAfter, DropBefore, Garbage, Hang, Truncated
from paas_runner.server.waiting import settled

SLOW = CloudOptions(
    repository_delay=timedelta(seconds=3),
    deployment_delay=timedelta(seconds=5),
    boot_delay=timedelta(seconds=40),
    build_delay=timedelta(seconds=20),
)


def test_a_job_is_run_and_its_host_removed(play):
    async def story(world):
        async with world.service():
            job = world.submit("echo hello", "sleep 60")
            await world.settled(job)
        assert job.status == "success"
        assert b"hello" in job.trace
        assert job.count(LedgerKind.ACQUIRED) == 1
        assert world.launches == {f"hpd-job-{world.key}-{job.job_id}": 1}
        assert not await world.store.jobs()

    play(story, cloud=SLOW)


def test_nothing_of_the_runners_own_stands_in_the_log_of_a_job_that_ran(play):
    async def story(world):
        async with world.service():
            job = world.submit("echo hello")
            await world.settled(job)
        assert job.count(LedgerKind.CHECKSUM_MISMATCH) == 0
        assert b"paas-runner 0" not in job.trace

    play(story)


@pytest.mark.soak
@pytest.mark.long
def test_a_hundred_jobs_at_once_never_more_than_the_limit(play):
    async def story(world):
        watching = asyncio.ensure_future(world.watch())
        async with world.service():
            jobs = [world.submit("sleep 30", name=f"job {n}") for n in range(100)]
            await world.settled(*jobs)
        watching.cancel()
        assert {job.status for job in jobs} == {"success"}
        assert set(world.launches.values()) == {1}
        assert len(world.launches) == 100
        assert 20 < world.most_alive <= 30

    play(story, concurrent=30, more="paas_max_concurrent_provisioning = 30", cloud=SLOW)


def test_a_runners_own_limit_is_kept(play):
    async def story(world):
        watching = asyncio.ensure_future(world.watch())
        async with world.service():
            jobs = [world.submit("sleep 30", name=f"job {n}") for n in range(12)]
            await world.settled(*jobs)
        watching.cancel()
        assert world.most_alive == 3

    play(story, concurrent=30, runner="limit = 3")


@pytest.mark.long
def test_no_more_hosts_are_prepared_at_once_than_allowed(play):
    async def story(world):
        async with world.service():
            jobs = [world.submit("sleep 3600", name=f"job {n}") for n in range(10)]
            await asyncio.sleep(45)
            assert len(world.alive) == 2
            await world.settled(*jobs)

    play(story, more="paas_max_concurrent_provisioning = 2", cloud=SLOW)


def test_an_unknown_flavor_fails_the_job_in_words_for_its_author(play):
    async def story(world):
        async with world.service():
            job = world.submit(variables=(Variable(key="CI_CLEVER_CLOUD_FLAVOR", value="9XL"),))
            await world.settled(job)
        assert (job.status, job.failure_reason) == ("failed", "script_failure")
        assert 'The flavor "9XL" does not exist' in job.trace.decode()
        assert not world.cloud.ledger.created

    play(story)


@pytest.mark.parametrize("moment", [0.5, 2, 10, 60])
def test_a_job_cancelled_before_it_runs_is_never_launched_and_leaves_no_host(play, moment):
    slow = CloudOptions(repository_delay=timedelta(seconds=15), boot_delay=timedelta(seconds=120))

    async def story(world):
        async with world.service():
            job = world.submit("echo hello", "sleep 1000")
            await asyncio.sleep(moment)
            cancelled_at = world.seconds()
            world.gitlab.cancel(job.job_id)
            await world.settled(job)
            assert world.seconds() - cancelled_at < 35
        assert job.status == "canceled"
        assert b"hello" not in job.trace

    play(story, cloud=slow, runner="cc_deployment_repo_timeout = 60")


def test_a_running_job_that_is_cancelled_winds_down_and_its_host_goes(play):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 1000", after_script=("echo cleaning up",))
            await asyncio.sleep(60)
            world.gitlab.cancel(job.job_id)
            await world.settled(job)
        assert job.status == "canceled"
        assert b"cleaning up" in job.trace

    play(story)


@pytest.mark.parametrize(
    "fault",
    [Answer(500), Answer(502, body=b"<html>"), Answer(429, headers={"Retry-After": "20"}), DropBefore()],
)
@pytest.mark.parametrize("side", ["coordinator_faults", "cloud_faults"])
def test_an_outage_of_ten_minutes_loses_nothing(play, side, fault):
    async def story(world):
        async with world.service():
            jobs = [world.submit("sleep 300", name=f"job {n}") for n in range(5)]
            await asyncio.sleep(100)
            getattr(world, side).add(fault)
            await asyncio.sleep(600)
            getattr(world, side).clear()
            jobs += [world.submit("true", name="after")]
            await world.settled(*jobs)
        assert {job.status for job in jobs} == {"success"}
        assert set(world.launches.values()) == {1}

    play(story, cloud=SLOW)


def test_a_coordinator_that_asks_for_five_minutes_of_peace_gets_them(play):
    async def story(world):
        busy = Answer(429, headers={"Retry-After": "300"})
        world.coordinator_faults.add(busy, method="POST", path="/api/v4/jobs/request", times=1)
        async with world.service():
            job = world.submit("true")
            await asyncio.sleep(295)
            assert job.status == "pending"
            await world.settled(job)

    play(story)


@pytest.mark.parametrize("fault", [DropAfter(), Garbage(), Truncated(), Hang(), Delay(45)])
def test_a_creation_whose_answer_is_lost_leaves_one_host_and_one_launch(play, fault):
    async def story(world):
        world.cloud_faults.add(fault, method="POST", times=1)
        async with world.service():
            job = world.submit("true")
            await world.settled(job)
        assert job.status == "success"
        assert sum(world.launches.values()) == 1
        assert len(world.launches) == 1

    play(story)


def test_a_cloud_that_stays_down_fails_the_job_with_the_reason(play):
    async def story(world):
        world.cloud_faults.add(Answer(503))
        async with world.service():
            job = world.submit("true")
            await world.settled(job)
        assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
        assert "answered 503" in job.trace.decode()
        assert 15 * 60 <= world.seconds() < 25 * 60

    play(story)


def test_a_host_that_never_starts_is_given_up_and_removed(play):
    async def story(world):
        async with world.service():
            job = world.submit("true")
            await world.settled(job)
        assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
        assert "wrote nothing to its log within 300 seconds" in job.trace.decode()

    play(story, cloud=CloudOptions(stuck=True))


def test_a_payload_cut_off_on_the_way_is_reported_and_not_forgotten(play):
    async def story(world):
        world.coordinator_faults.add(Truncated(), path="/api/v4/jobs/request", times=1)
        async with world.service():
            job = world.submit("true")
            await world.settled(job)
        assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
        assert "damaged" in job.trace.decode()

    play(story)


def test_a_coordinator_that_hangs_delays_no_removal_for_longer_than_its_deadline(play):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 60")
            await asyncio.sleep(90)
            world.coordinator_faults.add(Hang(), method="GET", path="/api/v4/job", times=2)
            await world.settled(job)
        assert job.status == "success"

    play(story)


def test_a_refused_token_ends_nothing_and_works_again_when_it_is_accepted(play):
    async def story(world):
        world.coordinator_faults.add(Answer(403), path="/api/v4/jobs/request", times=10)
        async with world.service():
            job = world.submit("true")
            await world.settled(job)
        assert job.status == "success"

    play(story, runner='unhealthy_interval = "5m"')


@pytest.mark.parametrize("moment", [1, 4, 30, 100, 200])
def test_a_restart_loses_no_job_and_runs_none_twice(play, moment):
    async def story(world):
        jobs = []
        async with world.service():
            jobs += [world.submit("sleep 100", name=f"early {n}") for n in range(5)]
            await asyncio.sleep(moment)
        assert (world.folder / "paas-runner-state.json").exists()
        await asyncio.sleep(30)
        async with world.service():
            await asyncio.sleep(0.1)
            assert not (world.folder / "paas-runner-state.json").exists()
            jobs += [world.submit("sleep 10", name=f"late {n}") for n in range(3)]
            await world.settled(*jobs)
        assert {job.status for job in jobs} == {"success"}
        assert {job.count(LedgerKind.ACQUIRED) for job in jobs} == {1}
        assert set(world.launches.values()) == {1}
        assert not await world.store.jobs()

    play(story, cloud=SLOW)


@pytest.mark.parametrize("moment", [0.01, 1, 4, 30, 100, 200])
def test_a_crash_loses_no_job_and_runs_none_twice(play, moment):
    async def story(world):
        jobs = [world.submit("sleep 100", name=f"early {n}") for n in range(5)]
        serving, _stopping = world.start()
        await asyncio.sleep(moment)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        async with world.service():
            await world.settled(*jobs)
        assert {job.count(LedgerKind.ACQUIRED) for job in jobs} == {1}
        assert {job.status for job in jobs} == {"success"}
        assert set(world.launches.values()) == {1}

    play(story, cloud=SLOW)


def test_failed_launches_are_kept_when_the_operator_wants_to_look_at_them(play):
    async def story(world):
        async with world.service():
            job = world.submit("true")
            await settled(world.gitlab, [job.job_id])
            await asyncio.sleep(60)
        assert len(world.alive) == 1
        assert not await world.store.jobs()

    play(story, cloud=CloudOptions(stuck=True), more="paas_decommission_launch_failures = false")


def test_requests_per_job_are_few(play):
    """One job of a minute: what it costs the cloud, and its git remote."""

    async def story(world):
        async with world.service():
            job = world.submit("sleep 60")
            await world.settled(job)
        cloud = {
            route: count for route, count in world.cloud.ledger.requests.items() if "products" not in route
        }
        git = {route: count for route, count in cloud.items() if "/git/" in route}
        logs = {route: count for route, count in cloud.items() if "/logs/" in route}
        assert sum(cloud.values()) - sum(git.values()) - sum(logs.values()) <= 3, cloud
        assert sum(logs.values()) == 1, "what the job used, of one that was not short"
        assert sum(git.values()) == 2, git

    play(story, more="paas_orphan_sweep_interval = 0")


@pytest.mark.parametrize("fault", [DropAfter(), Hang(), Garbage()])
def test_a_job_lost_on_the_way_to_us_comes_again_where_acquisition_has_two_phases(play, fault):
    """Spec gitlab-runner-api.md §2.8: what nobody acknowledges is handed out again as a new job."""

    async def story(world):
        world.coordinator_faults.add(fault, path="/api/v4/jobs/request", times=1)
        async with world.service():
            job = world.submit("true")
            await world.settled(job)
        last = world.gitlab.latest(job.job_id)
        assert last.status == "success"
        assert (last.job_id == job.job_id) == (fault == Hang())
        assert sum(world.launches.values()) == 1

    play(story, coordinator={"acknowledgement_seconds": 120})


def test_a_job_that_somebody_else_got_meanwhile_is_let_go(play):
    async def story(world):
        async with world.service():
            job = world.submit("true")
            world.coordinator_faults.add(Answer(409), method="PUT")
            world.coordinator_faults.add(Answer(401), path="/api/v4/job")
            await asyncio.sleep(30)
        assert job.count(LedgerKind.RESERVED) == 1
        assert not world.cloud.ledger.created
        assert not await world.store.jobs()

    play(story, coordinator={"acknowledgement_seconds": 120})
