"""The real service as its own process, against a sandbox on loopback sockets; or in virtual time."""

import asyncio
import functools
import json
import os
from contextlib import asynccontextmanager

import attrs
import pytest
from structlog.testing import capture_logs

from paas_runner.demo.service_process import ServiceProcess
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.server import Sandbox, SandboxOptions
from paas_runner.server.waiting import settled
from tests.support.live_records import submitted
from tests.support.operated_world import OperatedWorld
from tests.support.systemd_listener import Listener
from tests.support.virtual_world import VirtualWorld

FAST = """
log_format = "json"
concurrent = {concurrent}
check_interval = 0.2
job_progress_poll_interval = 0.3
paas_max_concurrent_provisioning = {concurrent}
{more}

[[runners]]
  name = "real"
  url = "{url}"
  token = "{token}"
  executor = "clever-docker"
  cc_api_url = "{cloud}"
  cc_orga_id = "{organisation}"
  cc_token = "{cloud_token}"
  cc_deployment_repo_wait_step = 0.1
  {runner}

  [runners.paas_job_trace_watch]
    poll_step = 0.2
    timeout_seconds = 60
    {watch}
"""


class Hold:
    """A script that goes on until it is released, however slow the machine is."""

    def __init__(self, file):
        self._file = file
        self.script = (f"until [ -e {file} ]; do sleep 0.1; done",)

    def release(self):
        self._file.touch()


class RealWorld:
    """A sandbox, a configuration, and services that come and go."""

    def __init__(self, sandbox, folder):
        self.sandbox = sandbox
        self.config = folder / "config.toml"
        self.state_file = folder / "paas-runner-state.json"
        self.log = []
        self.last_words = []
        self.most_alive = 0

    def configure(self, *, concurrent=10, more="", runner="", watch=""):
        self.config.touch(mode=0o600)
        self.config.write_text(
            FAST.format(
                concurrent=concurrent,
                more=more,
                runner=runner,
                watch=watch,
                url=self.sandbox.coordinator_url,
                token=self.sandbox.runner_token.reveal(),
                cloud=self.sandbox.cloud_api_url,
                organisation=self.sandbox.organisation_id,
                cloud_token=self.sandbox.cloud_token.reveal(),
            )
        )

    async def start(self):
        service = ServiceProcess(self.config, self.log.append)
        self.last_words = service.last_words
        await service.start()
        return service

    @asynccontextmanager
    async def service(self):
        service = await self.start()
        try:
            yield service
        finally:
            assert await service.terminate() == 0, (self.last_words, self.log[-3:])

    def submit(self, count=1, script=("true",), **more):
        return [
            submitted(self.sandbox.coordinator, JobSpec(name=f"job {n}", script=script, **more))
            for n in range(count)
        ]

    def hold(self):
        return Hold(self.config.with_name("released"))

    async def settled(self, jobs, seconds=180):
        async with asyncio.timeout(seconds):
            await settled(self.sandbox.coordinator, [job.job_id for job in jobs])
            while self.alive:
                await asyncio.sleep(0.05)

    async def until(self, condition, seconds=60):
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    async def watch(self):
        while True:
            self.most_alive = max(self.most_alive, len(self.alive))
            await asyncio.sleep(0.01)

    def phases(self, phase):
        """The jobs that the log has seen in a phase."""
        return {event["job"] for event in self.log if event.get("phase") == phase and "job" in event}

    @property
    def alive(self):
        return list(self.sandbox.cloud.ledger.alive)

    @property
    def launches(self):
        return [entry.launches for entry in self.sandbox.cloud.ledger.created]

    def printed(self):
        return json.dumps(self.log, ensure_ascii=False) + "\n".join(self.last_words)


@pytest.fixture
def sandbox_options():
    """Quick, and with short long polls so that a stop is quick, too."""
    return SandboxOptions(
        coordinator=lambda options: attrs.evolve(options, long_poll_seconds=0.5, trace_interval_seconds=1)
    )


@pytest.fixture
async def real(tmp_path, sandbox_options):
    async with Sandbox(sandbox_options) as sandbox:
        world = RealWorld(sandbox, tmp_path)
        world.configure()
        yield world


@pytest.fixture
def play(tmp_path):
    """Run a story in a world of its own."""
    return functools.partial(VirtualWorld.play, tmp_path)


@pytest.fixture
def operate(tmp_path):
    """Run a story with an operator in a world of its own."""
    return functools.partial(OperatedWorld.play, tmp_path)


@pytest.fixture
def logs():
    """What is logged during the test."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def listener(tmp_path):
    listener = Listener(str(tmp_path / "notify"))
    yield listener
    listener.close()


@pytest.fixture
def abstract_listener(tmp_path):
    listener = Listener(f"@paas-runner-test-{os.getpid()}-{tmp_path.name}")
    yield listener
    listener.close()
