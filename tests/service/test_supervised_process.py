"""The real service as a service manager sees it: real process, real socket, real signals."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from paas_runner.sandbox.server import Sandbox, SandboxOptions
from tests.service.conftest import RealWorld

pytestmark = pytest.mark.process


@pytest.fixture
async def real(tmp_path, monkeypatch, listener):
    monkeypatch.setenv("NOTIFY_SOCKET", listener.address)
    monkeypatch.setenv("WATCHDOG_USEC", "600000")
    options = SandboxOptions()
    async with Sandbox(options) as sandbox:
        world = RealWorld(sandbox, tmp_path)
        world.configure()
        yield world


async def test_a_whole_life_ready_busy_reloading_stopping(real, listener):
    hold = real.hold()
    async with real.service() as service:
        await real.until(listener.heard)
        assert listener.heard()[0] == {"READY": "1", "STATUS": "1 runner, no jobs"}
        await real.until(lambda: [event for event in real.log if event["event"] == "started"])
        await real.until(lambda: len(listener.all("WATCHDOG")) >= 3)

        [job] = real.submit(script=hold.script)
        await real.until(lambda: listener.all("STATUS")[-1] == "1 runner, 1 job: 1 running")

        before = time.monotonic_ns() // 1000
        service.signal(signal.SIGHUP)
        await real.until(lambda: listener.all("RELOADING") and len(listener.all("READY")) == 2)
        assert int(listener.all("MONOTONIC_USEC")[-1]) >= before

        real.config.write_text("concurrent = many")
        service.signal(signal.SIGHUP)
        await real.until(lambda: len(listener.all("RELOADING")) == 2 and len(listener.all("READY")) == 3)
        assert not listener.all("STOPPING")
        real.configure()
    stopping = next(message for message in listener.heard() if "STOPPING" in message)
    status = "stopping, calls in flight are finished; 1 runner, 1 job: 1 running"
    assert stopping == {"STOPPING": "1", "STATUS": status}
    assert not job.finished_at
    hold.release()


async def test_a_service_that_does_not_start_is_never_ready(real, listener):
    real.config.write_text("concurrent = many")
    service = await real.start()
    assert await service.wait() == 78
    assert listener.heard() == []


def stands_still(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def test_a_process_that_stands_still_feeds_no_watchdog_and_its_abort_says_where(real, listener):
    service = await real.start()
    await real.until(lambda: listener.all("WATCHDOG"))
    service.signal(signal.SIGSTOP)
    await real.until(lambda: stands_still(service.pid))
    fed = len(listener.all("WATCHDOG"))
    await asyncio.sleep(0.7)
    assert len(listener.all("WATCHDOG")) == fed
    service.signal(signal.SIGABRT)  # as the service manager does it
    service.signal(signal.SIGCONT)
    assert await service.wait() == -signal.SIGABRT
    told = "\n".join(real.last_words)
    assert "Fatal Python error: Aborted" in told
    assert "most recent call first" in told


@pytest.mark.long
async def test_a_stop_while_the_coordinator_holds_a_request_takes_moments(real, listener):
    service = await real.start()
    await real.until(lambda: listener.all("READY"))
    await asyncio.sleep(5)  # by then it is held, as GitLab does for 50 s
    begun = time.monotonic()
    assert await service.terminate() == 0
    assert time.monotonic() - begun < 10  # 2 s, and a machine with other work; else it were 15
