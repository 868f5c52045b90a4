"""The store on PostgreSQL: one connection, one transaction for all that is waiting to be written.

It has a schema of its own in the database. A pool that gives each transaction another session is not for it:
the lock of who runs the plans is the session's.
"""

import itertools
from collections.abc import Sequence

from paas_plans.secret import Cipher
from paas_plans.stores.postgres_session import Connection, Session, place_of
from paas_plans.stores.sql import Row, SQLStore, Write


class PostgresStore(SQLStore):
    """`Store` at that address, as libpq takes it, in that schema; needs `paas-plans[postgres]`."""

    has = "position(? in name_folded)"

    def __init__(self, address: str, *, schema: str = "paas_plans", cipher: Cipher | None = None) -> None:
        self._place, self._schema = place_of(address), schema
        self._session = Session(place=self._place, schema=schema, runs_plans=False)
        super().__init__(self._session.title, cipher)

    def _prepare(self, *, running_plans: bool) -> None:
        self._session = Session(place=self._place, schema=self._schema, runs_plans=running_plans)

    async def close(self) -> None:
        await super().close()
        await self._session.close()

    async def _commit(self, batch: Sequence[Write]) -> list[int]:
        async with self._session.transaction() as db:
            return await _written(db, batch)

    async def _selected(self, selects: Sequence[tuple[str, Row]]) -> list[list[Row]]:
        async with self._session.transaction() as db:
            if len(selects) > 1:
                await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return [await (await db.execute(_text(text), values)).fetchall() for text, values in selects]


async def _written(db: Connection, batch: Sequence[Write]) -> list[int]:
    changed: list[int] = []
    cursor = db.cursor()
    for text, writes in itertools.groupby(batch, key=lambda write: write.first[0]):
        alike = list(writes)
        await cursor.executemany(_text(text), [write.first[1] for write in alike], returning=True)
        counts = [cursor.rowcount]
        while cursor.nextset():
            counts.append(cursor.rowcount)
        changed += counts
        together: dict[str, list[Row]] = {}
        for write, count in zip(alike, counts, strict=True):
            for other, rows in write.others if count else ():
                together.setdefault(other, []).extend(rows)
        for other, rows in together.items():
            await cursor.executemany(_text(other), rows)
    return changed


def _text(statement: str) -> bytes:
    return statement.replace("?", "%s").encode()
