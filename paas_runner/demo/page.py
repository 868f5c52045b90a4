"""The page of the demo's service: where it is, and for how long a person may look at it."""

import asyncio
import socket
import sys
import termios

from paas_runner.addresses import USUAL_LISTEN_PORT

_LOOPBACK = "127.0.0.1"


def free_address() -> str:
    """Where nobody listens yet, at the usual port if that is free; the same before and after a restart."""
    for port in (USUAL_LISTEN_PORT, 0):
        with socket.socket() as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                found.bind((_LOOPBACK, port))
            except OSError:
                continue
            return f"{_LOOPBACK}:{found.getsockname()[1]}"
    raise OSError("no port of loopback is free")


def with_page(configuration: str, address: str) -> str:
    """The configuration, with a page there if there is an address."""
    if not address:
        return configuration
    return f'listen_address = "{address}"\npaas_page = true\n{configuration}'


def has_a_reader() -> bool:
    """Whether a person sits there, and not a program."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


async def enter() -> None:
    """Until Enter is pressed from now on; no thread waits for it that could not be interrupted."""
    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    loop = asyncio.get_running_loop()
    pressed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), pressed.set)
    try:
        await pressed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    sys.stdin.readline()
