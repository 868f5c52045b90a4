"""A server on loopback: an ASGI application inside the running event loop, stopped at once and completely.

uvicorn speaks the protocol; its own server object is not used, because it takes over the process's signals
and waits for requests in progress, long polls among them, when it stops.
"""

import asyncio
import socket
from collections.abc import Callable
from email.utils import formatdate
from urllib.parse import urlsplit

import attrs
import uvicorn
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

ABORT = "server.abort"
"""Extension of the scope: an async callable without arguments that closes the connection at once."""

_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_MAX_HEAD_BYTES = 65536


class Listener:
    """One application on one port of 127.0.0.1, which stays the same from `start` to `start`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = Dated(LoopbackOnly(app))
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where the application is found, without a trailing slash; valid once started."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen; raises `OSError` when the port of the first time is taken."""
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
        )
        config.load()
        state = self._state = ServerState()
        listening = socket.socket()
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", self._port))
            self._server = await asyncio.get_running_loop().create_server(
                lambda: _Connection(config, state, lambda: self._state is state), sock=listening
            )
        except BaseException:
            listening.close()
            raise
        self._port = listening.getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, end all requests in progress and close their connections."""
        if self._server is None:
            return
        self._server.close()
        state, self._state = self._state, ServerState()
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(state.connections):
            connection.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)  # so that the loop notifies the aborted connections
        self._server = None


class _Connection(H11Protocol):
    """One connection, whose requests can close it without an answer."""

    def __init__(self, config: uvicorn.Config, state: ServerState, wanted: Callable[[], bool]) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self.app = _Abortable(config.loaded_app, self)
        self._wanted = wanted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the listener was stopped after it had accepted."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"{transport} carries no bytes")
        super().connection_made(transport)
        if not self._wanted():
            transport.abort()


@attrs.frozen(eq=False)
class _Abortable:
    """Gives the application a way to close the connection, and uses it when a request is canceled."""

    app: ASGIApp
    protocol: H11Protocol

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {**scope.get("extensions", {}), ABORT: self.abort}
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


class LoopbackOnly:
    """Refuses requests that name another host than this machine, such as those of a rebound DNS name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421."""
        if scope["type"] == "http" and not _names_loopback(scope):
            refusal = PlainTextResponse("This server answers only to loopback names.\n", 421)
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _names_loopback(scope: Scope) -> bool:
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    try:
        return len(hosts) == 1 and urlsplit(f"//{hosts[0]}").hostname in _LOOPBACK_NAMES
    except ValueError:
        return False
