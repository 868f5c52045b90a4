"""A connection to PostgreSQL that is made again when it is lost, with the lock of who runs the plans.

The lock is the session's, so it goes with the connection that everything is written by: whoever lost it
writes nothing until it is had again, and never again if others have run the plans meanwhile.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias
from uuid import uuid4

import attrs

from paas_plans.errors import StoreError, StoreInUseError
from paas_plans.stores.sql import SCHEMA, steps_missing

try:
    import psycopg
    from psycopg import conninfo, sql
except ImportError as missing:
    raise ImportError("the store on PostgreSQL needs psycopg: pip install 'psycopg[binary]'") from missing

Connection: TypeAlias = psycopg.AsyncConnection[Any]

_LOCKS = 0x504C414E  # "PLAN": tells our locks from those of other programs in the database
_SETTINGS = "SET lock_timeout = '10s'; SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5"
_CLOSING_SECONDS = 1.0


def place_of(address: str) -> dict[str, Any]:
    """What to connect with; raises `StoreError`, which quotes nothing of it."""
    try:
        given = conninfo.conninfo_to_dict(address)
    except psycopg.Error:
        raise StoreError("the address is not PostgreSQL's, such as postgresql://user@host/name") from None
    return {"connect_timeout": 10, "tcp_user_timeout": 30_000, **given, "application_name": "paas-plans"}


@attrs.define(kw_only=True)
class Session:
    """One connection, for one transaction at a time."""

    place: dict[str, Any] = attrs.field(repr=False)
    schema: str
    runs_plans: bool
    steps: Sequence[str] = SCHEMA
    _mark: str = attrs.field(factory=lambda: str(uuid4()))
    _is_marked: bool = False
    _connection: Connection | None = None
    _turn: asyncio.Lock = attrs.field(factory=asyncio.Lock)

    @property
    def title(self) -> str:
        return f"PostgreSQL {self.place.get('host', '')}/{self.place.get('dbname', '')}, schema {self.schema}"

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Raises `StoreError`; an error of values, not of the server, is the library's."""
        async with self._turn:
            try:
                async with AsyncExitStack() as stack:
                    yield await self._begun(stack)
            except (psycopg.DataError, psycopg.IntegrityError):
                raise
            except psycopg.Error as error:
                first_line = (str(error) or type(error).__name__).splitlines()[0]
                raise StoreError(f"{self.title}: {first_line}") from None

    async def _begun(self, stack: AsyncExitStack) -> Connection:
        """A connection that was lost while it was idle is made again at once."""
        if self._connection is not None:
            with contextlib.suppress(psycopg.OperationalError):
                await stack.enter_async_context(self._connection.transaction())
                return self._connection
            await self._connection.close()
        db = await self._connected()
        await stack.enter_async_context(db.transaction())
        return db

    async def close(self) -> None:
        with contextlib.suppress(psycopg.Error, TimeoutError):
            async with asyncio.timeout(_CLOSING_SECONDS), self._turn:
                if self._connection is not None:  # the server takes a while to notice who has gone
                    await self._connection.execute("SELECT pg_advisory_unlock_all()")
        if self._connection is not None:
            await self._connection.close()

    async def _connected(self) -> Connection:
        self._connection = db = await psycopg.AsyncConnection.connect(**self.place, autocommit=True)
        try:
            await db.execute(_SETTINGS)
            await db.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self.schema)))
            if self.runs_plans:
                await self._take_lock(db)
            async with db.transaction():
                await self._bring_up_to_date(db)
        except BaseException:
            await db.close()
            raise
        self._is_marked = True
        return db

    async def _take_lock(self, db: Connection) -> None:
        if not await _one(db, "SELECT pg_try_advisory_lock(%s, hashtext(%s))", _LOCKS, self.schema):
            raise StoreInUseError(
                f"{self.title}: another process runs the plans of this store; end that first"
            )

    async def _bring_up_to_date(self, db: Connection) -> None:
        is_made = await _one(db, "SELECT to_regclass('about')") is not None
        version = await _one(db, "SELECT version FROM about") if is_made else 0
        steps = steps_missing(self.title, version, self.steps, may_add=self.runs_plans)
        if not is_made:
            schema = sql.Identifier(self.schema)
            await db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
            await db.execute(
                "CREATE TABLE about (version INTEGER, holder TEXT); INSERT INTO about VALUES (0)"
            )
        for step in steps:
            await db.execute(step.replace("BLOB", "BYTEA").encode())
        if not self.runs_plans:
            return
        if self._is_marked and await _one(db, "SELECT holder FROM about") != self._mark:
            raise StoreInUseError(
                f"{self.title}: others ran its plans while it was lost: start this workstream again"
            )
        await db.execute("UPDATE about SET version = %s, holder = %s", (len(self.steps), self._mark))


async def _one(db: Connection, text: str, *values: object) -> Any:
    row = await (await db.execute(text.encode(), values)).fetchone()
    return row[0] if row else None
