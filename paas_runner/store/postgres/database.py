"""The engine on PostgreSQL: one connection on the event loop, one statement for all that is waiting.

Rows of one statement that wait go to the server as arrays, in one execution: a transaction of its own, in one
round trip, begun only when the server has all of it. So no process that stops in any instruction leaves a
transaction open. With 200 writers a write takes 57 µs of our CPU, its row included, where SQLite takes 65; a
pipeline with one execution each 6 to 20 more. A lone one takes 430, and SQLite 340. A thread with a
connection that waits takes as much.

It knows no table: the rooms that use it bring their statements.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import attrs
import psycopg

from paas_runner.store.postgres.connecting import Server, is_of_the_way
from paas_runner.store.postgres.kept_connection import Connection, KeptConnection
from paas_runner.store.postgres.texts import Row, columns_of
from paas_runner.store.protocol import StoreError, StoreUnreachableError

WRITE_SECONDS = 5.0
"""So long a write may take, the making of a connection included; each further host may take its time, too."""

READ_SECONDS = 10.0
"""So long the reading of many records may take, behind which writes and renewals wait."""

OPEN_SECONDS = 30.0

MOST_ROWS = 500
"""So many go in one execution."""

MOST_CHARACTERS = 16 * 1024 * 1024
"""A row with which there are more goes in a later one: a message has an end, and a payload may be large."""

Result: TypeAlias = Sequence[tuple[Any, ...]]


@attrs.frozen(eq=False, kw_only=True)
class Statement:
    """One that takes an array of texts for each column, after what is the same for all rows.

    Its result names rows by their number, from 1 on; what stands beside the number is the answer to that row.
    It may be repeated with the same row.
    """

    sql: str
    fixed: Sequence[Any] = ()
    key: Callable[[Row], Hashable]
    """Two rows with the same one never go in one execution."""


@attrs.frozen(eq=False)
class _Write:
    statement: Statement
    row: Row
    answer: "asyncio.Future[Any]"
    seconds: float = WRITE_SECONDS


@attrs.frozen(eq=False)
class _Work:
    work: Callable[[Connection], Awaitable[Any]]
    seconds: float
    answer: "asyncio.Future[Any]"


class Database:
    """One server; made by `open`."""

    def __init__(self, server: Server) -> None:
        """Start the task."""
        self.place = server.place
        self._server = server
        self._connection = KeptConnection(server)
        self._waiting: deque[_Write | _Work] = deque()
        self._asked = asyncio.Event()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._serve(), name="store")

    @classmethod
    async def open(cls, server: Server, prepare: Callable[[Connection], Awaitable[None]]) -> "Database":
        """Connect and `prepare` the database; raises `StoreUnreachableError` or another `StoreError`."""
        database = cls(server)
        try:
            await database._run(prepare, OPEN_SECONDS)
        except BaseException:
            await database.aclose()
            raise
        return database

    async def write(self, statement: Statement, row: Row) -> tuple[Any, ...] | None:
        """The answer to the row, None where the result does not name it; raises `StoreError`."""
        answer: tuple[Any, ...] | None = await self._answered(
            _Write(statement, row, self._loop.create_future())
        )
        return answer

    async def write_together(self, statement: Statement, rows: Sequence[Row]) -> bool:
        """Whether the result names every row, all of one transaction; raises `StoreError`."""

        async def work(connection: Connection) -> bool:
            return None not in await _written(statement, rows, connection)

        done: bool = await self._run(work, WRITE_SECONDS)
        return done

    async def execute(self, script: str, **values: Any) -> Sequence[Result]:
        """The rows of each statement of a script: one message, one transaction; raises `StoreError`."""
        results: Sequence[Result] = await self._run(partial(_script, script, values), WRITE_SECONDS)
        return results

    async def execute_next(self, script: str, **values: Any) -> Sequence[Result]:
        """The same, ahead of all that waits: what may hold that up must not hold this up."""
        work = partial(_script, script, values)
        results: Sequence[Result] = await self._run(work, WRITE_SECONDS, ahead=True)
        return results

    async def read(self, sql: str, *values: Any, seconds: float = WRITE_SECONDS) -> Result:
        """The rows of one statement; raises `StoreError`."""

        async def work(connection: Connection) -> Result:
            return await (await connection.execute(sql, values, prepare=False)).fetchall()

        rows: Result = await self._run(work, seconds)
        return rows

    async def aclose(self) -> None:
        """Finish what was asked for and let go of the server; a second time changes nothing."""
        self._closed = True
        self._asked.set()
        await asyncio.shield(self._task)

    async def _run(
        self, work: Callable[[Connection], Awaitable[Any]], seconds: float, *, ahead: bool = False
    ) -> Any:
        """What `work` returns, alone on the connection."""
        return await self._answered(_Work(work, seconds, self._loop.create_future()), ahead=ahead)

    async def _answered(self, request: _Write | _Work, *, ahead: bool = False) -> Any:
        if self._closed:
            raise StoreError(f"{self.place}: is closed already")
        if ahead:
            self._waiting.appendleft(request)
        else:
            self._waiting.append(request)
        self._asked.set()
        return await request.answer

    # --- the one task ----------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while self._waiting or not self._closed:
            if self._waiting:
                await self._do(self._next())
            else:
                self._asked.clear()
                await self._asked.wait()
        await self._connection.close()

    def _next(self) -> Sequence[_Write | _Work]:
        """What is done at once: one piece of work, or all rows of one statement, but one of each key."""
        first = self._waiting[0]
        if isinstance(first, _Work):
            return [self._waiting.popleft()]
        keys: set[Hashable] = set()
        batch: list[_Write | _Work] = []
        left: deque[_Write | _Work] = deque()
        size = 0
        for request in self._waiting:
            if (
                isinstance(request, _Write)
                and request.statement is first.statement
                and len(batch) < MOST_ROWS
                and (key := request.statement.key(request.row)) not in keys
            ):
                keys.add(key)  # what comes after one that is left must not go before it
                size += sum(len(text) for text in request.row if text)
                (batch if not batch or size <= MOST_CHARACTERS else left).append(request)
            else:
                left.append(request)
        self._waiting = left
        return batch

    async def _do(self, batch: Sequence[_Write | _Work]) -> None:
        """Answer each: what cannot be done does not fail its neighbours, unless the server is gone."""
        try:
            seconds = max(each.seconds for each in batch)
            _answer(batch, await self._connection.use(partial(_executed, batch), seconds))
        except StoreUnreachableError as error:
            everybody = [*batch, *self._waiting]
            self._waiting.clear()
            _answer(everybody, [error] * len(everybody))
        except Exception as error:  # noqa: BLE001 - one caller's bug must not end the task, nor hit the others
            if len(batch) == 1 or is_of_the_way(error):
                _answer(batch, [self._server.told(error)] * len(batch))
                return
            for request in batch:
                await self._do([request])


async def _script(script: str, values: Mapping[str, Any], connection: Connection) -> Sequence[Result]:
    cursor = psycopg.AsyncClientCursor(connection)
    await cursor.execute(script, values)
    results = [await _rows(cursor)]
    while cursor.nextset():
        results.append(await _rows(cursor))
    return results


async def _rows(cursor: "psycopg.AsyncCursor[tuple[Any, ...]]") -> Result:
    return await cursor.fetchall() if cursor.description else ()


async def _executed(batch: Sequence[_Write | _Work], connection: Connection) -> Sequence[Any]:
    match batch[0]:
        case _Work() as request:
            return [await request.work(connection)]
        case _Write(statement):
            rows = [each.row for each in batch if isinstance(each, _Write)]
            return await _written(statement, rows, connection)


async def _written(statement: Statement, rows: Sequence[Row], connection: Connection) -> Sequence[Any]:
    """The answer to each row; None where the result does not name it."""
    columns = columns_of(rows)
    cursor = await connection.execute(statement.sql, (*statement.fixed, *columns), prepare=True)
    answers = {number: rest async for number, *rest in cursor}
    return [answers.get(number) for number in range(1, len(rows) + 1)]


def _answer(batch: Sequence[_Write | _Work], results: Sequence[Any]) -> None:
    for request, result in zip(batch, results, strict=True):
        if request.answer.done():  # cancelled
            continue
        if isinstance(result, BaseException):
            request.answer.set_exception(result)
        else:
            request.answer.set_result(result)
