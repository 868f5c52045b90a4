"""Whoever is told and does not behave: one TCP server for each way of being in the way."""

import asyncio
import contextlib
from contextlib import asynccontextmanager

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


async def _silent(_reader, _writer):
    await asyncio.Event().wait()


async def _trickling(reader, writer):
    await reader.read(1)
    for byte in _OK * 1000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.2)


async def _flooding(reader, writer):
    await reader.read(1)
    writer.write(_OK + b"Content-Length: 1000000000\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def _garbled(reader, writer):
    await reader.read(1)
    writer.write(b"\x16\x03\x01\x00\xff" + bytes(range(256)) * 40)
    await writer.drain()


async def _redirecting(reader, writer):
    await reader.read(65536)
    writer.write(b"HTTP/1.1 307 Elsewhere\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(0.1)


async def _refusing(_reader, writer):
    writer.transport.abort()


WAYS = {
    "silent": _silent,
    "trickling": _trickling,
    "flooding": _flooding,
    "garbled": _garbled,
    "redirecting": _redirecting,
    "refusing": _refusing,
}


@asynccontextmanager
async def hostile_receiver(way):
    """Its port on 127.0.0.1."""
    open_now = set()

    async def serve(reader, writer):
        open_now.add(asyncio.current_task())
        try:
            with contextlib.suppress(ConnectionError):
                await WAYS[way](reader, writer)
        finally:
            writer.transport.abort()
            open_now.discard(asyncio.current_task())

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        left = list(open_now)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # so that the loop closes their sockets
