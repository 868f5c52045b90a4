"""What the product promises, of the real program: real sockets, real pushes, real signals."""

import asyncio
import json
import signal
import stat
from datetime import timedelta

import pytest

from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.server.waiting import settled

pytestmark = [pytest.mark.long, pytest.mark.process]


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_hundred_jobs_at_once_are_all_run_never_more_than_thirty_at_a_time(real):
    real.configure(concurrent=30)
    watching = asyncio.ensure_future(real.watch())
    async with real.service():
        jobs = real.submit(100)
        await real.settled(jobs, seconds=240)
    watching.cancel()
    assert {job.status for job in jobs} == {"success"}
    assert {job.count(LedgerKind.ACQUIRED) for job in jobs} == {1}
    assert real.launches == [1] * 100
    assert 10 < real.most_alive <= 30


LEISURELY = CloudOptions(repository_delay=timedelta(seconds=1))


@pytest.mark.long
async def test_sigterm_in_the_middle_of_twenty_launches_and_a_restart_end_every_job_exactly_once(real):
    real.configure(concurrent=20)
    real.sandbox.cloud.options = LEISURELY
    hold = real.hold()
    async with real.service():
        jobs = real.submit(20, script=hold.script)
        await real.until(lambda: len(real.phases("acquired")) == 20 and len(real.phases("launching")) >= 3)
        assert len(real.phases("launched")) < 20
    tracked = json.loads(real.state_file.read_text())["paas_runner"]["jobs"]
    assert len(tracked) == 20
    assert stat.S_IMODE(real.state_file.stat().st_mode) == 0o600
    hold.release()
    async with real.service():
        await real.settled(jobs)
    assert {job.status for job in jobs} == {"success"}
    assert {job.count(LedgerKind.ACQUIRED) for job in jobs} == {1}
    assert real.launches == [1] * 20


async def test_kill_9_in_the_middle_of_launches_and_a_restart_end_every_job_exactly_once(real):
    real.configure(concurrent=20)
    real.sandbox.cloud.options = LEISURELY
    service = await real.start()
    jobs = real.submit(12, script=("sleep 1",))
    await real.until(lambda: len(real.phases("acquired")) == 12 and len(real.phases("launching")) >= 3)
    assert len(real.phases("launched")) < 12
    service.signal(signal.SIGKILL)
    await service.wait()
    assert not real.state_file.exists()
    async with real.service():
        await real.settled(jobs)
    assert {job.status for job in jobs} == {"success"}
    assert {job.count(LedgerKind.ACQUIRED) for job in jobs} == {1}
    assert max(real.launches) == 1


async def test_a_running_job_outlives_the_service_and_its_host_goes_after_the_restart(real):
    hold = real.hold()
    async with real.service():
        [job] = real.submit(script=hold.script)
        await real.until(lambda: real.phases("running"))
    hold.release()
    await settled(real.sandbox.coordinator, [job.job_id])
    assert job.status == "success"
    assert len(real.alive) == 1
    async with real.service():
        await real.settled([job])


async def test_an_outage_of_both_sides_is_survived(real):
    async with real.service():
        jobs = real.submit(4, script=("sleep 1",))
        await real.until(lambda: real.phases("launched"))
        await asyncio.gather(real.sandbox.restart_coordinator(1.0), real.sandbox.restart_cloud(1.0))
        jobs += real.submit(2)
        await real.settled(jobs)
    assert {job.status for job in jobs} == {"success"}
    assert max(real.launches) == 1


async def test_a_second_service_on_the_same_state_is_refused(real):
    async with real.service():
        await real.until(lambda: [event for event in real.log if event["event"] == "started"])
        second = await real.start()
        assert await second.wait() == 75
        assert "another paas-runner works on this state" in real.printed()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("paas-runner-state.json", "{ half a"),
        ("paas-runner-state.json", ""),
        ("paas-runner-state.db", "no database " * 100),
        ("paas-runner-state.db", ""),
    ],
)
async def test_records_that_cannot_be_read_are_left_alone_and_end_the_start(real, name, content):
    damaged = real.config.with_name(name)
    damaged.write_text(content)
    service = await real.start()
    assert await service.wait() == 74
    assert damaged.read_text() == content
    assert f"{name}: " in real.printed()
    assert "It is left as it is: put a good copy in its place" in real.printed()
    assert "Traceback" not in real.printed()


async def test_a_wrong_configuration_ends_the_start_with_every_complaint_and_no_traceback(real):
    real.config.write_text('concurrent = "many"\n\n[[runners]]\nname = "x"\n')
    service = await real.start()
    assert await service.wait() == 78
    told = "\n".join(real.last_words)
    assert 'config.toml:1: concurrent: expected a whole number of at least 1, found "many" (text)' in told
    assert "config.toml:3: runners[0].url" in told
    assert "Traceback" not in told


async def test_a_second_signal_ends_the_service_at_once(real):
    service = await real.start()
    [job] = real.submit(script=("sleep 1",))
    await real.until(lambda: real.phases("launched"))
    service.signal(signal.SIGTERM)
    service.signal(signal.SIGTERM)
    assert await service.wait() == 0
    async with real.service():
        await real.settled([job])
    assert job.status == "success"
