"""Scripts as real processes: bash if there is one, else sh, each step in a process group of its own."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from paas_runner.sandbox.inner.job_script import Script, Workspace
from paas_runner.sandbox.inner.shell import Launched, Write

_LAST_OUTPUT_SECONDS = 1.0  # for output that is still in the pipe when everybody is dead


class ProcessShell:
    """Runs scripts on this machine, in a private directory, with nothing of our own environment but PATH.

    When a step's shell has ended, whatever it left in its process group is killed.
    """

    @contextlib.contextmanager
    def workspace(self, project_path: str) -> Iterator[Workspace]:
        """A temporary directory that only this user can enter."""
        with tempfile.TemporaryDirectory(prefix="paas-runner-job-", ignore_cleanup_errors=True) as name:
            root = Path(name)
            parts = [part for part in project_path.split("/") if part not in ("", ".", "..")]
            workspace = Workspace(root=root, project=root.joinpath("builds", *(parts or ["project"])))
            for directory in (workspace.project, workspace.files):
                Path(directory).mkdir(parents=True)
            yield workspace

    @contextlib.asynccontextmanager
    async def launch(self, script: Script, write: Write) -> AsyncIterator[Launched]:
        """Start the shell; leaving the context kills its group at once."""
        path = _written(script)
        reading, writing = os.pipe()
        output = await _collected(reading, write)
        try:
            process = await asyncio.create_subprocess_exec(
                shutil.which("bash") or "/bin/sh",
                path,
                cwd=script.directory,
                env=_environment(script),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except BaseException:
            output.close()
            raise
        finally:
            os.close(writing)
        group = _Group(process, output)
        try:
            yield group
        finally:
            await group.end()


class _Output(asyncio.Protocol):
    """The reading end of a pipe."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._transport: asyncio.BaseTransport | None = None
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - either way it is over
        self.ended.set()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Group:
    """A shell with everything it has started."""

    def __init__(self, process: asyncio.subprocess.Process, output: _Output) -> None:
        self._process = process
        self._output = output
        self._over = False

    async def wait(self) -> int:
        """The exit code as a shell counts: 128 and the signal for a violent end."""
        code = await self._process.wait()
        await self.end()
        return code if code >= 0 else 128 - code

    def terminate(self) -> None:
        """SIGTERM to all."""
        self._send(signal.SIGTERM)

    async def end(self) -> None:
        """Kill whoever is left, wait for the shell's end and for what they have written."""
        if self._over:
            return
        self._send(signal.SIGKILL)
        try:
            await self._process.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_OUTPUT_SECONDS):
                    await self._output.ended.wait()
        finally:
            self._output.close()
        self._over = True

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


async def _collected(reading: int, write: Write) -> _Output:
    pipe = os.fdopen(reading, "rb", buffering=0)
    _, output = await asyncio.get_running_loop().connect_read_pipe(lambda: _Output(write), pipe)
    return output


def _written(script: Script) -> Path:
    """The script as a file beside the project, and its file variables."""
    for path, content in script.files.items():
        Path(path).write_text(content, encoding="utf-8")
    path = Path(script.home, f".{script.name}.sh")
    path.write_text(script.text(), encoding="utf-8")
    return path


def _environment(script: Script) -> dict[str, str]:
    own = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    return {**own, "HOME": str(script.home), "TMPDIR": str(script.home), **script.environment}
