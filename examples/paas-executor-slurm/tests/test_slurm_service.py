"""The real service with this executor, found by the entry point of its wheel, on a real Slurm."""

import asyncio
import shutil
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest

from paas_runner.demo.service_process import ServiceProcess
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.server import Sandbox, SandboxOptions
from paas_runner.server.waiting import settled

CONFIG = """
log_format = "json"
concurrent = 4
check_interval = 0.2
job_progress_poll_interval = 0.3

[[runners]]
  name = "cluster"
  url = "{url}"
  token = "{token}"
  executor = "slurm"
  shared_folder = "{shared}"
  inner_command = ["{inner}"]
  queue_within = {queue_within}

  [runners.paas_job_trace_watch]
    poll_step = 0.2
    timeout_seconds = 60
"""


class World:
    """A coordinator, jobs, services that come and go, hosts in Slurm."""

    def __init__(self, sandbox, folder, slurm):
        self.coordinator = sandbox.coordinator
        self.slurm = slurm
        self.shared = folder / "shared"
        self.shared.mkdir(mode=0o700)
        self.runs = folder / "runs"
        self.log = []
        self._sandbox = sandbox
        self._config = folder / "config.toml"

    async def start(self, queue_within=60):
        self._config.touch(mode=0o600)
        self._config.write_text(
            CONFIG.format(
                url=self._sandbox.coordinator_url,
                token=self._sandbox.runner_token.reveal(),
                shared=self.shared,
                inner=shutil.which("paas-runner-inner", path=str(Path(sys.executable).parent)),
                queue_within=queue_within,
            )
        )
        service = ServiceProcess(self._config, self.log.append)
        await service.start()
        return service

    @asynccontextmanager
    async def service(self, **settings):
        service = await self.start(**settings)
        try:
            yield service
        finally:
            assert await service.terminate() == 0, (service.last_words, self.log[-3:])

    def submit(self, *script):
        script = (f"echo $CI_JOB_ID >> {self.runs}", *script)
        return self.coordinator.submit_job(JobSpec(name="job", script=script)).job_id

    async def until(self, condition, seconds=90):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - Slurm tells no one
                await asyncio.sleep(0.05)

    async def settled(self, *job_ids):
        """The jobs have ended, nothing is left in the queue and in the folder; their last records."""
        async with asyncio.timeout(60):
            await settled(self.coordinator, job_ids)
            while [*self.slurm.names(), *self.shared.glob("*/*")]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return [self.coordinator.latest(job_id) for job_id in job_ids]

    def trace(self, job):
        return self.coordinator.trace(job.job_id).decode()


@pytest.fixture
async def world(slurm, installed, tmp_path, monkeypatch):
    """With two-phase acquisition: what a killed service had just got is handed out again."""
    monkeypatch.setenv("PYTHONPATH", str(installed))

    def quick(options):
        return attrs.evolve(
            options, long_poll_seconds=0.5, trace_interval_seconds=1, acknowledgement_seconds=3.0
        )

    async with Sandbox(SandboxOptions(coordinator=quick)) as sandbox:
        yield World(sandbox, tmp_path, slurm)


async def test_a_kill_9_in_the_middle_costs_no_job_and_leaves_nothing_in_queue_and_folder(world):
    service = await world.start()
    first = world.submit("sleep 3")
    await world.until(world.runs.exists)
    others = world.submit("sleep 1"), world.submit("sleep 1")
    await world.until(lambda: len(world.slurm.names()) > 1)
    service.signal(signal.SIGKILL)
    assert await service.wait() == -signal.SIGKILL, service.last_words
    async with world.service():
        jobs = await world.settled(first, *others)
    assert [job.status for job in jobs] == ["success"] * 3, [world.trace(job) for job in jobs]
    begun = world.runs.read_text().split()
    assert len(begun) == len(set(begun)) == 3


async def test_a_job_that_waits_for_too_long_in_the_queue_fails_and_leaves_nothing(world):
    world.slurm.run("scontrol", "update", "NodeName=node1", "State=DRAIN", "Reason=tests")
    try:
        async with world.service(queue_within=2):
            [job] = await world.settled(world.submit())
    finally:
        world.slurm.run("scontrol", "update", "NodeName=node1", "State=RESUME")
    assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
    assert "did not take it within 2 seconds" in world.trace(job)
    assert not world.runs.exists()
