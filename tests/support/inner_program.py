"""The inner runner as a process: its files, its arguments, and a coordinator that it reaches."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import attrs

from paas_runner.pipelines.payload import job_payload
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.control_api import create_coordinator_app
from paas_runner.server.listening import Listener
from tests.support.hosts import GRACEFUL, Hosts, hosts
from tests.support.live_records import LiveJob, submitted


@attrs.frozen(kw_only=True)
class Machine:
    """A coordinator on a real port, and a folder for the files of the program, which is this project's."""

    world: Hosts
    listener: Listener
    folder: Path
    program: Sequence[str] = (sys.executable, "-m", "paas_runner.inner")

    @property
    def url(self) -> str:
        return self.listener.url

    def arguments(self, spec: JobSpec, *, toml: str = "") -> tuple[LiveJob, list[str]]:
        job = submitted(self.world.coordinator, spec)
        assert self.world.coordinator.acquire(self.world.runner.runner_id, features=GRACEFUL) == job
        payload = job_payload(job, url=self.url, options=self.world.coordinator.options)
        config, job_file = self.folder / "runner.toml", self.folder / "job.json"
        config.write_text(f'[[runners]]\nurl = "{self.url}"\ntoken = "abc"\nexecutor = "shell"\n{toml}')
        job_file.write_text(json.dumps(payload))
        return job, [*self.program, "exec-fetched-job", "--config", str(config), str(job_file)]

    @contextlib.asynccontextmanager
    async def running(self, spec: JobSpec) -> AsyncIterator[tuple[LiveJob, asyncio.subprocess.Process]]:
        job, arguments = self.arguments(spec)
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(self.folder)}
        process = await asyncio.create_subprocess_exec(*arguments, env=environment, cwd=Path.cwd())
        try:
            yield job, process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def leftovers(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if path.is_dir()]


@contextlib.asynccontextmanager
async def machine_in(folder: Path) -> AsyncIterator[Machine]:
    world = hosts(trace_interval_seconds=1)
    listener = Listener(create_coordinator_app(world.coordinator))
    await listener.start()
    try:
        yield Machine(world=world, listener=listener, folder=folder)
    finally:
        await listener.stop()
