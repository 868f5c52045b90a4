"""A job that is the program of its image: started once, with what the coordinator says it is given.

What it writes goes into the trace line by line, each with the name of its stream before it, by which a reader
of the trace tells it from what the runner itself says. GitLab knows no such jobs.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

from paas_runner.docker.engine import Engine
from paas_runner.docker.place import DockerPlace
from paas_runner.inner.process import RunningProgram, Write

_GRACE = timedelta(seconds=10)


@contextlib.asynccontextmanager
async def program_in(engine: Engine, container: str, write: Write) -> AsyncIterator[RunningProgram]:
    """Start the container as it was created; leaving the context ends it. Raises `RemoteError`."""
    place = DockerPlace(engine)
    program = _Program(place, container, write)
    try:
        await place.start(container)
        yield program
    finally:
        await asyncio.gather(*program.stopping, return_exceptions=True)
        await asyncio.shield(place.stop(container, timedelta()))


class _Program:
    """The first process of a container."""

    def __init__(self, place: DockerPlace, container: str, write: Write) -> None:
        self._place = place
        self._container = container
        self._write = write
        self.stopping: set[asyncio.Future[None]] = set()

    async def wait(self) -> int:
        """The exit code, once all output has been written; raises `RemoteError`."""
        async for line in self._place.lines(self._container):
            self._write(b"%b: %b\n" % (line.stream.encode(), line.text))
        ended = await self._place.wait(self._container)
        if ended is None:
            raise RuntimeError("a container that is waited for without a limit has ended")
        if ended.cause:
            self._write(f"{ended.cause}\n".encode())
        return ended.code

    def terminate(self) -> None:
        """By the signal that the image has for it; it is made to after a while."""
        self.stopping.add(asyncio.ensure_future(self._place.stop(self._container, _GRACE)))
