"""Registration as its own process, scripted or at a pseudo-terminal, against a sandbox on loopback."""

import asyncio
import os
import sys

import attrs
import pytest

from paas_runner.sandbox.server import Sandbox, SandboxOptions
from tests.support.person import at_terminal

COMMAND = (sys.executable, "-m", "register")


@attrs.frozen
class Told:
    code: int
    out: str
    err: str


class World:
    """A sandbox, a folder, and the ways to call the program."""

    def __init__(self, sandbox, folder):
        self.sandbox = sandbox
        self.folder = folder
        self.config = folder / "config.toml"
        self.environ = {"PATH": os.environ["PATH"]}
        self.presets = ("--set", f"cc_api_url={sandbox.cloud_api_url}")
        """Given at every registration."""

    @property
    def registration_token(self):
        return self.sandbox.coordinator.options.registration_token.reveal()

    @property
    def runners(self):
        """Those that were registered, by description."""
        return {
            runner.description: runner
            for runner in self.sandbox.coordinator.runners
            if runner.description != "sandbox"
        }

    @property
    def clever(self):
        """All that a script gives for `clever-docker`."""
        return {
            "CI_SERVER_URL": self.sandbox.coordinator_url,
            "REGISTRATION_TOKEN": self.registration_token,
            "RUNNER_NAME": "made by a script",
            "RUNNER_EXECUTOR": "clever-docker",
            "REGISTER_NON_INTERACTIVE": "true",
            "CC_ORGA_ID": self.sandbox.organisation_id,
            "CC_TOKEN": self.sandbox.cloud_token.reveal(),
        }

    async def start(self, *arguments, command=COMMAND, **variables):
        return await asyncio.create_subprocess_exec(
            *command,
            *(self.presets if command is COMMAND else ()),
            *map(str, arguments),
            env=self.environ | variables,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments, command=COMMAND, **variables):
        process = await self.start(*arguments, command=command, **variables)
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        return Told(process.returncode, out.decode(), err.decode())

    async def register(self, *arguments, **variables):
        """As a script does it; later variables win, None takes one away."""
        given = {key: value for key, value in (self.clever | variables).items() if value is not None}
        return await self.run(self.config, *arguments, **given)

    def terminal(self, *arguments, columns=0, **variables):
        command = (*COMMAND, *self.presets, *map(str, arguments))
        return at_terminal(*command, env=self.environ | variables, columns=columns)

    def left_over(self):
        """All in the folder but the configuration, and all runners: empty when nothing is half done."""
        return sorted(path.name for path in self.folder.rglob("*") if path != self.config), list(self.runners)


@pytest.fixture
def sandbox_options():
    return SandboxOptions(
        coordinator=lambda options: attrs.evolve(options, long_poll_seconds=0.5, trace_interval_seconds=1)
    )


@pytest.fixture
async def world(tmp_path, sandbox_options):
    async with Sandbox(sandbox_options) as sandbox:
        yield World(sandbox, tmp_path)
