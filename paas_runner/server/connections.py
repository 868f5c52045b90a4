"""HTTP connections of an ASGI application inside the running event loop, ended at once and completely.

uvicorn speaks the protocol; its own server object is not used, because it takes over the process's signals
and waits for requests in progress, long polls among them, when it stops.
"""

import asyncio
import math
import socket
import ssl
from collections.abc import Callable, Iterable
from email.utils import formatdate

import attrs
import uvicorn
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

ABORT = "server.abort"
"""Extension of the scope: an async callable without arguments that closes the connection at once."""

LONG = "server.long"
"""Extension of the scope: a callable without arguments; `answer_seconds` is not for this answer then."""

_MAX_HEAD_BYTES = 65536


@attrs.frozen(kw_only=True)
class Bounds:
    """What clients may take; without a number they are trusted."""

    connections: int | None = None
    """At once; for one more the one goes that has asked nothing for longest, or it goes itself."""

    head_seconds: float | None = None
    """From the first byte of a request, or from the connection, to the end of the request's headers."""

    answer_seconds: float | None = None
    """From there to the last byte of the answer in the client's hands, unless the answer is a long one."""

    idle_seconds: int = 5
    """How long a connection is kept for the next request."""


class Connections:
    """All connections of one application on sockets that are given, until `stop`."""

    def __init__(self, app: ASGIApp, bounds: Bounds = Bounds(), *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._config = uvicorn.Config(
            Dated(app),
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # anybody on this machine could choose an address
            timeout_keep_alive=bounds.idle_seconds,
            h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
        )
        self._config.load()
        self._bounds = bounds
        self._state: ServerState | None = None
        self._servers: list[asyncio.Server] = []

    async def start(self, sockets: Iterable[socket.socket]) -> None:
        """Listen on bound sockets, which are closed with the connections; raises `OSError`."""
        state = self._state = ServerState()
        for listening in sockets:
            server = await asyncio.get_running_loop().create_server(
                lambda: _Connection(self._config, state, self._bounds, lambda: self._state is state),
                sock=listening,
                ssl=self._tls,
            )
            self._servers.append(server)

    async def stop(self) -> None:
        """Stop listening, end all requests in progress and close their connections."""
        state, self._state = self._state, None
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        if state is None:
            return
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(state.connections):
            connection.transport.abort()
        for server in servers:
            await server.wait_closed()
        await asyncio.sleep(0)  # so that the loop notifies the aborted connections


class _Connection(H11Protocol):
    """One connection, whose requests can close it without an answer, and whose client is not waited for."""

    def __init__(
        self, config: uvicorn.Config, state: ServerState, bounds: Bounds, wanted: Callable[[], bool]
    ) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self.app = _Abortable(config.loaded_app, self)
        self._bounds = bounds
        self._wanted = wanted
        self._deadline: asyncio.TimerHandle | None = None
        self._reading_a_head = False
        self._idle_since = math.inf
        """Since when its client could have asked something; for ever while it is answered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the listener was stopped after it had accepted, or there are too many."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"{transport} carries no bytes")
        _send_at_once(transport)
        super().connection_made(transport)
        if not self._wanted() or not self._has_place():
            transport.abort()
            return
        self._expect_a_head()

    def _has_place(self) -> bool:
        """Whoever connects and asks nothing keeps nobody out who has a question."""
        most = self._bounds.connections
        if most is None or len(self.connections) <= most:
            return True
        others = [each for each in self.connections if isinstance(each, _Connection) and each is not self]
        idle = min(others, key=_Connection.idle_since, default=None)
        if idle is None or math.isinf(idle.idle_since()):
            return False
        self.connections.discard(idle)
        idle.transport.abort()
        return True

    def idle_since(self) -> float:
        """In seconds of the loop; infinite while it is answered, to the last byte."""
        return math.inf if self.transport.get_write_buffer_size() else self._idle_since

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._deadline:
            self._deadline.cancel()

    def data_received(self, data: bytes) -> None:
        """A new request has as long as its answer, its way to the client and the wait for the next one."""
        before: RequestResponseCycle | None = self.cycle
        if not self._reading_a_head and (before is None or before.response_complete):
            self._expect_a_head()
        super().data_received(data)
        if self.cycle is not before:
            self._reading_a_head, self._idle_since = False, math.inf
            answer = self._bounds.answer_seconds
            self._end_after(None if answer is None else answer + self._bounds.idle_seconds)

    def take_long(self) -> None:
        """The answer of now bounds itself."""
        self._end_after(None)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:  # else the next one was there already
            self._idle_since = self.loop.time()

    def _expect_a_head(self) -> None:
        self._reading_a_head, self._idle_since = True, self.loop.time()
        self._end_after(self._bounds.head_seconds)

    def _end_after(self, seconds: float | None) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)


def _send_at_once(transport: asyncio.Transport) -> None:
    """Else the body of an answer waits for the client's word on its head, some 40 ms.

    asyncio sees to it where a socket was opened with the protocol's number; `socket.socket()` has none.
    """
    connected: socket.socket = transport.get_extra_info("socket")
    if connected.family in (socket.AF_INET, socket.AF_INET6):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@attrs.frozen(eq=False)
class _Abortable:
    """Gives the application a way to close the connection, and uses it when a request is canceled."""

    app: ASGIApp
    protocol: _Connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = {ABORT: self.abort, LONG: self.protocol.take_long}
        scope["extensions"] = {**scope.get("extensions", {}), **ours}
        try:
            await self.app(scope, receive, send)
        except (asyncio.CancelledError, ClientDisconnect):  # the listener stops, or the client went away
            await self.abort()

    async def abort(self) -> None:
        self.protocol.transport.abort()
        await asyncio.sleep(0)  # then the protocol is notified, and expects no answer any more


class Dated:
    """Puts the time into every answer that is without it, as every real server does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if all(name != b"date" for name, _ in headers):
                    headers.append((b"date", formatdate(usegmt=True).encode()))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_dated)
