"""What the kubelet runs containers by: programs of this machine, or scripts that are played.

A third kind is a Docker engine (`docker_runtime`). On this machine a container has no files of its own: where
its command, arguments or environment name a mount path, they get the folder that stands for it.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

import attrs

from paas_runner.errors import RunnerError
from paas_runner.inner import InnerRunner, Stops

KILLED = 128 + signal.SIGKILL
TERMINATED = 128 + signal.SIGTERM


class ImageError(RunnerError):
    """An image that cannot be had; the text is what its puller says."""


@attrs.frozen(kw_only=True)
class Container:
    """One container as its kubelet wants it run."""

    name: str
    pod: str
    image: str
    command: Sequence[str]
    arguments: Sequence[str]
    environment: Mapping[str, str] = attrs.field(repr=False)
    mounts: Mapping[str, Path]
    """What of this machine is where in the container: folders of volumes, and files by `subPath`."""

    write: Callable[[bytes], None]
    """Takes what it writes, in pieces of any size."""

    stopping: asyncio.Event
    """Set when it is asked to end, as by SIGTERM."""


@attrs.frozen
class Exit:
    """How a container has ended; `cause` is why, where it was not by itself."""

    code: int
    cause: str = ""

    @property
    def reason(self) -> str:
        """As in `state.terminated.reason`."""
        return self.cause or ("Error" if self.code else "Completed")


class Runtime(Protocol):
    """Where containers run."""

    async def pull(self, image: str) -> None:
        """Raises `ImageError`."""
        ...

    async def run(self, container: Container) -> Exit:
        """Until it ends; canceled, it is killed, and nothing of it is left."""
        ...


Program: TypeAlias = Callable[[Container], Awaitable[int]]
"""What stands for an image: returns the exit code, obeys `stopping`, and ends everything when canceled."""


@attrs.frozen
class LocalRuntime:
    """Runs on this machine what a table has for an image."""

    programs: Mapping[str, Program]
    otherwise: Program | None = None
    """For all other images; without it there are none."""

    async def pull(self, image: str) -> None:
        if self.otherwise is None:
            _must_have(image, self.programs)

    async def run(self, container: Container) -> Exit:
        program = self.programs.get(container.image, self.otherwise)
        return Exit(await program(container) if program else KILLED)


async def own_command(container: Container) -> int:
    """The pod's own command, as a process of this machine."""

    def here(text: str) -> str:
        for inside, outside in sorted(container.mounts.items(), reverse=True):
            text = text.replace(inside, str(outside))
        return text

    if not (container.command or container.arguments):
        container.write(
            f"{container.image}: there are no images here, so a pod has to say its command\n".encode()
        )
        return 127
    given = {name: here(text) for name, text in container.environment.items()}
    ours, its = (
        os.pipe()
    )  # not one of the process's own: that would be waited for until all others have closed it
    reading = asyncio.create_task(_read(ours, container.write))
    process = None
    try:
        process = await asyncio.create_subprocess_exec(
            *(here(word) for word in (*container.command, *container.arguments)),
            env={"PATH": os.environ["PATH"], **given},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=its,
            stderr=its,
            start_new_session=True,
        )
        with _told(container, process.terminate):
            code = await process.wait()
        return code if code >= 0 else 128 - code
    except OSError as error:
        container.write(f"{error}\n".encode())
        return 127
    finally:  # as in a container, nothing outlives the first process
        os.close(its)
        if process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        await asyncio.wait({reading})


async def _read(pipe: int, write: Callable[[bytes], None]) -> None:
    reader = asyncio.StreamReader()
    file = os.fdopen(pipe, "rb", buffering=0)
    protocol = partial(asyncio.StreamReaderProtocol, reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(protocol, file)
    with contextlib.closing(transport):
        while piece := await reader.read(65536):
            write(piece)


def inner_runner(runner: InnerRunner) -> Program:
    """The image of the inner runner: a job by `runner.toml` and `job.json`, wherever they are mounted."""

    async def run(container: Container) -> int:
        folders = [path if path.is_dir() else path.parent for path in container.mounts.values()]
        names = ("runner.toml", "job.json")
        found = {name: folder / name for folder in folders for name in names if (folder / name).exists()}
        if len(found) < len(names):
            container.write(b"runner.toml and job.json are not mounted\n")
            return 78
        config, job = (found[name].read_text() for name in names)
        told = attrs.evolve(
            runner,
            environment=container.environment,
            say=lambda line: container.write(f"{line}\n".encode()),
        )
        stops = Stops()
        with _told(container, lambda: stops.abort("terminated")):
            return await told.run(config, job, stops)

    return run


@contextlib.contextmanager
def _told(container: Container, stop: Callable[[], object]) -> Iterator[None]:
    """What is to be done when it is asked to end."""

    async def wait() -> None:
        await container.stopping.wait()
        with contextlib.suppress(ProcessLookupError):
            stop()

    waiting = asyncio.create_task(wait())
    try:
        yield
    finally:
        waiting.cancel()


@attrs.frozen(kw_only=True)
class Script:
    """A container that is played: lines at times, then its end."""

    lines: Sequence[tuple[float, str]] = ()
    """Each is written so many seconds after the one before."""

    code: int = 0
    out_of_memory: bool = False
    hangs: bool = False
    """It does not end by itself."""

    ignores_stop: bool = False
    """It goes on after SIGTERM, until it is killed."""


@attrs.frozen
class ScriptedRuntime:
    """Plays a script for each image, on any clock."""

    scripts: Mapping[str, Script]

    async def pull(self, image: str) -> None:
        _must_have(image, self.scripts)

    async def run(self, container: Container) -> Exit:
        script = self.scripts[container.image]
        play = asyncio.create_task(_played(script, container.write))
        stop = asyncio.create_task(container.stopping.wait())
        try:
            ends = {play} if script.ignores_stop else {play, stop}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return play.result() if play.done() else Exit(TERMINATED)
        finally:
            play.cancel()
            stop.cancel()


async def _played(script: Script, write: Callable[[bytes], None]) -> Exit:
    for pause, line in script.lines:
        await asyncio.sleep(pause)
        write(f"{line}\n".encode())
    if script.hangs:
        await asyncio.Event().wait()
    return Exit(KILLED, "OOMKilled") if script.out_of_memory else Exit(script.code)


def _must_have(image: str, known: Mapping[str, object]) -> None:
    if image not in known:
        raise ImageError(f'failed to pull and unpack image "{image}": {image}: not found')
