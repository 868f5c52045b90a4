"""Scripts without processes, for a loop whose time is not the world's.

The convention: a line `sleep N` waits N seconds of loop time, `echo TEXT` prints, `exit N` ends with that
code, `false` ends with 1; any other line does nothing. Lines are expanded as variables are.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import PurePosixPath

from paas_runner.job.variables import expand
from paas_runner.sandbox.inner.job_script import Script, Workspace
from paas_runner.sandbox.inner.narrator import echo
from paas_runner.sandbox.inner.shell import Launched, Write

_TERMINATED = 143


class ScriptedShell:
    """Plays scripts; touches neither disk nor processes."""

    @contextlib.contextmanager
    def workspace(self, project_path: str) -> Iterator[Workspace]:
        """Directories that exist in name only."""
        root = PurePosixPath("/sandbox")
        yield Workspace(root=root, project=root / "builds" / (project_path.strip("/") or "project"))

    @contextlib.asynccontextmanager
    async def launch(self, script: Script, write: Write) -> AsyncIterator[Launched]:
        """Play a script until it ends or the context does."""
        play = _Play(asyncio.ensure_future(_played(script, write)))
        try:
            yield play
        finally:
            play.terminate()


class _Play:
    def __init__(self, task: asyncio.Task[int]) -> None:
        self._task = task

    async def wait(self) -> int:
        """The exit code; as after SIGTERM for a script that was ended."""
        await asyncio.wait([self._task])
        return _TERMINATED if self._task.cancelled() else self._task.result()

    def terminate(self) -> None:
        """End it now."""
        self._task.cancel()


async def _played(script: Script, write: Write) -> int:
    for command in script.commands:
        write(f"{echo(command)}\n".encode())
        for line in command.splitlines():
            word, _, rest = expand(line.strip(), lambda name: script.environment.get(name, "")).partition(" ")
            match word:
                case "sleep":
                    await asyncio.sleep(_seconds(rest))
                case "echo":
                    write(f"{rest}\n".encode())
                case "exit":
                    return int(_seconds(rest or "0")) & 0xFF
                case "false":
                    return 1
    return 0


def _seconds(text: str) -> float:
    """Raises OSError for what is no number: such a script cannot be run here."""
    try:
        return float(text)
    except ValueError:
        raise OSError(f"the number `{text}` is not understood by the scripted shell") from None
