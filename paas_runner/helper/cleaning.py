"""What a job may have left on its host is removed, and looked for once more: nothing else is a proof.

Each part answers with what is left in spite of it, in words, or with nothing.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from paas_runner.docker.engine import Client, Engine, in_thread
from paas_runner.docker.labels import remove_all
from paas_runner.errors import RemoteError

ENGINE_SECONDS = 45.0
FILES_SECONDS = 45.0
PROCESSES_SECONDS = 10.0
QUIET_SECONDS = 3.0  # within which the engine has made what a dead inner runner asked it for
_ROUNDS = 50
_PAUSE_SECONDS = 0.02
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """From now on whatever a job leaves running becomes a child of this process."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


async def processes_ended() -> str:
    """Kill all children of this process, and theirs; only for one that has no other than a job's."""
    return await in_thread(_processes_ended)


def _processes_ended() -> str:
    ends = time.monotonic() + PROCESSES_SECONDS
    while children := set(_children()):
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):  # asyncio was faster, or it is only about to be ours
                os.waitpid(child, os.WNOHANG)
        if time.monotonic() > ends:
            return f"{len(children)} processes cannot be killed"
        time.sleep(_PAUSE_SECONDS)
    return ""


def _children() -> Iterator[int]:
    """Of each thread: orphans go to any of them."""
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield from map(int, (thread / "children").read_text().split())


async def engine_cleaned(engine: Engine, labels: Mapping[str, str], *, quiet_seconds: float) -> str:
    """Remove all containers, networks and volumes with these labels."""

    def removed(client: Client) -> str:
        left = remove_all(client, labels, rounds=_ROUNDS, quiet_seconds=quiet_seconds)
        return ", ".join(map(str, left))

    try:
        async with asyncio.timeout(ENGINE_SECONDS):
            return await engine.call("remove what a job has left", removed)
    except TimeoutError:
        return f"the {engine.address.service} does not answer"
    except RemoteError as error:
        return str(error)


async def folder_removed(folder: Path) -> str:
    """Remove the folder; links in it are not followed."""
    await _ran("rm", "-rf", "--one-file-system", "--", str(folder))
    left = os.path.lexists(folder)  # noqa: ASYNC240 - a look at a local folder
    return f"files in {folder}" if left else ""


async def folder_emptied(folder: Path) -> str:
    """Remove all that is in the folder, where something can be in it."""
    if not folder.is_dir():  # noqa: ASYNC240 - a look at a local folder
        return ""
    await _ran("find", str(folder), "-xdev", "-mindepth", "1", "-delete")
    with os.scandir(folder) as left:
        return f"files in {folder}" if any(left) else ""


async def _ran(*command: str) -> None:
    """Whether it did what it should is looked at afterwards; raises nothing."""
    with contextlib.suppress(OSError):
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(FILES_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
