"""A script in a container: started with its input, watched until the container stops.

The container stays, and may be started again for another script, which finds the files of those before it and
none of their processes. All of a script comes by standard input, its variables too: neither the arguments of
a process nor what the engine tells of a container has any of them. The shell gets one command, so that what
the script starts finds nothing of it to read.

With the first process of a container all others end. So it waits a little for those which the script's shell
has left with its output in their hands: they may still be writing it (`exec > >(tee log)`).
"""

import asyncio
import contextlib
import shlex
import socket
import threading
from collections.abc import AsyncIterator, Iterator

from paas_runner.docker.containers import attached, output, released
from paas_runner.docker.engine import Client, Engine, in_thread
from paas_runner.docker.errors import describe_failure
from paas_runner.errors import RemoteError
from paas_runner.inner.environment import exports
from paas_runner.inner.job_script import Script
from paas_runner.inner.process import RunningProgram, Write

_SHELL = """
set -- /proc/[0-9]*
if command -v bash >/dev/null 2>&1; then bash; else sh; fi
code=$?
held() {
  for fd in /proc/[0-9]*/fd/*; do
    case " $* " in
      *" ${fd%/fd/*} "*) ;;
      *) if [ "$fd" -ef "/proc/$$/fd/1" ] 2>/dev/null; then return 0; fi ;;
    esac
  done
  return 1
}
tenths=20
while [ "$tenths" -gt 0 ] && held "$@"; do
  sleep 0.1 >/dev/null 2>&1 || { sleep 1 >/dev/null 2>&1; tenths=$((tenths - 9)); }
  tenths=$((tenths - 1))
done
exit "$code"
"""
COMMAND = ("sh", "-c", _SHELL)
"""What an image's entrypoint is given. The shell is no first process, which signals would not reach.

Whoever was there before the shell does not count among those who hold its output, which is found by comparing
open files: of processes that belong to another user, whose files are not shown, nothing is waited for.
"""

TERMINATE = ("sh", "-c", "kill -TERM -1; kill -TERM 1")
"""Run beside a script: SIGTERM for all others; the first process gets it only if it wants to."""

_MOST_PIECES = 16  # of output, that wait to be written
_LAST_OUTPUT_SECONDS = 1.0
_NOT_RUNNING = (404, 409)


def shell_input(script: Script) -> bytes:
    """What the shell reads; raises ValueError for text that no shell can be given. Pure.

    Errors go the way of all output: by two ways they would come in any order.
    """
    folder = shlex.quote(str(script.workspace.project))
    body = "\n".join([*exports(script.environment), f"cd {folder} || exit 1", script.text()])
    if "\0" in body:
        raise ValueError("it contains a NUL character")
    return f"eval {shlex.quote(body)} </dev/null 2>&1\nexit\n".encode()


@contextlib.contextmanager
def as_os_error() -> Iterator[None]:
    """Let what the engine could not do be raised as a `Shell` promises it, in words for the job's author."""
    try:
        yield
    except RemoteError as error:
        raise OSError(describe_failure(error)) from error


@contextlib.asynccontextmanager
async def script_in(
    engine: Engine, container: str, text: bytes, write: Write
) -> AsyncIterator[RunningProgram]:
    """Start the container, whose shell reads `text`; leaving the context stops it.

    Raises `RemoteError`, and OSError for a connection that breaks.
    """
    connection = await engine.shielded_call(
        "attach to the job's container", lambda client: attached(client, container)
    )
    with released(connection):
        script = _Script(engine, container, connection)
        try:
            await engine.shielded_call("start the job's container", lambda client: client.start(container))
            script.begin(text, write)
            yield script
        finally:
            await script.end()


class _Script:
    """What goes on in a container, by the connection to its shell."""

    def __init__(self, engine: Engine, container: str, connection: socket.socket) -> None:
        self._engine = engine
        self._container = container
        self._connection = connection
        self._talking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._talking.set_result(None)  # there is nothing to wait for before it begins
        self._terminations: set[asyncio.Future[None]] = set()
        self._over = False

    def begin(self, text: bytes, write: Write) -> None:
        """Give the shell what it is to read, and have all its output written."""
        loop = asyncio.get_running_loop()
        self._talking = in_thread(lambda: _talk(self._connection, text, write, loop))

    async def wait(self) -> int:
        """The exit code, once all output has been written; raises `RemoteError` or OSError otherwise."""
        await asyncio.shield(self._talking)
        answer = await self._engine.call(
            "wait for the job's container", lambda client: client.wait(self._container)
        )
        self._over = True
        return int(answer["StatusCode"])

    def terminate(self) -> None:
        """SIGTERM for everything in the container."""
        self._terminations.add(asyncio.ensure_future(self._terminate()))

    async def end(self) -> None:
        """Kill what still runs, wait for its end and for its last output."""
        await asyncio.gather(*self._terminations, return_exceptions=True)
        try:
            if not self._over:
                await self._kill()
                await asyncio.wait({self._talking}, timeout=_LAST_OUTPUT_SECONDS)
        finally:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            await asyncio.wait({self._talking})
            self._talking.exception()  # looked at: it is over in any case

    async def _kill(self) -> None:
        """A container that has ended, or is gone, is as good."""
        try:
            await self._engine.shielded_call("kill the script", lambda client: client.kill(self._container))
        except RemoteError as error:
            if error.status not in _NOT_RUNNING:
                raise

    async def _terminate(self) -> None:
        def terminate(client: Client) -> None:
            run = client.exec_create(self._container, list(TERMINATE), user="0")
            client.exec_start(run["Id"], detach=True)

        await self._engine.shielded_call("terminate the script", terminate)


def _talk(connection: socket.socket, text: bytes, write: Write, loop: asyncio.AbstractEventLoop) -> None:
    """Send it, then have all output written by the event loop, and no more read than it gets written.

    One after the other: with TLS a connection cannot be used by two threads.
    """
    with contextlib.suppress(OSError):  # a shell that ends without having read it says so by its exit code
        connection.sendall(text)
    room = threading.Semaphore(_MOST_PIECES)

    def deliver(data: bytes) -> None:
        room.release()
        write(data)

    for data in output(connection):
        room.acquire()
        loop.call_soon_threadsafe(deliver, data)
