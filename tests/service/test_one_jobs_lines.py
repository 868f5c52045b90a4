"""One job's life in the log: at INFO ten lines at most, whatever the job goes through in good order."""

import asyncio
import io
import json
import logging
from collections import defaultdict
from datetime import timedelta

import pytest

from paas_runner import logs
from paas_runner.sandbox.cloud import CloudOptions

MOST = 10
SLOW = CloudOptions(
    repository_delay=timedelta(seconds=3),
    deployment_delay=timedelta(seconds=20),
    boot_delay=timedelta(seconds=60),
    build_delay=timedelta(seconds=60),
)


@pytest.fixture
def lines():
    """What a service at INFO has logged, by job; what is about none, under None."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    logs.configure(level="info", form="json", stream=stream)

    def told():
        found = defaultdict(list)
        for line in map(json.loads, stream.getvalue().splitlines()):
            found[line.get("job")].append(line["event"])
        return found

    yield told
    root.handlers[:] = handlers
    root.setLevel(level)


LIFE = [
    "job_acquired",
    "job_provisioning",
    "job_provisioned",
    "job_launching",
    "job_launched",
    "job_running",
    "job_decommissioning",
    "job_gone",
]


def test_a_job_of_hours_on_a_slow_cloud_has_a_line_for_each_phase(play, lines):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 10000")
            await world.settled(job)
        assert lines()[job.job_id] == LIFE

    play(story, cloud=SLOW)


def test_jobs_that_wait_for_each_other_have_one_line_more(play, lines):
    two_at_once = """
[quota_computation]
reference_runner = "virtual"
reference_flavor = "M"
reference_jobs_count = 2
"""

    async def story(world):
        async with world.service():
            jobs = [world.submit("sleep 300", name=f"job {n}") for n in range(6)]
            await world.settled(*jobs)
        told = lines()
        for job in jobs:
            assert [event for event in told[job.job_id] if event != "job_waits_for_room"] == LIFE
            assert len(told[job.job_id]) <= MOST

    play(story, cloud=SLOW, more=two_at_once)


def test_a_canceled_job_and_one_over_a_restart_have_no_more(play, lines):
    async def story(world):
        async with world.service():
            canceled, kept = world.submit("sleep 3000"), world.submit("sleep 3000", name="other")
            await asyncio.sleep(300)
            world.gitlab.cancel(canceled.job_id)
        async with world.service():
            await world.settled(canceled, kept)
        told = lines()
        assert told[kept.job_id] == LIFE
        assert len(told[canceled.job_id]) <= MOST

    play(story, cloud=SLOW)
