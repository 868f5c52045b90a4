"""Hosts end without the service: it is killed, nobody starts it for a day, and the books are looked at.

In virtual time, on the simulated cloud; its hosts run the inner runner's own code, without its guardian.
"""

import asyncio
from datetime import timedelta

import pytest

from paas_runner.job.lifetime import MARGIN
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import DropBefore, Hang
from paas_runner.testing.virtual_time import virtual_now

STARTS = CloudOptions(boot_delay=timedelta(seconds=40), build_delay=timedelta(seconds=20))
TIMEOUT = timedelta(minutes=10)
LONGEST = TIMEOUT + MARGIN + STARTS.boot_delay + STARTS.build_delay + STARTS.deployment_delay


async def day_without_us(world, scripts, fault=None):
    """Jobs that run; then the service is killed, and the coordinator does what it does."""
    serving, _ = world.start()
    jobs = [world.submit(*lines, name=f"job {n}", timeout=TIMEOUT) for n, lines in enumerate(scripts)]
    while not all(world.launches.get(f"hpd-job-{world.key}-{job.job_id}") for job in jobs):
        await asyncio.sleep(1)
    await asyncio.sleep(30)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    if fault:
        world.coordinator_faults.add(fault, times=10**6)
    await asyncio.sleep(20 * 3600)
    return jobs


def lifetimes(world):
    """Of all machines that the cloud has ever billed."""
    spans = [span for entry in world.cloud.ledger.created for span in entry.spans]
    return [(span.end or virtual_now()) - span.start for span in spans]


SCRIPTS = [("sleep 100",), ("sleep 86000",), ("sleep 590",)]


@pytest.mark.parametrize("fault", [None, DropBefore(), Hang()])
def test_no_machine_runs_longer_than_its_jobs_timeout_and_the_margin(play, fault):
    """However the coordinator behaves meanwhile; without anyone to ask, machines try until then."""

    async def story(world):
        jobs = await day_without_us(world, SCRIPTS, fault)
        found = lifetimes(world)
        assert len(found) == len(jobs)
        assert max(found) <= LONGEST
        if fault is None:
            assert {job.failure_reason for job in jobs} == {None, "job_execution_timeout"}
        else:
            assert max(found) > TIMEOUT
        world.coordinator_faults.clear()
        async with world.service():  # what is left to do is to remove applications without a machine
            while world.alive:
                await asyncio.sleep(1)

    play(story, cloud=STARTS)
