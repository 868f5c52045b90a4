"""What is particular about containers: what they are created with, and their streams.

The SDK's own types are handed on; what it complains of in them is a ValueError.
"""

import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from docker.errors import DockerException
from docker.types import LogConfig, Mount, Ulimit

from paas_runner.docker.engine import Client

__all__ = [
    "LogConfig",
    "Mount",
    "Ulimit",
    "attached",
    "attached_input",
    "executed",
    "feed",
    "host_config",
    "log_lines",
    "measured",
    "output",
    "pieces",
    "released",
    "sent_at_once",
]

_HEAD = struct.Struct(">BxxxL")  # before each piece of output: which stream, how long
_MOST_BYTES = 64 * 1024
_MOST_LINE_BYTES = 64 * 1024


def host_config(client: Client, **options: Any) -> Mapping[str, Any]:
    """The part of a new container that depends on its engine; raises ValueError for options that are none."""
    try:
        found: Mapping[str, Any] = client.create_host_config(**options)
    except (DockerException, TypeError, ValueError) as error:
        raise ValueError(str(error)) from error
    return found


def attached(client: Client, container: str) -> socket.socket:
    """A connection to the container's standard streams, without time limits."""
    streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    return _lasting(client.attach_socket(container, params=streams))


def attached_input(client: Client, container: str) -> socket.socket:
    """The same to its standard input alone, which ends with the connection."""
    return _lasting(client.attach_socket(container, params={"stdin": 1, "stream": 1}))


def sent_at_once(connection: socket.socket, data: bytes) -> bytes:
    """Send what goes without waiting for a reader; returns the rest."""
    connection.setblocking(False)
    with contextlib.suppress(OSError):  # above all, that nothing goes without waiting
        while data:
            data = data[connection.send(data[:_MOST_BYTES]) :]
    connection.settimeout(None)
    return data


def feed(connection: socket.socket, data: bytes) -> None:
    """Send it all, whoever reads it, then say that it was all, and close."""
    with released(connection), contextlib.suppress(OSError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)


def executed(client: Client, container: str, command: Sequence[str]) -> tuple[str, socket.socket]:
    """The id of a command that runs in a container, and a connection to its standard streams."""
    run = client.exec_create(container, list(command), stdin=True)["Id"]
    return str(run), _lasting(client.exec_start(run, socket=True))


def _lasting(raw: Any) -> socket.socket:
    """A connection of ours, without time limits, from one of the SDK."""
    if isinstance(raw, ssl.SSLSocket):
        connection: socket.socket = raw
    else:
        connection = socket.socket(fileno=os.dup(raw.fileno()))
        raw.close()
    connection.settimeout(None)
    return connection


@contextlib.contextmanager
def released(connection: socket.socket) -> Iterator[None]:
    """Close it at the end, at once: `close` would wait until nothing of the SDK refers to it any more."""
    try:
        yield
    finally:
        os.close(connection.detach())


def output(connection: socket.socket) -> Iterator[bytes]:
    """What comes by both output streams of an attached container, as it comes."""
    for _, data in pieces(connection):
        yield data


def pieces(connection: socket.socket) -> Iterator[tuple[int, bytes]]:
    """The same with the numbers of the streams: 1 for output, 2 for errors."""
    while head := _exactly(connection, _HEAD.size):
        stream, length = _HEAD.unpack(head)
        while length:
            data = connection.recv(min(length, _MOST_BYTES))
            if not data:
                return
            length -= len(data)
            yield stream, data


def _exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes; none at the end."""
    found = b""
    while len(found) < size:
        data = connection.recv(size - len(found))
        if not data:
            return b""
        found += data
    return found


def measured(client: Client, container: str) -> Mapping[str, Any]:
    """What it uses at this moment, in the engine's own figures: none of one that does not run."""
    found: Mapping[str, Any] = client.stats(container, stream=False, one_shot=True)
    return found


def log_lines(client: Client, container: str) -> Iterator[str]:
    """All that the container writes, until it ends; a line that does not end is cut."""
    rest = b""
    for piece in client.logs(container, stream=True, follow=True):
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
        if len(rest) > _MOST_LINE_BYTES:
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace")
