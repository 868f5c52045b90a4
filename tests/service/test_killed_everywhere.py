"""The real process, killed at thirty random moments while forty jobs flow; and its disk taken away."""

import asyncio
import random
import resource
import signal

import attrs
import pytest

from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.sandbox.server import SandboxOptions
from tests.support.often import often

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(240)]

JOBS, KILLS = 40, often(30)


@pytest.fixture
def sandbox_options():
    """A coordinator that waits for a word before a job is ours (two-phase acquisition), not for long."""
    return SandboxOptions(
        coordinator=lambda options: attrs.evolve(
            options, long_poll_seconds=0.3, trace_interval_seconds=1, acknowledgement_seconds=3.0
        )
    )


def judge(real, jobs):
    """The promise, from the sandbox's own books."""
    coordinator, ledger = real.sandbox.coordinator, real.sandbox.cloud.ledger
    for job in jobs:
        last = coordinator.latest(job.job_id)
        assert last.status == "success", (
            last.job_id,
            last.status,
            last.failure_reason,
            coordinator.trace(last.job_id)[-300:],
        )
    for job in coordinator.jobs.values():
        assert job.count(LedgerKind.ACQUIRED) <= 1
    launches = {}
    for entry in ledger.created:
        launches[entry.name] = launches.get(entry.name, 0) + entry.launches
    assert max(launches.values()) == 1
    assert real.alive == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
async def test_killed_again_and_again_while_forty_jobs_flow(real, number):
    rng = random.Random(number)
    kills = KILLS if number is signal.SIGKILL else KILLS // 3
    real.configure(concurrent=10)
    jobs = []
    for life in range(kills):
        service = await real.start()
        jobs += real.submit(max(1, JOBS * (life + 1) // kills - len(jobs)), script=("sleep 0.5",))
        await real.until(lambda: any(event["event"] == "started" for event in real.log))
        await asyncio.sleep(rng.uniform(0, 0.8))
        service.signal(number)
        assert await service.wait() in (0, -signal.SIGKILL), real.last_words
        real.log.clear()
    async with real.service():
        await real.settled(jobs, seconds=120)
    judge(real, jobs)


async def test_a_full_disk_stops_acquisition_loudly_and_nothing_else(real):
    async with real.service() as service:
        jobs = real.submit(3, script=("sleep 1.5",))
        await real.until(lambda: len(real.phases("running")) == 3)
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        late = real.submit(3)
        await real.settled(jobs)
        assert any(event["event"] == "record_not_written" for event in real.log)
        assert len(real.phases("acquired") - {job.job_id for job in jobs}) <= 1
        assert not [entry for entry in real.sandbox.cloud.ledger.created if entry.alive]
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, unlimited)
        await real.settled([*jobs, *late])
    judge(real, [*jobs, *late])
