"""HTTP/1.1 on a socket, as h11 speaks it, for few clients who are not trusted: all of it is bounded.

A connection has so long for the head of its next request, and for a body; where there are too many, the one
that has asked nothing for longest goes.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from email.utils import formatdate
from http import HTTPStatus

import attrs
import h11

from paas_runner.helper.http1 import Answer, Http1Verbs, Request, complaint

_PIECE_BYTES = 65_536


@attrs.frozen(kw_only=True)
class Bounds:
    """What clients may take."""

    connections: int = 64
    head_seconds: float = 20.0
    body_seconds: float = 120.0
    answer_seconds: float = 20.0
    """For the client to take the answer."""

    head_bytes: int = 16_384
    unread_bytes: int = 1_048_576
    """Of a body that nobody wanted, so that its sender gets to read why."""

    unread_seconds: float = 2.0


class Http1Listener:
    """All connections to one set of verbs."""

    def __init__(self, verbs: Http1Verbs, bounds: Bounds) -> None:
        self._verbs = verbs
        self._bounds = bounds
        self._idle: dict[asyncio.StreamWriter, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def listening(
        cls,
        verbs: Http1Verbs,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        bounds: Bounds = Bounds(),
    ) -> AsyncIterator[int]:
        """Answer within; the port, if any was meant. Empty `host`: all interfaces. Raises OSError."""
        listener = cls(verbs, bounds)
        handshake = bounds.head_seconds if tls else None
        server = await asyncio.start_server(
            listener.accept, host or None, port, ssl=tls, ssl_handshake_timeout=handshake
        )
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in tuple(listener._tasks):
                task.cancel()
            await asyncio.gather(*listener._tasks, return_exceptions=True)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, to its end."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._make_place()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer, self._bounds)
        try:
            while await self._one_request(connection):
                pass
        except (OSError, TimeoutError, h11.LocalProtocolError):
            pass  # the client is gone, or too slow
        finally:
            writer.transport.abort()

    def _make_place(self) -> None:
        while len(self._tasks) > self._bounds.connections and self._idle:
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            oldest.transport.abort()

    async def _one_request(self, connection: "_Connection") -> bool:
        """Answer it; whether there may be another."""
        self._idle[connection.writer] = None  # the last of those that have asked nothing
        try:
            request = await connection.head()
        except h11.RemoteProtocolError as error:
            await connection.send(complaint(error.error_status_hint, "this is no request of HTTP/1.1"), "GET")
            return False
        finally:
            self._idle.pop(connection.writer, None)
        if request is None:
            return False
        try:
            answer = await self._verbs.answer(request, connection.body)
        except h11.RemoteProtocolError:
            answer = complaint(400, "the body ended before its end")
        await connection.send(answer, request.method)
        return await connection.next()


class _Connection:
    """h11's state beside the streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bounds: Bounds) -> None:
        self.writer = writer
        self._reader = reader
        self._bounds = bounds
        self._wire = h11.Connection(h11.SERVER, max_incomplete_event_size=bounds.head_bytes)

    async def head(self) -> Request | None:
        """Of the next request; None when there is none."""
        async with asyncio.timeout(self._bounds.head_seconds):
            event = await self._event()
        if not isinstance(event, h11.Request):
            return None
        path, _, _ = event.target.decode("ascii").partition("?")
        return Request(
            method=event.method.decode("ascii"),
            path=path,
            headers={name.decode("ascii"): value.decode("latin-1") for name, value in event.headers},
        )

    async def body(self, most_bytes: int) -> bytes | None:
        """All of it, or None for more than that."""
        found = bytearray()
        async with asyncio.timeout(self._bounds.body_seconds):
            if self._wire.they_are_waiting_for_100_continue:
                going_on = h11.InformationalResponse(status_code=100, headers=[])
                await self._written(self._wire.send(going_on))
            while isinstance(event := await self._event(), h11.Data):
                found += event.data
                if len(found) > most_bytes:
                    return None
        return bytes(found)

    async def send(self, answer: Answer, method: str) -> None:
        """All of it, as far as the client takes it in time."""
        if self._wire.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        headers = [
            ("Date", formatdate(usegmt=True)),
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            *answer.headers.items(),
        ]
        if not self._is_read():  # else a body that was not wanted would be taken for a request
            headers.append(("Connection", "close"))
        reason = HTTPStatus(answer.status).phrase.encode()
        response = h11.Response(status_code=answer.status, headers=headers, reason=reason)
        pieces = [self._wire.send(response)]
        if method != "HEAD":
            pieces.append(self._wire.send(h11.Data(data=answer.body)))
        pieces.append(self._wire.send(h11.EndOfMessage()))
        await self._written(*pieces)

    async def next(self) -> bool:
        """Whether another request may come."""
        if self._wire.our_state is h11.DONE and self._wire.their_state is h11.DONE:
            self._wire.start_next_cycle()
            return True
        if self.writer.can_write_eof():
            self.writer.write_eof()
        unread = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._bounds.unread_seconds):
                while unread < self._bounds.unread_bytes and (piece := await self._reader.read(_PIECE_BYTES)):
                    unread += len(piece)
        return False

    def _is_read(self) -> bool:
        """Whether the request is over; one without a body is, although nobody has looked for it."""
        if self._wire.their_state is h11.SEND_BODY:
            with contextlib.suppress(h11.RemoteProtocolError):
                self._wire.next_event()
        return self._wire.their_state is h11.DONE

    async def _event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while (event := self._wire.next_event()) is h11.NEED_DATA:
            self._wire.receive_data(await self._reader.read(_PIECE_BYTES))
        return event

    async def _written(self, *pieces: bytes | None) -> None:
        self.writer.write(b"".join(piece or b"" for piece in pieces))
        async with asyncio.timeout(self._bounds.answer_seconds):
            await self.writer.drain()
