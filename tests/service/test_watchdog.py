"""What the service manager hears of the unchanged service, in virtual time."""

import asyncio
from datetime import timedelta

import attrs
import pytest
from structlog.testing import capture_logs

from paas_runner.job.capacity import Load
from paas_runner.job.limits import Limits
from paas_runner.job.tracked import JobKey, Phase
from paas_runner.sandbox.faults import Answer, Hang
from paas_runner.service.systemd import ServiceManager
from paas_runner.service.watchdog import status_line
from tests.support.records import job_in
from tests.support.views import dispatch_view
from tests.support.virtual_world import VirtualWorld

WATCHDOG = timedelta(minutes=3)


@pytest.fixture
def play(tmp_path, listener):
    manager = ServiceManager(address=listener.address, watchdog=WATCHDOG)
    return lambda story, **options: VirtualWorld.play(tmp_path, story, manager, **options)


def test_it_is_ready_once_it_asks_for_jobs_and_stopping_before_it_comes_to_rest(play, listener):
    async def story(world, manager):
        serving, stopping = world.start(manager=manager)
        await asyncio.sleep(0.001)
        assert listener.heard()[0] == {"READY": "1", "STATUS": "1 runner, no jobs"}
        assert world.runner.managers  # the coordinator has heard of it
        stopping.set()
        await asyncio.sleep(0.001)
        status = "stopping, calls in flight are finished; 1 runner, no jobs"
        assert listener.heard()[-1] == {"STOPPING": "1", "STATUS": status}
        await serving

    play(story)


def test_the_status_follows_the_jobs_when_they_change_and_at_most_every_few_seconds(play, listener):
    async def story(world, manager):
        async with world.service(manager=manager):
            job = world.submit("sleep 600")
            await asyncio.sleep(300)
            assert listener.all("STATUS")[-1] == "1 runner, 1 job: 1 running"
            told = len(listener.all("STATUS"))
            await asyncio.sleep(200)
            assert len(listener.all("STATUS")) == told
            await world.settled(job)
            await asyncio.sleep(10)
            assert listener.all("STATUS")[-1] == "1 runner, no jobs"
            assert len(listener.all("STATUS")) < 8

    play(story)


def test_the_watchdog_is_fed_three_times_as_often_as_needed_idle_busy_full_and_stopping(play, listener):
    async def story(world, manager):
        async with world.service(manager=manager):
            await asyncio.sleep(2 * 3600)
            jobs = [world.submit("sleep 7200") for _ in range(3)]
            await world.settled(*jobs)  # one at a time: the runner waits for its turn most of the time
            seconds = world.seconds()
            assert seconds > 5 * 3600
            assert len(listener.all("WATCHDOG")) == pytest.approx(seconds / 60, abs=2)

    play(story, concurrent=1)


def test_a_job_that_hangs_starves_the_watchdog_and_is_named(play, listener):
    async def story(world, manager):
        world.push = hang
        serving, _ = world.start(manager=manager)
        job = world.submit("true")
        await asyncio.sleep(3600 - 60)
        fed = len(listener.all("WATCHDOG"))
        assert fed > 50
        with capture_logs() as logs:
            await asyncio.sleep(300)
        assert len(listener.all("WATCHDOG")) <= fed + 3
        [error] = [entry for entry in logs if entry["log_level"] == "error"]
        [loop] = error["loops"]
        assert str(job.job_id) in loop
        assert error["within_seconds"] == 180
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    play(story)


@pytest.mark.long
@pytest.mark.parametrize("fault", [Answer(503), Hang()])
def test_an_outage_of_both_sides_for_hours_starves_nothing(play, listener, fault):
    async def story(world, manager):
        async with world.service(manager=manager):
            jobs = [world.submit("sleep 60") for _ in range(10)]
            await asyncio.sleep(5)
            world.coordinator_faults.add(fault)
            world.cloud_faults.add(fault)
            await asyncio.sleep(80 * 60)
            assert len(listener.all("WATCHDOG")) == pytest.approx(80, abs=2)
            world.coordinator_faults.clear()
            world.cloud_faults.clear()
            await world.settled(*jobs)

    play(story, check_interval=60)


async def hang(*_, **__):
    await asyncio.Event().wait()


def test_hosts_on_standby_are_named_and_are_no_jobs():
    """H140."""
    records = [attrs.evolve(job_in(Phase.STANDBY), key=JobKey("a", number)) for number in (1, 2)]
    load = Load.of([*records, job_in(Phase.RUNNING)], Limits(concurrent=9, provisioning=9))
    assert status_line(dispatch_view(load=load)) == "no runners, 1 job: 1 running; 2 hosts on standby"
    load = Load.of(records[:1], Limits(concurrent=9, provisioning=9))
    assert status_line(dispatch_view(load=load)) == "no runners, no jobs; 1 host on standby"
