"""SQLite's words, and a store in its memory: for tests, and for plans that need not outlive their process."""

import sqlite3
import weakref
from collections.abc import Sequence
from pathlib import Path

from paas_plans.secret import Cipher
from paas_plans.stores.sql import Row, SQLStore, Write
from paas_plans.stores.sqlite_file import bring_up_to_date


class AnySQLiteStore(SQLStore):
    """In SQLite's words."""

    has = "instr(name_folded, ?)"


class MemoryStore(AnySQLiteStore):
    """`Store` without a thread; what is in it outlives `close`, so that a test can play a restart."""

    def __init__(self, *, cipher: Cipher | None = None) -> None:
        super().__init__("memory", cipher)
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._db.close)
        self._db.execute("PRAGMA foreign_keys = ON")
        bring_up_to_date(self._db, Path(":memory:"))

    def _prepare(self, *, running_plans: bool) -> None:
        """It is there."""

    async def open(self, *, running_plans: bool) -> None:
        if running_plans or not self._loop:
            await super().open(running_plans=running_plans)

    async def _commit(self, batch: Sequence[Write]) -> list[int]:
        return committed(self._db, batch)

    async def _selected(self, selects: Sequence[tuple[str, Row]]) -> list[list[Row]]:
        return selected(self._db, selects)


def committed(db: sqlite3.Connection, batch: Sequence[Write]) -> list[int]:
    counts = []
    with db:  # undone if it fails
        db.execute("BEGIN IMMEDIATE")
        for write in batch:
            counts.append(db.execute(*write.first).rowcount)
            for statement in write.others if counts[-1] else ():
                db.executemany(*statement)
    return counts


def selected(db: sqlite3.Connection, selects: Sequence[tuple[str, Row]]) -> list[list[Row]]:
    db.execute("BEGIN")
    rows = [db.execute(*select).fetchall() for select in selects]
    db.execute("COMMIT")
    return rows
