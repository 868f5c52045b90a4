"""First life of a launched job is noticed with the job's own token alone; nobody needs an administrator's."""

import asyncio
from datetime import timedelta

import httpx
import pytest
import structlog

from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.sandbox.cloud import CloudOptions
from tests.support.virtual_world import COORDINATOR

WATCH = """
  [runners.{name}]
    token = "administrator-canary"
    poll_step = 4
"""


@pytest.fixture
def asked(monkeypatch):
    """The requests that the service sends to the coordinator."""
    seen = []
    send = httpx.ASGITransport.handle_async_request

    async def recording(transport, request):
        if str(request.url).startswith(COORDINATOR):
            seen.append(request)
        return await send(transport, request)

    monkeypatch.setattr(httpx.ASGITransport, "handle_async_request", recording)
    return seen


@pytest.mark.parametrize("watch", ["", "paas_job_trace_watch", "job_trace_watch"])
def test_first_life_is_noticed_without_an_administrators_token(play, asked, watch):
    step = 4 if watch else 10

    async def story(world):
        with structlog.testing.capture_logs() as logs:
            async with world.service():
                job = world.submit("echo hello", "sleep 300")
                while not job.trace:
                    await asyncio.sleep(1)
                await asyncio.sleep(step + 1)
                assert "job_running" in {entry["event"] for entry in logs}
                await world.settled(job)
        assert job.status == "success"
        assert job.count(LedgerKind.CHECKSUM_MISMATCH) == 0, "the looks left no trace in the log"
        assert any(request.url.path.endswith("/trace") for request in asked)
        assert not [request for request in asked if "private-token" in request.headers]
        assert not [request for request in asked if "administrator-canary" in repr(request.headers.raw)]

    slow = CloudOptions(boot_delay=timedelta(seconds=45))
    play(story, cloud=slow, runner=WATCH.format(name=watch) if watch else "")
