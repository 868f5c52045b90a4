"""The real service, its real store and a real receiver: through kill -9, and through an outage."""

import json
import signal
from datetime import timedelta

import attrs
import pytest

from paas_runner.sandbox.faults import Answer
from paas_runner.sandbox.server import Sandbox, SandboxOptions
from tests.notify.test_webhook import receiver
from tests.service.conftest import RealWorld

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(200)]

SECTION = """
[[notify]]
  name = "ops"
  url = "{url}"
  secret = "a secret of an operator"
  group_seconds = 1
"""


@pytest.fixture
async def real(tmp_path):
    options = SandboxOptions(
        coordinator=lambda options: attrs.evolve(options, long_poll_seconds=0.5, trace_interval_seconds=1)
    )
    async with Sandbox(options) as sandbox:
        yield RealWorld(sandbox, tmp_path)


def told(got):
    return [json.loads(body) for _, _, body in got]


def words(got):
    return [(each["kind"], each["state"]) for each in told(got)]


async def test_what_was_not_taken_before_kill_9_is_taken_after_it_and_an_outage_is_told_to_its_end(real):
    async with receiver(None) as (url, got):
        real.configure(watch=SECTION.format(url=url))
        rule = real.sandbox.cloud_faults.add(Answer(400), method="POST", path="**/applications")
        service = await real.start()
        jobs = real.submit(2)
        await real.until(lambda: got)
        service.signal(signal.SIGKILL)
        await service.wait()
        real.sandbox.cloud_faults.remove(rule)
        async with real.service():
            await real.until(lambda: len(got) == 2)
            (first, again) = told(got)
            assert first == again
            assert first["kind"] == "launch_failed"
            assert {each["job"] for each in first["jobs"]} <= {job.job_id for job in jobs}
            times = [int(headers["webhook-timestamp"]) for _, headers, _ in got]
            assert timedelta() <= timedelta(seconds=times[1] - times[0]) < timedelta(minutes=2)
            assert len({headers["webhook-id"] for _, headers, _ in got}) == 1
            assert all(headers["webhook-signature"].startswith("v1,") for _, headers, _ in got)
            rule = real.sandbox.coordinator_faults.add(Answer(503))
            await real.until(lambda: words(got)[2:] == [("coordinator_failing", "begun")], seconds=60)
            real.sandbox.coordinator_faults.remove(rule)
            await real.until(
                lambda: words(got)[2:] == [("coordinator_failing", state) for state in ("begun", "over")],
                seconds=90,
            )
            jobs = real.submit(1)
            await real.settled(jobs)
        assert {job.status for job in jobs} == {"success"}
        assert len(got) == 4
    assert "hook/T0/xyz" not in json.dumps(real.log, default=str)
