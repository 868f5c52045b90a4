"""A SQLite file as the source or the target of a copy: locked as by a service, and put in its place whole."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from paas_runner.store.copying.content import Row, Table
from paas_runner.store.database import locked, missing, reading
from paas_runner.store.protocol import StoreError
from paas_runner.store.sqlite import SCHEMA
from paas_runner.store.sqlite_file import connected, refuse_lone_journal
from paas_runner.store.state_file import sync_folder

_COMPANIONS = ("", "-wal", "-shm", ".new")


class SqliteEnd:
    """An open file."""

    def __init__(self, path: Path, db: sqlite3.Connection, *, is_new: bool = False) -> None:
        self.title = str(path)
        self.is_new = is_new
        self._db = db
        self._columns: dict[str, frozenset[str]] = {}

    def count(self, table: Table) -> int:
        if not self._columns_of(table):
            return 0
        return int(self._db.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0])  # noqa: S608 - ours

    def rows(self, table: Table) -> Iterator[Row]:
        there = self._columns_of(table)
        if not there:  # a schema from before the table
            return
        present = [column for column in table.columns if column in there]
        for row in self._db.execute(f"SELECT {', '.join(present)} FROM {table.name}"):  # noqa: S608 - ours
            values = dict(zip(present, row, strict=True))
            yield tuple(values.get(column, table.later.get(column)) for column in table.columns)

    def carried(self, table: Table, rows: Iterable[Row]) -> Iterator[Row]:  # noqa: ARG002 - all of any table
        yield from rows

    def put(self, table: Table, rows: Iterable[Row]) -> None:
        places = ", ".join("?" for _ in table.columns)
        names = ", ".join(table.columns)
        self._db.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({places})", rows)  # noqa: S608 - ours

    def _columns_of(self, table: Table) -> frozenset[str]:
        if table.name not in self._columns:
            found = self._db.execute("SELECT name FROM pragma_table_info(?)", (table.name,))
            self._columns[table.name] = frozenset(name for (name,) in found)
        return self._columns[table.name]


@contextmanager
def source(path: Path) -> Iterator[SqliteEnd]:
    """Read it, while no service can; raises `StoreInUseError` or another `StoreError`."""
    if not path.exists():
        raise missing(path)
    with locked(path), reading(path, SCHEMA) as db:
        yield SqliteEnd(path, db)


@contextmanager
def target(path: Path) -> Iterator[SqliteEnd]:
    """A new file, which is there once the block has ended well; or the file that is there, to be read."""
    with locked(path):
        if path.exists():
            with reading(path, SCHEMA) as db:
                yield SqliteEnd(path, db)
            return
        refuse_lone_journal(path)
        fresh = path.with_name(f"{path.name}.copying")
        _remove(fresh)
        try:
            with closing(connected(fresh, SCHEMA)) as db:
                db.execute("BEGIN IMMEDIATE")
                yield SqliteEnd(path, db, is_new=True)
                db.execute("COMMIT")
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            fresh.replace(path)
            sync_folder(path.parent)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: cannot be written: {error}") from error
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
        finally:
            _remove(fresh)


def _remove(path: Path) -> None:
    for suffix in _COMPANIONS:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
