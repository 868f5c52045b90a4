"""One connection and the exchanges on it, one after the other, in HTTP/1.1 as h11 speaks it.

What comes is bounded before it is looked at: the bytes that wait for a reader, those of an answer's head, and
the informational answers before it. What was cut off in the middle of an exchange is not `over`, and is
never used again.
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import cast

import h11
import httpx

MOST_HEAD_BYTES = 64 * 1024
MOST_WAITING_BYTES = 64 * 1024
MOST_INFORMATIONAL = 8
"""Answers that announce another one, as 103 does; none was asked for."""

Headers = Sequence[tuple[bytes, bytes]]


class UnheardError(httpx.RemoteProtocolError):
    """The connection ended before any byte of an answer."""


class Connection(asyncio.Protocol):
    """To a server, or to a proxy and through it."""

    def __init__(self) -> None:
        self.used_at = 0.0
        self._socket: asyncio.Transport
        self._transport: asyncio.Transport
        self._wire = _wire()
        self._waiting = bytearray()
        self._arrival: asyncio.Future[None] | None = None
        self._ended = False
        self._error: Exception | None = None
        self._heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop's word; TLS comes later."""
        self._socket = self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """The loop's word."""
        self._waiting += data
        if len(self._waiting) > MOST_WAITING_BYTES:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The loop's word, which closes the transport then."""
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The loop's word."""
        self._ended, self._error = True, exc
        self._wake()

    @property
    def over(self) -> bool:
        """Whether both sides have said all of an exchange, and another may follow."""
        return (
            self._wire.our_state is h11.DONE
            and self._wire.their_state is h11.DONE
            and not self._transport.get_write_buffer_size()
            and not self._socket.get_write_buffer_size()  # TLS does not count what it has handed on
            and not self._wire.trailing_data[0]
            and self.quiet
        )

    @property
    def quiet(self) -> bool:
        """Whether it stands, and nothing has come; between two exchanges that would be nobody's answer."""
        return not (self._ended or self._waiting or self._transport.is_closing())

    def abort(self) -> None:
        """End it at once, whatever is on its way."""
        self._transport.abort()

    async def become_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Speak TLS from now on, also inside what a proxy has opened. Raises OSError and `TransportError`."""
        if self._waiting or self._wire.trailing_data[0]:
            raise httpx.RemoteProtocolError("bytes came before TLS")
        loop = asyncio.get_running_loop()
        inside = await loop.start_tls(self._transport, self, context, server_hostname=host)
        if inside is None:  # the connection was lost meanwhile
            raise ConnectionError
        self._transport, self._wire = inside, _wire()

    async def ask(
        self, method: str, target: bytes, headers: Headers, body: httpx.AsyncByteStream | None = None
    ) -> h11.Response:
        """Send a whole request; returns the head of its answer. Raises `httpx.TransportError`."""
        if self._wire.our_state is h11.DONE:
            self._wire.start_next_cycle()
        self._heard = False
        try:
            pieces = [self._wire.send(h11.Request(method=method, target=target, headers=list(headers)))]
            if body is not None:
                pieces += [self._wire.send(h11.Data(data=piece)) async for piece in body]
            pieces.append(self._wire.send(h11.EndOfMessage()))
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from error
        self._transport.writelines(filter(None, pieces))  # most fit into one packet
        for _ in range(MOST_INFORMATIONAL):
            event = await self._event()
            if isinstance(event, h11.Response):
                return event
        raise httpx.RemoteProtocolError("announced an answer too often")

    async def piece(self) -> bytes | None:
        """The next bytes of the answer's body; None after the last."""
        event = await self._event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def _event(self) -> object:
        while True:
            try:
                event = self._wire.next_event()
            except h11.RemoteProtocolError as error:
                raise httpx.RemoteProtocolError(str(error)) from error
            if event is not h11.NEED_DATA:
                return event
            self._wire.receive_data(await self._arrived())

    async def _arrived(self) -> bytes:
        """What has come, nothing after the end; raises where that came too early to be one."""
        while not self._waiting:
            if self._ended:
                if not self._heard:
                    raise UnheardError("closed without an answer") from self._error
                if self._error:
                    raise httpx.ReadError("the connection broke") from self._error
                return b""
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        self._heard = True
        data = bytes(self._waiting)
        self._waiting.clear()
        if len(data) > MOST_WAITING_BYTES:
            self._transport.resume_reading()
        return data

    def _wake(self) -> None:
        if self._arrival and not self._arrival.done():
            self._arrival.set_result(None)


def _wire() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD_BYTES)
