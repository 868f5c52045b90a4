"""Scripts without processes, for a loop whose time is not the world's.

The convention: a line `sleep N` waits N seconds of loop time, `echo TEXT` prints, `exit N` ends with that
code, `false` ends with 1; any other line does nothing. Lines are expanded as variables are.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import PurePath, PurePosixPath
from typing import NoReturn

import attrs
import httpx

from paas_runner.inner.git_program import Launch
from paas_runner.inner.helper import Helper, NoHelper
from paas_runner.inner.job import Job, Workspace
from paas_runner.inner.job_script import Script
from paas_runner.inner.measuring import Tally
from paas_runner.inner.process import RunningProgram, Write
from paas_runner.inner.project_folder import Place
from paas_runner.inner.runner import InnerRunner
from paas_runner.inner.settings import RunnerSection
from paas_runner.inner.shell import Shell
from paas_runner.inner.trace import Narrator, echo
from paas_runner.job.variables import expand

_TERMINATED = 143
PLAYED_BYTES = 64 * 2**20
"""So much memory each job has taken, it says."""


class ScriptedShell:
    """Plays scripts; touches neither disk nor processes."""

    executor = "scripted"

    def __init__(self) -> None:
        """Whatever it plays, it has used as much."""
        self.tally = Tally()
        self.tally.add_ended(PLAYED_BYTES, cpu_seconds=1.0)

    @contextlib.contextmanager
    def workspace(self, place: Place) -> Iterator[Workspace]:
        """Directories that exist in name only."""
        yield place(PurePosixPath("/sandbox/builds"))

    @contextlib.asynccontextmanager
    async def prepared(self, job: Job, narrator: Narrator) -> AsyncIterator[None]:  # noqa: ARG002 - not needed
        """Scripts that are played need nothing."""
        yield

    @contextlib.asynccontextmanager
    async def launch(self, script: Script, write: Write) -> AsyncIterator[RunningProgram]:
        """Play a script until it ends or the context does."""
        play = _Play(asyncio.ensure_future(_played(script, write)))
        try:
            yield play
        finally:
            play.terminate()

    def launch_own(
        self, command: Sequence[str], *, folder: PurePath, environment: Mapping[str, str], write: Write
    ) -> NoReturn:
        """There are no files for a program to work on."""
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class ScriptedInnerRunner(InnerRunner):
    """An inner runner without processes and files: its time is the loop's."""

    shell: Callable[[RunnerSection], Shell] = lambda _section: ScriptedShell()
    helper: Callable[[Job, Narrator, httpx.AsyncClient, Launch], Helper] = lambda *_: NoHelper()


class _Play:
    def __init__(self, task: asyncio.Task[int]) -> None:
        self._task = task

    async def wait(self) -> int:
        """The exit code; as after SIGTERM for a script that was ended."""
        await asyncio.wait([self._task])
        return _TERMINATED if self._task.cancelled() else self._task.result()

    def terminate(self) -> None:
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
