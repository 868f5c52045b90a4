"""Registration as its own process, scripted or at a pseudo-terminal, against a sandbox on loopback."""

import asyncio
import fcntl
import os
import pty
import sys
import termios
from contextlib import asynccontextmanager

import attrs
import pytest

from paas_runner.sandbox.server import Sandbox, SandboxOptions

COMMAND = (sys.executable, "-m", "register")
CONTROL_C = "\x03"
CONTROL_D = "\x04"


class Session:
    """A person at a terminal: `expect` waits for words, `answer` types a line."""

    def __init__(self, process, master):
        self._process = process
        self._master = master
        self._new = asyncio.Event()
        self.screen = ""
        self._seen = 0
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self):
        try:
            data = os.read(self._master, 65536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
        self.screen += data.decode(errors="replace").replace("\r\n", "\n")
        self._new.set()

    async def expect(self, words, seconds=30):
        """Wait until `words` appear after what was expected before."""
        try:
            async with asyncio.timeout(seconds):
                while (at := self.screen.find(words, self._seen)) < 0:
                    self._new.clear()
                    await self._new.wait()
        except TimeoutError:
            pytest.fail(f"no {words!r} in:\n{self.screen[self._seen :]}\n--- before:\n{self.screen}")
        self._seen = at + len(words)

    def type(self, keys):
        os.write(self._master, keys.encode())

    async def answer(self, prompt, line=""):
        await self.expect(prompt)
        await self.expect(": ")
        self.type(line + "\n")

    async def end(self, seconds=30):
        async with asyncio.timeout(seconds):
            code = await self._process.wait()
        await asyncio.sleep(0.05)
        return code

    async def close(self):
        asyncio.get_running_loop().remove_reader(self._master)
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        os.close(self._master)


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

    @asynccontextmanager
    async def terminal(self, *arguments, **variables):
        master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *self.presets,
            *map(str, arguments),
            env=self.environ | variables,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        os.close(slave)
        session = Session(process, master)
        try:
            yield session
        finally:
            await session.close()

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
