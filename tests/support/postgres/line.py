"""The line between a process and its server, which a test cuts, holds up, or lets answers get lost on."""

import asyncio
from contextlib import suppress
from typing import Self


class Line:
    """A relay on loopback; as long as `silent` is set nothing passes, in either direction."""

    def __init__(self, port: int) -> None:
        """`port` is the server's."""
        self.port = 0
        self.silent = False
        self.answers_lost = False
        """Whether the next answers go nowhere, and the line is cut in their place."""
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """All connections that there are."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, back}
        ways = [self._pass(reader, back, answers=False), self._pass(there, writer, answers=True)]
        tasks = {asyncio.create_task(way) for way in ways}
        self._tasks |= tasks
        await asyncio.wait(tasks)
        self._writers -= {writer, back}

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                while self.silent:
                    await asyncio.sleep(0.05)
                if answers and self.answers_lost:
                    self.answers_lost = False
                    self.cut()
                    return
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()
