"""A server that says on the wire what a test wants, and a client of it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from paas_runner.http import Http, HttpClient

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Reply = bytes | Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] | None


class Server:
    """Gives each connection its list of replies, one a request; the last list is for all further ones.

    None closes without a word, and so does the end of a list.
    """

    def __init__(self, *connections: list[Reply]) -> None:
        self._replies = connections
        self.requests: list[list[str]] = []
        """Of each connection, the first line of each request."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.requests)
        self.requests.append([])
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for reply in self._replies[min(number, len(self._replies) - 1)]:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.requests[number].append(head.split("\r\n")[0])
                length = [line for line in head.split("\r\n") if line.lower().startswith("content-length:")]
                await reader.readexactly(int(length[0].split(":")[1]) if length else 0)
                if reply is None:
                    break
                if callable(reply):
                    await reply(reader, writer)
                else:
                    writer.write(reply)
                    await writer.drain()


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    secure: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """The port of a server, whose connections do not outlive it."""
    serving: set[asyncio.Task[None] | None] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with contextlib.suppress(asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0, ssl=secure)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in filter(None, serving):
            task.cancel()
        await asyncio.gather(*filter(None, serving), return_exceptions=True)
        await asyncio.sleep(0.001)  # the loop closes the sockets in its next turns


@asynccontextmanager
async def client_of(serve: Server) -> AsyncIterator[HttpClient]:
    """A client of it, as any other is made."""
    async with listening(serve) as port:
        api = Http()(f"http://127.0.0.1:{port}", service="test")
        try:
            yield api
        finally:
            await api.aclose()
