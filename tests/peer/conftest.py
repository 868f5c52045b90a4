"""heptapod-paas-runner 1.1.1 itself, in an environment of its own, beside our service and a sandbox."""

import asyncio
import json
import signal
from contextlib import asynccontextmanager
from datetime import timedelta

import attrs
import pytest

from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.server import Sandbox, SandboxOptions
from tests.service.conftest import RealWorld
from tests.support.cached_environment import cached_environment

PEER = "heptapod-paas-runner==1.1.1"
FOR_BOTH = """
state_file = "{state_file}"

[quota_computation]
  reference_runner = "real"
  reference_flavor = "3XL"
  reference_jobs_count = 10
"""


@pytest.fixture(scope="session")
def peer_program(pytestconfig):
    return cached_environment(pytestconfig, PEER) / "bin" / "heptapod-paas-runner"


class SharedWorld(RealWorld):
    """One configuration and one state file, for whichever of the two programs runs."""

    def __init__(self, sandbox, folder, peer_program):
        super().__init__(sandbox, folder)
        self._peer_program = peer_program
        self._peer_log = folder / "peer.log"
        self._gate = folder / "gate"

    def configure_for_both(self, *, runner=""):
        self.open_repositories()
        self.configure(
            runner=runner,
            more=FOR_BOTH.format(state_file=self.state_file),
            watch=f'token = "{self.sandbox.admin_token.reveal()}"',
        )

    def submit_gated(self, count):
        """Jobs that run until `open_gate`."""
        return self.submit(count, script=(f"until [ -e {self._gate} ]; do sleep 0.1; done",))

    def open_gate(self):
        self._gate.touch()

    def hold_repositories(self):
        """From now on hosts do not get as far as to take a push, until `open_repositories`."""
        self._cloud_is(repository_delay=timedelta(hours=1))

    def open_repositories(self):
        self._cloud_is()
        for application in self.sandbox.cloud.applications(self.sandbox.organisation_id):
            application.repository_at = self.sandbox.cloud.clock()

    def _cloud_is(self, **options):
        """The other program shows its credentials over TLS only, which the sandbox does not speak."""
        self.sandbox.cloud.options = CloudOptions(anonymous_push_token=self.sandbox.cloud_token, **options)

    @asynccontextmanager
    async def peer(self):
        """The unmodified program until the end of the block, then SIGTERM."""
        async with self.peer_process() as process:
            yield process
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                assert await process.wait() == 0, self.peer_told

    @asynccontextmanager
    async def peer_process(self):
        """The unmodified program, which may end by itself; it does not outlive the block."""
        with self._peer_log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                str(self._peer_program), str(self.config), stdout=log, stderr=log, cwd=self.config.parent
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    @property
    def peer_told(self):
        return self._peer_log.read_text()

    @property
    def state(self):
        """The lists of the state file, as counts."""
        document = json.loads(self.state_file.read_text())
        return {name: len(entries) for name, entries in document.items() if isinstance(entries, list)}


@pytest.fixture
async def shared(tmp_path, peer_program):
    options = SandboxOptions(
        coordinator=lambda options: attrs.evolve(options, long_poll_seconds=0.5, trace_interval_seconds=1)
    )
    async with Sandbox(options) as sandbox:
        world = SharedWorld(sandbox, tmp_path, peer_program)
        world.configure_for_both()
        yield world
