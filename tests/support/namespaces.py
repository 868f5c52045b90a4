"""Network namespaces with nothing but loopback, in which services run and whose packets a test drops.

What a program in there reaches on 127.0.0.1 is a relay of ours: its listening socket is made inside, its way
out begins where the test is. Packets are dropped inside without a word, as a broken network does it; nothing
of this machine's own network is touched.
"""

import asyncio
import contextlib
import ctypes
import os
import secrets
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.requirements import missing_here, need

FOLDER = Path("/run/netns")
CLONE_NEWNET = 0x40000000
_BOTH = ("--dport", "--sport")


class Namespace:
    """One namespace; made by `namespace`."""

    def __init__(self, name):
        self.name = name
        self._servers = []

    @property
    def command(self):
        """What stands before a program that is to run in it."""
        return ("ip", "netns", "exec", self.name)

    async def relay(self, port, target):
        """Connections to this port inside go to `target` outside: a port of loopback."""

        async def pipe(reader, writer):
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            with contextlib.suppress(OSError):
                writer.close()

        async def connected(reader, writer):
            try:
                theirs_in, theirs_out = await asyncio.open_connection("127.0.0.1", target)
            except OSError:
                writer.close()
                return
            await asyncio.gather(pipe(reader, theirs_out), pipe(theirs_in, writer))

        listening = await asyncio.to_thread(self._listening, port)
        self._servers.append(await asyncio.start_server(connected, sock=listening))

    async def relay_url(self, url):
        """The port of a URL on loopback, the same inside as outside."""
        port = urlsplit(url).port
        await self.relay(port, port)

    def drop(self, port, *, ways=_BOTH):
        """Packets to and from that port are lost; `ways` is one of both for a loss in one direction alone."""
        for way in ways:
            self._iptables("-A", way, port)

    def heal(self, port, *, ways=_BOTH):
        for way in ways:
            self._iptables("-D", way, port)

    def _iptables(self, verb, way, port):
        # on the way in: a packet that is dropped on the way out is told to the sender
        _run(*self.command, "iptables", verb, "INPUT", "-p", "tcp", way, str(port), "-j", "DROP")

    def _listening(self, port):
        """A thread's namespace is its own; a socket stays where it was made."""
        with (FOLDER / self.name).open() as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        try:
            listening = socket.socket()
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", port))
            return listening
        finally:
            with Path("/proc/self/ns/net").open() as own:  # of the process's first thread
                ctypes.CDLL(None).setns(own.fileno(), CLONE_NEWNET)

    async def close(self):
        for server in self._servers:
            server.close()


@contextlib.asynccontextmanager
async def namespace():
    """One of our own, gone at the end of the block; skipped where it cannot be made."""
    need("ip", "iptables", root=True)
    made = Namespace(f"paas-runner-{os.getpid()}-{secrets.token_hex(3)}")
    try:
        _run("ip", "netns", "add", made.name)
    except subprocess.CalledProcessError as error:
        missing_here(f"no network namespace can be made: {error.stderr.strip()}")
    try:
        _run(*made.command, "ip", "link", "set", "lo", "up")
        yield made
    finally:
        await made.close()
        _run("ip", "netns", "delete", made.name)


def _run(*command):
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
