"""One author's pipeline in a service that has little memory: it fails in words, and nobody else notices."""

import asyncio

import pytest

from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.server.waiting import settled
from tests.support.live_records import submitted
from tests.support.memory_limit import memory_limit

pytestmark = [pytest.mark.long, pytest.mark.process]

MEBIBYTES = 256


def hostile(flavor):
    """300 KB that stand for 10 GB."""
    lines = [
        "evil:",
        '  script: ["true"]',
        "  variables:",
        f'    CI_CLEVER_CLOUD_FLAVOR: "{flavor}"',
        f"    R: {{value: {'A' * 100_000}, expand: false}}",
        *(f'    X{number}: "{"$R" * 5000}"' for number in range(20)),
    ]
    [spec] = load_pipeline("\n".join(lines)).jobs
    return spec


async def test_a_pipeline_that_stands_for_gigabytes_leaves_all_other_jobs_running(real):
    coordinator = real.sandbox.coordinator
    with memory_limit(MEBIBYTES) as limit:
        async with real.service() as service:
            limit.put_in(service.pid)
            others = real.submit(5, script=("sleep 2",))
            refused = [submitted(coordinator, hostile(flavor)) for flavor in ("$X0$X1", "$R")]
            others += real.submit(5)
            async with asyncio.timeout(120):
                await settled(coordinator, [job.job_id for job in (*others, *refused)])
        assert {job.status for job in others} == {"success"}
        assert {job.status for job in refused} == {"failed"}
        for job in refused:
            assert b"The variable CI_CLEVER_CLOUD_FLAVOR is too long" in job.trace
