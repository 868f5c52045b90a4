"""Where clients come in: sockets on `address`, bounds for what they may take, and a line for each request.

The address is Go's: `host:port`, `:port` for all interfaces, `[::1]:port`; beside it `unix:/path`.
"""

import asyncio
import re
import socket
import time

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paas_runner.addresses import AddressError, ListenPlace, listen_place
from paas_runner.errors import UsageError
from paas_runner.plain_text import printable

log = structlog.stdlib.get_logger(__name__)

_BODY_SECONDS = 60.0
"""For each piece of a request's body."""

WORDS = {"setting": "--address", "remedy": "choose another one"}
"""For `paas_runner.web.listening`: what it is that cannot be listened on."""

_QUIET = frozenset({"/health", "/metrics"})
_MOST_LETTERS = 300


def place_of(address: str) -> ListenPlace:
    """Raises `UsageError`."""
    if not address.startswith("unix:") and not re.search(r":[0-9]+$", address):
        raise UsageError(f'--address "{address}": a port is missing: localhost:9009, or :9009 for everybody')
    try:
        return listen_place(address)
    except AddressError as error:
        raise UsageError(f'--address "{address}": {error}') from None


def port_of(listening: socket.socket) -> int:
    """0 of a socket of the file system."""
    name = listening.getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0


class AccessLog:
    """An application whose every request is logged when it has been answered (P097).

    The query is left out: others may have put a token into it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        begun, status, size, complete = time.monotonic(), 0, 0, False

        async def received() -> Message:
            nonlocal complete
            if complete:  # what comes now is the client's leaving
                return await receive()
            async with asyncio.timeout(_BODY_SECONDS):
                message = await receive()
            complete = not message.get("more_body", False)
            return message

        async def sent(message: Message) -> None:
            nonlocal status, size
            status = message.get("status", status)
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, received, sent)
        except ClientDisconnect:  # its connection goes, and that is all
            raise
        except Exception:
            log.exception("a request failed")
            if not status:
                await PlainTextResponse("Internal Server Error\n", 500)(scope, received, sent)
        finally:
            tell = log.debug if scope["path"] in _QUIET and status == 200 else log.info
            tell(
                "request",
                method=scope["method"],
                path=_shown(scope["path"]),
                remote=":".join(map(str, scope.get("client") or ())),
                user_agent=_shown(Headers(scope=scope).get("user-agent", "")),
                status=status,
                size=size,
                ms=round((time.monotonic() - begun) * 1000, 2),
            )


def _shown(text: str) -> str:
    return printable(text)[:_MOST_LETTERS].replace("\n", " ")
