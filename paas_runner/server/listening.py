"""A server on loopback, for programs of this machine that know its port."""

import socket
import ssl
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from paas_runner.server.connections import Connections

_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


class Listener:
    """One application on one port of 127.0.0.1, which stays the same from `start` to `start`."""

    def __init__(self, app: ASGIApp, tls: ssl.SSLContext | None = None) -> None:
        self._connections = Connections(LoopbackOnly(app), tls=tls)
        self._scheme = "https" if tls else "http"
        self._port = 0

    @property
    def url(self) -> str:
        """Where the application is found, without a trailing slash; valid once started."""
        return f"{self._scheme}://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen; raises `OSError` when the port of the first time is taken."""
        listening = socket.socket()
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", self._port))
            await self._connections.start([listening])
        except BaseException:
            listening.close()
            raise
        self._port = listening.getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, end all requests in progress and close their connections."""
        await self._connections.stop()


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
