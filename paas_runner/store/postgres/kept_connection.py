"""A connection that is made again whenever it is needed, and what becomes of what was under way when it went.

That is sent once more: its commit may have been done, so whatever uses the connection may be repeated. Before
it the session that was left is ended, so that the server comes with nothing of it afterwards.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias, TypeVar

import psycopg

from paas_runner.store.postgres.connecting import HOST_SECONDS, Server, Session, end_session, session_of
from paas_runner.store.protocol import StoreUnreachableError

T = TypeVar("T")

PAUSE_SECONDS = 1.0
"""After an attempt to connect that failed."""

Connection: TypeAlias = "psycopg.AsyncConnection[tuple[Any, ...]]"


class _LostError(Exception):
    """The connection is gone; whether what was sent has been done is not known."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class KeptConnection:
    """For one user at a time."""

    def __init__(self, server: Server) -> None:
        """It is made at the first use."""
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._session: Session | None = None
        self._left: Session | None = None
        self._not_before = 0.0

    async def use(self, work: Callable[[Connection], Awaitable[T]], seconds: float) -> T:
        """What `work` returns within so long, and a while more for each further host.

        Raises `StoreUnreachableError`, and what `work` raises while there is a connection.
        """
        ends = self._loop.time() + seconds + HOST_SECONDS * (self._server.hosts - 1)
        while True:
            is_new = self._connection is None
            try:
                return await self._tried(work, await self._connected(ends), ends)
            except _LostError as lost:
                if is_new or self._loop.time() >= ends:
                    raise StoreUnreachableError(str(self._server.told(lost.error))) from lost.error

    async def close(self) -> None:
        """Let go of the server."""
        if self._connection:
            await self._connection.close()

    async def _tried(
        self, work: Callable[[Connection], Awaitable[T]], connection: Connection, ends: float
    ) -> T:
        try:
            with _cut_off_at(ends, connection):
                return await work(connection)
        except Exception as error:
            if connection.closed or isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
                self._connection, self._left = None, self._session
                await connection.close()
                raise _LostError(error) from error
            raise

    async def _connected(self, ends: float) -> Connection:
        if self._connection is not None:
            return self._connection
        await asyncio.sleep(self._not_before - self._loop.time())
        connection = None
        try:
            async with asyncio.timeout_at(ends):
                connection = await self._server.connect()
                if self._left:
                    await end_session(connection, self._left)
                self._session, self._left = await session_of(connection), None
        except BaseException as error:  # noqa: BLE001 - raised again
            self._not_before = self._loop.time() + PAUSE_SECONDS
            if connection:
                await connection.close()
            self._server.complain(error)
        self._connection = connection
        return connection


@contextmanager
def _cut_off_at(ends: float, connection: Connection) -> Iterator[None]:
    """What goes on longer than that loses its connection, and raises TimeoutError.

    Without a word to the server: to cancel what runs there would take its answer.
    """
    loop = asyncio.get_running_loop()
    late = False

    def cut() -> None:
        nonlocal late
        late = True
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    timer = loop.call_at(ends, cut)
    try:
        yield
    except psycopg.Error as error:
        raise TimeoutError if late else error  # noqa: B904 - what was said of the cut line is of no use
    finally:
        timer.cancel()
