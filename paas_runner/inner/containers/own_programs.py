"""Programs of ours, git above all, in a container of their own beside the job's.

What they work on is the author's: a fault of git, or of how it is called, must not give him more than his job
has. So they run in the image of the runner's own container (GitLab Runner has one of its own for that), with
the folder of builds and the runner's network, and without the engine's socket; the operator's files that are
in that image are hidden, and its environment is removed. The container is made when it is first needed, and
removed with all that the job has on the engine.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path, PurePath

import attrs

from paas_runner.docker.containers import Mount, executed, pieces, released
from paas_runner.docker.engine import Engine, in_thread
from paas_runner.inner.containers.attached import as_os_error
from paas_runner.inner.containers.creation import ContainerFactory, ContainerSpec
from paas_runner.inner.containers.own_container import OwnContainer
from paas_runner.inner.containers.settings import ContainerOptions
from paas_runner.inner.process import KEEPER_COMMAND, RunningProgram, Write, keepers_answer, keepers_task

_FOREVER = ("sleep", "infinity")
_MOST_PIECES = 16  # of output, that wait to be written
_ERRORS = 2
_PAUSE_SECONDS = 0.02
_LAST_SECONDS = 10.0  # for a program to be killed in, and its keeper to end


@attrs.define(kw_only=True)
class OwnPrograms:
    """Where they run."""

    factory: ContainerFactory
    spec: ContainerSpec
    _ref: str = attrs.field(init=False, default="")
    _starting: asyncio.Lock = attrs.field(init=False, factory=asyncio.Lock)

    @contextlib.asynccontextmanager
    async def launch(
        self, command: Sequence[str], *, folder: PurePath, environment: Mapping[str, str], write: Write
    ) -> AsyncIterator[RunningProgram]:
        """Start a program as `process.launched` does; its new files get the rights that ours get."""
        task = keepers_task(command, folder, environment)
        with as_os_error():
            async with self._starting:
                self._ref = self._ref or await self._started()
            mask = f'umask {_umask():03o}; exec "$@"'
            run, connection = await self.factory.engine.shielded_call(
                "run a program of the runner",
                lambda client: executed(client, self._ref, ("sh", "-c", mask, "sh", *KEEPER_COMMAND)),
            )
            with released(connection):
                program = _Program(self.factory.engine, run, connection)
                program.begin(task, write)
                try:
                    yield program
                finally:
                    await program.end()

    async def _started(self) -> str:
        ref = await self.factory.create(self.spec)
        await self.factory.engine.shielded_call(
            "start the container of the runner's programs", lambda client: client.start(ref)
        )
        return ref


def own_programs(
    factory: ContainerFactory, own: OwnContainer, *, builds: Mount, hidden: Sequence[Path]
) -> OwnPrograms:
    """Those of a runner in such a container; `hidden` are files that they must not read."""
    network = f"container:{own.ref}"
    return _programs(factory, own, hidden, role="helper", network=network, mounts=(builds,))


def probing_programs(factory: ContainerFactory, own: OwnContainer, hidden: Sequence[Path]) -> OwnPrograms:
    """Those that reach the job's services, where the runner must not be.

    On the job's network its author says what a name means, the coordinator's too.
    """
    return _programs(factory, own, hidden, role="probe", network=factory.network)


def _programs(
    factory: ContainerFactory,
    own: OwnContainer,
    hidden: Sequence[Path],
    *,
    role: str,
    network: str,
    mounts: Sequence[Mount] = (),
) -> OwnPrograms:
    masks = tuple(Mount(str(path.absolute()), os.devnull, type="bind", read_only=True) for path in hidden)
    return OwnPrograms(
        factory=attrs.evolve(factory, network=network, mounts=(*mounts, *masks), binds=()),
        spec=ContainerSpec(
            role=role,
            image=own.image,
            options=ContainerOptions(host_config=own.confinement, allowed_images=()),
            entrypoint=_FOREVER[:1],
            command=_FOREVER[1:],
            environment=dict.fromkeys(own.variables),
            user="",
        ),
    )


class _Program:
    """One that runs there, by the connection to its keeper."""

    def __init__(self, engine: Engine, run: str, connection: socket.socket) -> None:
        self._engine = engine
        self._run = run
        self._connection = connection
        self._said = b""
        self._talking: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self, task: bytes, write: Write) -> None:
        """Tell the keeper what to run, and have all output written."""
        loop = asyncio.get_running_loop()
        self._talking = in_thread(lambda: self._talk(task, write, loop))

    async def wait(self) -> int:
        """The exit code, once all output has been written; raises OSError for what could not start."""
        await asyncio.shield(self._talking)
        complaint, _ = keepers_answer(self._said)
        if complaint:
            raise OSError(complaint)
        async with asyncio.timeout(_LAST_SECONDS):
            while True:  # the engine closes the streams before it has noted the end
                found = await self._engine.call(
                    "ask for a program's end", lambda client: client.exec_inspect(self._run)
                )
                if found["ExitCode"] is not None:
                    return int(found["ExitCode"])
                await asyncio.sleep(_PAUSE_SECONDS)

    def terminate(self) -> None:
        """SIGTERM to the program's group."""
        with contextlib.suppress(OSError):
            self._connection.sendall(b"T")

    async def end(self) -> None:
        """Have it killed if it still runs: its keeper's input ends."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
        await asyncio.wait({self._talking}, timeout=_LAST_SECONDS)
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        await asyncio.wait({self._talking})
        self._talking.exception()  # looked at: it is over in any case

    def _talk(self, task: bytes, write: Write, loop: asyncio.AbstractEventLoop) -> None:
        """Have all output written by the event loop, and no more read than it gets written."""
        with contextlib.suppress(OSError):  # one that has ended says so by its exit code
            self._connection.sendall(task)
        room = threading.Semaphore(_MOST_PIECES)

        def deliver(data: bytes) -> None:
            room.release()
            write(data)

        for stream, data in pieces(self._connection):
            if stream == _ERRORS:
                self._said += data
            else:
                room.acquire()
                loop.call_soon_threadsafe(deliver, data)


def _umask() -> int:
    """Of this process, which can only be known by a change."""
    found = os.umask(0o022)
    os.umask(found)
    return found
