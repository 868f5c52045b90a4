"""HTTP/1.1 on bare asyncio: what a service and git ask of a server, at some fifty microseconds a request.

Left out: TLS, pipelining, bodies in chunks (answered 411), `Expect`. A handler may answer at once, or with an
awaitable, which is canceled when the client leaves.
"""

import asyncio
import json
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, TypeAlias

import attrs

_MOST_HEAD_BYTES = 64 * 1024


@attrs.frozen
class Request:
    """Header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """An empty object for anything else."""
        found = json.loads(self.body) if self.body else {}
        return found if isinstance(found, dict) else {}


@attrs.frozen
class Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    content_type: str = "application/json"

    def encoded(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        if self.status != HTTPStatus.NO_CONTENT:
            lines += [f"content-type: {self.content_type}", f"content-length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


Handler: TypeAlias = Callable[[Request], Answer | Awaitable[Answer]]


def json_answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(content).encode(), headers or {})


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Listen on loopback; the URL."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(handler), "127.0.0.1", 0, backlog=4096)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class _Connection(asyncio.Protocol):
    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._buffer = b""
        self._waiting: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("no stream")
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self._waiting:
            self._waiting.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._waiting is None and (request := self._request()) is not None:
            try:
                outcome = self._handler(request)
            except Exception:  # noqa: BLE001 - a mistake of this world, to be seen
                self._failed()
                return
            if isinstance(outcome, Answer):
                self._transport.write(outcome.encoded())
            else:
                self._waiting = asyncio.ensure_future(outcome)
                self._waiting.add_done_callback(self._answered)

    def _answered(self, outcome: "asyncio.Future[Answer]") -> None:
        self._waiting = None
        if outcome.cancelled():
            return
        if outcome.exception():
            traceback.print_exception(outcome.exception(), file=sys.stderr)
            self._transport.abort()
            return
        self._transport.write(outcome.result().encoded())
        if self._buffer:
            self.data_received(b"")

    def _failed(self) -> None:
        traceback.print_exc(file=sys.stderr)
        self._transport.abort()

    def _request(self) -> Request | None:
        """The next one, as soon as all of it is there."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MOST_HEAD_BYTES:
                self._transport.abort()
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "transfer-encoding" in headers:
            self._transport.write(Answer(411).encoded())
            self._transport.close()
            return None
        begin = end + 4
        after = begin + int(headers.get("content-length", "0"))
        if len(self._buffer) < after:
            return None
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        body, self._buffer = self._buffer[begin:after], self._buffer[after:]
        return Request(method, path, query, headers, body)
