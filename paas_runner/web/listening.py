"""Listening on `listen_address`: sockets, and what their clients may take of the service.

Whoever may connect may be slow, many or hostile: a head has a time and a size, an answer a time, connections
a number, and nothing here waits for a client. None of it is in the way of a job.
"""

import asyncio
import errno
import logging
import os
import socket
import stat
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import structlog
from starlette.types import ASGIApp

from paas_runner.addresses import ListenPlace
from paas_runner.errors import Exit, RunnerError
from paas_runner.server.connections import Bounds, Connections
from paas_runner.server.listening import LoopbackOnly

log = structlog.stdlib.get_logger(__name__)

BOUNDS = Bounds(connections=64, head_seconds=10.0, answer_seconds=30.0, idle_seconds=30)
BACKLOG = 64
SOCKET_MODE = 0o660
"""The group may ask, too: what collects metrics is another user than the service."""

_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_ADVICE = {
    errno.EADDRINUSE: "another program listens there: `ss -ltnp` shows which",
    errno.EACCES: "ports below 1024 are not for everybody",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address",
}
_ADVICE_OF_A_SOCKET = {
    errno.EADDRINUSE: "another program listens there: `ss -lxp` shows which",
    errno.EACCES: "the service may not write to that folder",
    errno.ENOENT: "the folder of the socket does not exist",
}


class ListenError(RunnerError):
    """Nobody can listen on an address; the text says why and what to do."""

    exit_code = Exit.CONFIG


class WebServer:
    """One application on one place, until it is closed."""

    def __init__(self, place: ListenPlace, connections: Connections, shown: str) -> None:
        self._place = place
        self._connections = connections
        self.address = shown
        """Where it listens, with the port that was free if any was meant."""

    @classmethod
    async def open(cls, place: ListenPlace, app: ASGIApp) -> "WebServer":
        """Listen from now on; raises `ListenError`."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # each bad request would be a line
        with ExitStack() as on_failure:
            sockets = await bound(place)
            for each in sockets:
                on_failure.callback(each.close)
            connections = Connections(LoopbackOnly(app) if place.on_loopback else app, BOUNDS)
            await connections.start(sockets)
            on_failure.pop_all()
        shown = place if place.path else ListenPlace(host=place.host, port=sockets[0].getsockname()[1])
        log.info("site_opened", address=str(shown))
        return cls(place, connections, str(shown))

    async def aclose(self) -> None:
        """End all requests in progress, and listen no more."""
        await self._connections.stop()
        if self._place.path:
            with suppress(FileNotFoundError):
                os.unlink(self._place.path)  # noqa: PTH108 - a path as in the file, at once
        log.info("site_closed", address=self.address)


async def try_out(place: ListenPlace, **words: str) -> None:
    """Listen there and stop at once, so that nobody is answered; raises `ListenError` as `bound` does."""
    for each in await bound(place, **words):
        each.close()
    if place.path:
        Path(place.path).unlink(missing_ok=True)  # noqa: ASYNC240 - as quick as the binding of it


async def bound(
    place: ListenPlace,
    *,
    setting: str = "`listen_address` =",
    remedy: str = "choose another address, or remove the key",
) -> Sequence[socket.socket]:
    """Sockets on which nobody listens yet, one at least; raises `ListenError` in words for the `setting`."""
    try:
        if place.path:
            return [_unix_socket(Path(place.path))]
        return await _tcp_sockets(place)
    except OSError as error:
        what = error.strerror or str(error)
        advice = (_ADVICE_OF_A_SOCKET if place.path else _ADVICE).get(error.errno or 0, "")
        told = f'{setting} "{place}" cannot be listened on: {what}' + (f" ({advice})" if advice else "")
        raise ListenError(f"{told}; {remedy}") from error


async def _tcp_sockets(place: ListenPlace) -> Sequence[socket.socket]:
    """One for each address of the name that this machine has, at least one."""
    if not place.host:
        return [_on_all_interfaces(place.port)]
    found = await asyncio.get_running_loop().getaddrinfo(
        place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    problem: OSError | None = None
    for family, address in dict.fromkeys((family, address) for family, *_, address in found):
        try:
            sockets.append(_tcp_socket(family, address))
        except OSError as error:
            problem = error
            if error.errno not in _NOT_HERE:
                break
    if problem and (not sockets or problem.errno not in _NOT_HERE):
        for each in sockets:
            each.close()
        raise problem
    return sockets if place.port else sockets[:1]  # each address would have another free port


def _on_all_interfaces(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
    return socket.create_server(("", port), backlog=BACKLOG)


def _tcp_socket(family: int, address: tuple[object, ...]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
    except BaseException:
        listening.close()
        raise
    return listening


def _unix_socket(path: Path) -> socket.socket:
    """What a killed service left there is replaced; what somebody listens on is not."""
    if _is_left_over(path):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listening.fileno(), SOCKET_MODE)  # the file takes it over (Linux), but for the umask
        listening.bind(str(path))
        path.chmod(SOCKET_MODE)
    except BaseException:
        listening.close()
        raise
    return listening


def _is_left_over(path: Path) -> bool:
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(str(path))
        except ConnectionRefusedError:
            return True
        except BlockingIOError:  # somebody listens, and is slow to take whoever comes
            return False
    return False
