"""Programs of a job as real processes, each with a keeper that lets none of its descendants outlive it.

The keeper (`keeper.py`) dies with the inner runner, however that dies, and kills all that it keeps.
"""

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Protocol

Write = Callable[[bytes], None]
Used = Callable[[int, float], None]
"""Is told at the end of a program the bytes of memory of its largest process, and all its seconds of CPU."""

KEEPER_COMMAND = (sys.executable, "-I", "-S", "-X", "utf8", str(Path(__file__).with_name("keeper.py")))
_LAST_OUTPUT_SECONDS = 1.0  # for output that is still in the pipe when all processes are dead


class RunningProgram(Protocol):
    """A script that runs."""

    async def wait(self) -> int:
        """Its exit code, once all its output has been written; raises OSError for what could not start."""

    def terminate(self) -> None:
        """Ask it to end."""


@contextlib.asynccontextmanager
async def launched(
    command: Sequence[str],
    *,
    folder: PurePath,
    environment: Mapping[str, str],
    write: Write,
    used: Used = lambda _memory, _cpu: None,
    errors: Write | None = None,
    interrupted: bool = False,
    gate: PurePath | None = None,
) -> AsyncIterator[RunningProgram]:
    """Start a program with exactly this environment; leaving the context kills it and all it has started.

    Its errors are written with its output unless there is `errors`. What `terminate` sends is SIGTERM, or
    SIGINT for one that is to be `interrupted`. The file `gate` is made before the program is started; if it
    is there already, that is not started. Raises OSError when it cannot be started, as its `wait` does,
    and ValueError for text that is none.
    """
    task = keepers_task(command, folder, environment)
    ends: list[int] = []
    outputs: list[_Output] = []
    try:
        for each in (write, errors) if errors else (write,):
            reading, writing = os.pipe()
            ends.append(writing)
            outputs.append(await _collect(reading, each))
        keeper = await asyncio.create_subprocess_exec(
            *KEEPER_COMMAND,
            *(map(str, ends[1:]) if gate is None else (str(ends[1]) if errors else "1", str(gate))),
            cwd="/",
            env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
            stdin=asyncio.subprocess.PIPE,
            stdout=ends[0],
            stderr=asyncio.subprocess.PIPE,
            pass_fds=ends[1:],
            start_new_session=True,
        )
    except BaseException:
        for output in outputs:
            output.close()
        raise
    finally:
        for end in ends:
            os.close(end)
    program = _KeptProgram(keeper, outputs, used, request=b"I" if interrupted else b"T")
    for output in outputs:
        output.then(program.let_go_after_output)
    try:
        await program.send(task)
        yield program
    finally:
        await program.end()


def keepers_task(command: Sequence[str], folder: PurePath, environment: Mapping[str, str]) -> bytes:
    """What `keeper.py` reads first; raises OSError for a program that is not on this host."""
    entries = (f"{key}={value}" for key, value in environment.items())
    parts = (str(folder), str(len(command)), _path_of(command[0]), *command[1:], *entries)
    text = "\0".join(parts).encode(errors="surrogateescape")
    return b"%d\n%b" % (len(text), text)


def keepers_answer(said: bytes) -> tuple[str, tuple[int, float] | None]:
    """Why the program could not be started, and what it has used, as `Used` takes it."""
    complaint, _, told = said.partition(b"\0")
    kibibytes, _, seconds = told.partition(b" ")
    used = (int(kibibytes) * 1024, float(seconds)) if told else None
    return complaint.decode(errors="replace").strip(), used


def _path_of(program: str) -> str:
    path = program if "/" in program else shutil.which(program)
    if path is None:
        raise FileNotFoundError(f"there is no program `{program}` on this host")
    return path


class _Output(asyncio.Protocol):
    """The reading end of a pipe."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._transport: asyncio.BaseTransport | None = None
        self._then: Callable[[], None] | None = None
        self.ended = asyncio.Event()

    def then(self, call: Callable[[], None]) -> None:
        """Have something called when no one can write any more, or now if that is so."""
        self._then = call
        if self.ended.is_set():
            call()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - either way it is over
        self.ended.set()
        if self._then is not None:
            self._then()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _KeptProgram:
    """A program, seen through its keeper."""

    def __init__(
        self, keeper: asyncio.subprocess.Process, outputs: Sequence[_Output], used: Used, *, request: bytes
    ) -> None:
        self._keeper = keeper
        self._outputs = outputs
        self._used = used
        self._request = request
        self._over = False

    async def wait(self) -> int:
        """The exit code, as a shell counts; raises OSError for a program that could not be started."""
        complaint, used = keepers_answer(await self._complaints.read())  # ends with the keeper
        code = await self._keeper.wait()
        await self.end()
        if complaint or code < 0:
            raise OSError(complaint or f"its keeper was killed by signal {-code}")
        if used:
            self._used(*used)
        return code

    def terminate(self) -> None:
        """SIGTERM or SIGINT to the program's group."""
        self._requests.write(self._request)

    def let_go_after_output(self) -> None:
        """If no one can write any more, nothing of it is needed: the keeper may kill what is left."""
        if all(output.ended.is_set() for output in self._outputs):
            self._requests.close()

    async def send(self, text: bytes) -> None:
        """Write to the keeper; the end of one that is dead shows in its exit code."""
        with contextlib.suppress(ConnectionError):
            self._requests.write(text)
            await self._requests.drain()

    async def end(self) -> None:
        """Kill what is left, wait for its end and for what it has written."""
        if self._over:
            return
        self._requests.close()
        try:
            await self._keeper.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_OUTPUT_SECONDS):
                    for output in self._outputs:
                        await output.ended.wait()
        finally:
            for output in self._outputs:
                output.close()
        self._over = True

    @property
    def _requests(self) -> asyncio.StreamWriter:
        if self._keeper.stdin is None:
            raise RuntimeError("a keeper is started with a pipe for its input")
        return self._keeper.stdin

    @property
    def _complaints(self) -> asyncio.StreamReader:
        if self._keeper.stderr is None:
            raise RuntimeError("a keeper is started with a pipe for its errors")
        return self._keeper.stderr


async def _collect(reading: int, write: Write) -> _Output:
    pipe = os.fdopen(reading, "rb", buffering=0)
    _, output = await asyncio.get_running_loop().connect_read_pipe(lambda: _Output(write), pipe)
    return output
