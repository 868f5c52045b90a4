"""The database as the source or the target of a copy: in one transaction, in which nobody can join its users.

Who tends a lease writes into the table of members; while that is locked no process takes part, whenever it
was started. The target's tables are made before, empty, as any service would make them.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from paas_runner.job.lease import LEASE_SECONDS
from paas_runner.secret import Secret
from paas_runner.store import ledger
from paas_runner.store.copying.content import ENDED, FACT, HISTORY, JOB, TABLES, Row, Table, Value
from paas_runner.store.database import StoreInUseError
from paas_runner.store.postgres.connecting import Server
from paas_runner.store.postgres.reading import refuse_strange
from paas_runner.store.postgres.schema import MIGRATIONS
from paas_runner.store.postgres.store import PostgresStore
from paas_runner.store.postgres.texts import storable
from paas_runner.store.protocol import REMEMBERED_HISTORIES, REMEMBERED_JOBS, StoreError

_NUMBERED = {ENDED.name: REMEMBERED_JOBS, HISTORY.name: REMEMBERED_HISTORIES}
"""Tables whose rows have a slot each of so many, and whose numbers a sequence gives."""

_USERS = """
SELECT name FROM member WHERE until > clock_timestamp()
UNION SELECT holder FROM lease WHERE holder <> '' AND until > clock_timestamp()
    AND holder NOT IN (SELECT holder FROM member)
"""

Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresEnd:
    """In a transaction."""

    def __init__(self, connection: Connection, title: str) -> None:
        self.title = title
        self._connection = connection
        self.is_new = not any(self.count(table) for table in TABLES if table is not FACT)
        """A service that was started too early leaves ids alone, by which nothing is known yet."""

    def count(self, table: Table) -> int:
        found = self._connection.execute(_sql("SELECT count(*) FROM {}", table.name)).fetchone()
        return int(found[0]) if found else 0

    def rows(self, table: Table) -> Iterator[Row]:
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        with self._connection.cursor(f"rows of {table.name}") as cursor:
            cursor.itersize = 1000
            cursor.execute(sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(table.name)))
            for row in cursor:
                yield tuple(_value(each) for each in row)

    def carried(self, table: Table, rows: Iterable[Row]) -> Iterator[Row]:  # noqa: ARG002 - all of any table
        for row in rows:
            yield tuple(storable(each) if isinstance(each, str) else each for each in row)

    def put(self, table: Table, rows: Iterable[Row]) -> None:
        more = ("tenant",) if table is JOB else ("slot",) if table.name in _NUMBERED else ()
        names = sql.SQL(", ").join(map(sql.Identifier, (*table.columns, *more)))
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
        last = 0
        with self._connection.cursor() as cursor:
            cursor.execute(_sql("DELETE FROM {}", table.name))
            with cursor.copy(statement) as out:
                for row in rows:
                    number = int(row[0] or 0) if table.name in _NUMBERED else 0
                    last = max(last, number)
                    out.write_row((*row, *_more(table, row, number)))
            if last:
                cursor.execute("SELECT setval(%s, %s)", (f"{table.name}_number", last))


@contextmanager
def source(url: Secret) -> Iterator[PostgresEnd]:
    """Read it, while no service can work on it; raises `StoreInUseError` or another `StoreError`."""
    with _transaction(Server.at(url), writing=False) as end:
        yield end


@contextmanager
def target(url: Secret) -> Iterator[PostgresEnd]:
    """What is written is there once the block has ended well; raises as `source` does."""
    asyncio.run(_prepare(url))
    with _transaction(Server.at(url), writing=True) as end:
        yield end


async def _prepare(url: Secret) -> None:
    await (await PostgresStore.open(url)).aclose()


@contextmanager
def _transaction(server: Server, *, writing: bool) -> Iterator[PostgresEnd]:
    connection = server.connect_to_copy(writing=writing)
    try:
        refuse_strange(connection, server.place)
        with connection.transaction():
            mode = "READ WRITE" if writing else "READ ONLY"
            connection.execute(f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ {mode}".encode())
            connection.execute("LOCK TABLE member, job IN SHARE MODE")  # before anything is seen
            _refuse_while_in_use(connection, server.place)
            yield PostgresEnd(connection, server.place)
    except psycopg.Error as error:
        server.complain(error)
    finally:
        connection.close()


def _refuse_while_in_use(connection: Connection, place: str) -> None:
    [version] = connection.execute("SELECT number FROM version").fetchone() or [0]
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{place}: is the store of a newer version of this program (schema {version}), with records that "
            "this one does not know; copy it with that version"
        )
    if users := sorted(name for (name,) in connection.execute(_USERS)):
        raise StoreInUseError(
            f"{place}: a service works on it, or did until now ({', '.join(users)}): stop all services of "
            f"this store first; one that was killed counts as there for {LEASE_SECONDS:g} seconds more"
        )


def _sql(text: str, table: str) -> sql.Composed:
    return sql.SQL(text).format(sql.Identifier(table))


def _value(found: Any) -> Value:
    """As a SQLite file has it."""
    return ledger.moment(found) if isinstance(found, datetime) else found


def _more(table: Table, row: Row, number: int) -> Row:
    """What the tables on the server have beside."""
    if table.name in _NUMBERED:
        return (number % _NUMBERED[table.name],)
    if table is not JOB:
        return ()
    values = dict(zip(table.columns, row, strict=True))
    try:
        return (storable(str(json.loads(str(values["record"])).get("tenant") or "")),)
    except (ValueError, AttributeError):
        job = f"{values['runner']}/{values['job_id']}"
        raise StoreError(f"the record of job {job} is damaged: it cannot be copied") from None
