"""The service's side of the control socket: where it is, who may open it, and a task for each connection.

The path of a socket may be longer than the kernel takes: `address` is how both sides name it then.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import structlog

from paas_runner import foreign_json
from paas_runner.errors import RunnerError
from paas_runner.logs import redactor

log = structlog.stdlib.get_logger(__name__)

Handler: TypeAlias = Callable[[Mapping[str, Any]], AsyncIterator[Mapping[str, Any]]]
"""From the request to the parts of its answer; the text of a `RunnerError` goes to the one that asked."""

Control: TypeAlias = Callable[[Path, Mapping[str, Handler]], AbstractAsyncContextManager[object]]
"""What lets others ask for as long as it is entered."""

LONGEST_REQUEST_BYTES = 65_536
REQUEST_WITHIN_SECONDS = 10.0
ANSWERS_END_WITHIN_SECONDS = 5.0

LONGEST_ADDRESS_BYTES = 107
"""What a socket's address holds (unix(7): `sun_path` has 108 bytes, one of them ends it)."""


def control_path(state: Path) -> Path:
    """The socket stands beside the state file."""
    return state.with_suffix(".control.sock")


@contextmanager
def address(path: Path) -> Iterator[str]:
    """A name of `path` that fits into a socket's address, valid inside; raises OSError.

    A path that is too long is reached through its open folder.
    """
    if len(os.fsencode(path)) <= LONGEST_ADDRESS_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def no_control(_path: Path, _handlers: Mapping[str, Handler]) -> AbstractAsyncContextManager[object]:
    """A `Control` without a socket."""
    return nullcontext()


class ControlServer:
    """Answers on a socket of mode 0600, from entering to leaving the context.

    What a killed service left there is replaced: the holder of the store's lock owns the path. A socket that
    cannot be opened is an error in the log, and no reason not to run jobs.
    """

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        """`handlers` by request."""
        self._path = path
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        try:
            listening = _bound(self._path)
        except OSError as error:
            log.error(
                "control_socket_unavailable",
                path=str(self._path),
                reason=error.strerror or str(error),
            )
            return self
        self._server = await asyncio.start_unix_server(
            self._connected, sock=listening, limit=LONGEST_REQUEST_BYTES
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Accept no more and remove the socket; answers under way may end, unless something broke."""
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        if self._connections and kind is None:
            await asyncio.wait(self._connections, timeout=ANSWERS_END_WITHIN_SECONDS)
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer), name="control")
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async for part in self._parts(reader):
                writer.write(redactor.text(json.dumps(part)).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            log.debug("control_client_gone")
        except Exception:
            # a bug in an answer must not end the service
            log.exception("control_error")
        finally:
            writer.close()

    async def _parts(self, reader: asyncio.StreamReader) -> AsyncIterator[Mapping[str, Any]]:
        try:
            request = await _request(reader)
            handler = self._handler(request)
            async for part in handler(request):
                yield part
        except RunnerError as error:
            yield {"error": str(error)}
        except Exception:
            log.exception("control_error")
            yield {"error": "unexpected error: the service's log tells more"}
        else:
            yield {"done": True}

    def _handler(self, request: Mapping[str, Any]) -> Handler:
        name = str(request.get("ask"))
        if name not in self._handlers:
            known = ", ".join(sorted(self._handlers))
            raise RunnerError(f'this service knows no question "{name}"; it knows: {known}')
        return self._handlers[name]


async def _request(reader: asyncio.StreamReader) -> Mapping[str, Any]:
    try:
        async with asyncio.timeout(REQUEST_WITHIN_SECONDS):
            request = foreign_json.loads(await reader.readline())
    except TimeoutError:
        raise RunnerError(f"nothing was asked within {REQUEST_WITHIN_SECONDS:g} seconds") from None
    except ValueError:  # too long, or no JSON
        request = None
    if not isinstance(request, dict):
        raise RunnerError('a question is one line with a JSON object: {"ask": ...}')
    return request


def _bound(path: Path) -> socket.socket:
    """A socket at `path` that no other user may open, not even for a moment; raises OSError."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listening.fileno(), 0o600)  # the file takes it over (Linux)
        if path.is_socket():
            path.unlink()
        with address(path) as name:
            listening.bind(name)
    except BaseException:
        listening.close()
        raise
    return listening
