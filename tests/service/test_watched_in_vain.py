"""Everything watches, and whoever is told does not behave: jobs, kills and stops are as without."""

import asyncio
import random
import signal
import time

import attrs
import pytest

from paas_runner.sandbox.faults import Answer
from paas_runner.sandbox.server import SandboxOptions
from tests.service.test_killed_everywhere import judge
from tests.support.hostile_receiver import WAYS, hostile_receiver

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(240)]

EVERYTHING = """
listen_address = "unix:{folder}/site"
paas_page = true
paas_page_token = "page-token-0123456789-abcdef"

[log_remote]
  address = "127.0.0.1:{port}"
  tls = {tls}

[traces]
  endpoint = "http://127.0.0.1:{port}"

[[notify]]
  name = "hook"
  url = "http://127.0.0.1:{port}/hook"
  group_seconds = 1

[[notify]]
  name = "program"
  command = ["/bin/sh", "-c", "sleep 300"]
  group_seconds = 1
"""

STOP_SECONDS = 4.5
"""One of them for the last spans, one for the log's last lines, the rest for a slow machine."""


@pytest.fixture
def sandbox_options():
    """A coordinator that waits for a word before a job is ours (two-phase acquisition), not for long."""
    return SandboxOptions(
        coordinator=lambda options: attrs.evolve(
            options, long_poll_seconds=0.3, trace_interval_seconds=1, acknowledgement_seconds=3.0
        )
    )


def watch(real, port, *, tls):
    sections = EVERYTHING.format(folder=real.config.parent, port=port, tls=str(tls).lower())
    keys, _, tables = sections.partition("[log_remote]")
    real.configure(more=keys, watch=f"[log_remote]{tables}")


@pytest.mark.parametrize("way", WAYS)
async def test_receivers_that_do_not_behave_cost_no_job_and_no_stop_its_time(real, way):
    async with hostile_receiver(way) as port:
        watch(real, port, tls=way in ("garbled", "silent"))
        rule = real.sandbox.cloud_faults.add(Answer(400), method="POST", path="**/applications")
        service = await real.start()
        failing = real.submit(2)
        await real.until(lambda: any(event["event"] == "notice_made" for event in real.log))
        real.sandbox.cloud_faults.remove(rule)
        await real.settled(failing)
        jobs = real.submit(6)
        await real.settled(jobs, seconds=60)
        begun = time.monotonic()
        assert await service.terminate() == 0
        assert time.monotonic() - begun < STOP_SECONDS
    judge(real, jobs)
    assert not [event for event in real.log if event["event"].endswith("_error")], real.log


async def test_killed_at_any_moment_while_everybody_is_told(real):
    rng = random.Random(14)
    async with hostile_receiver("silent") as port:
        watch(real, port, tls=False)
        jobs = []
        for life in range(12):
            service = await real.start()
            jobs += real.submit(max(1, 24 * (life + 1) // 12 - len(jobs)), script=("sleep 0.5",))
            await real.until(lambda: any(event["event"] == "started" for event in real.log))
            await asyncio.sleep(rng.uniform(0, 1.0))
            service.signal(signal.SIGKILL)
            await service.wait()
            real.log.clear()
        async with real.service():
            await real.settled(jobs, seconds=120)
    judge(real, jobs)
