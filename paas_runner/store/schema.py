"""The tables of a SQLite file, as the rooms that have tables in it registered them.

A room lists what it added in each version of the file as `Migration`s; a `Schema` puts the lists of some
rooms together. The rooms that share a file count together: its version (`PRAGMA user_version`) is the number
of the latest migration. A room that is not always installed needs a file of its own.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

import attrs


@attrs.frozen(kw_only=True)
class Migration:
    """What a room adds to the version before; several rooms may add something in the same version.

    What was released stays as it is: a file is recognised by the tables that its version should have.
    """

    number: int
    room: str
    sql: str
    """Statements, each ended by a semicolon; none that begins or ends a transaction."""

    @property
    def statements(self) -> Iterator[str]:
        statement = ""
        for part in self.sql.split(";")[:-1]:
            statement += f"{part};"
            if sqlite3.complete_statement(statement):  # a trigger has semicolons inside
                yield statement
                statement = ""


@attrs.frozen
class Schema:
    """All migrations of a file; raises ValueError when a number is left out."""

    migrations: tuple[Migration, ...]
    """In any order."""

    def __attrs_post_init__(self) -> None:
        numbers = {migration.number for migration in self.migrations}
        if not numbers or numbers != set(range(1, len(numbers) + 1)):
            raise ValueError(f"migrations are numbered 1, 2, 3 …, these are {sorted(numbers)}")

    @property
    def version(self) -> int:
        return max(migration.number for migration in self.migrations)

    def upgrade(self, db: sqlite3.Connection) -> None:
        """All that is missing or nothing, in one transaction; what failed is taken back by closing `db`."""
        version = version_of(db)
        if version >= self.version:
            return
        db.execute("BEGIN IMMEDIATE")
        self._apply(db, range(version + 1, self.version + 1))
        db.execute(f"PRAGMA user_version = {self.version}")
        db.execute("COMMIT")

    def fits(self, db: sqlite3.Connection) -> bool:
        """Whether a file has the tables of its version."""
        version = version_of(db)
        return 0 < version <= self.version and table_names(db) >= self._tables(version)

    def too_new(self, version: int) -> str | None:
        """Why a file of that version is refused; None when it is not."""
        newer = f"was written by a newer version of this program (schema {version})"
        return newer if version > self.version else None

    def _tables(self, version: int) -> frozenset[str]:
        """The tables that a file of that version has."""
        with closing(sqlite3.connect(":memory:")) as db:
            self._apply(db, range(1, version + 1))
            return table_names(db)

    def _apply(self, db: sqlite3.Connection, versions: Iterable[int]) -> None:
        for version in versions:
            for migration in self.migrations:
                if migration.number == version:
                    for statement in migration.statements:
                        db.execute(statement)


def version_of(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def table_names(db: sqlite3.Connection) -> frozenset[str]:
    return frozenset(name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"))
