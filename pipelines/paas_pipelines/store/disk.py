"""The journal on a disk: SQLite, one transaction for all that was put since the one before.

A transaction is begun when the section that puts has come to its next await, and not before the one under way
has ended; it takes everything that waits. Where one fails, what it had stays and is tried again soon together
with what came meanwhile, and those who wait are told: until there is room again, nothing is acted upon.
"""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

import attrs
import structlog

from paas_runner.store.database import Database, StoreInUseError
from paas_runner.store.protocol import StoreError
from paas_runner.store.schema import Migration, Schema

log = structlog.stdlib.get_logger(__name__)

FILE = "pipelines.db"
UNNEEDED = "unneeded"
"""The kind of the notes that a folder is still to be removed; the key is its path in the data folder."""

RETRY_SECONDS = 0.5

SCHEMA = Schema(
    (
        Migration(
            number=1,
            room="pipelines",
            sql="CREATE TABLE record (kind TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL,"
            " PRIMARY KEY (kind, key));",
        ),
        Migration(
            number=2,
            room="pipelines",
            sql="ALTER TABLE record ADD COLUMN until REAL;"
            "CREATE INDEX record_until ON record (kind, until) WHERE until IS NOT NULL;"
            "UPDATE record SET until = 7776000"  # ninety days
            " + coalesce(strftime('%s', substr(text, 38)), strftime('%s', 'now')) WHERE kind = 'event_key';"
            "UPDATE record SET until = 86400 + strftime('%s', 'now') WHERE kind = 'start_key';",
        ),
    )
)
_PUT = (
    "INSERT INTO record (kind, key, text, until) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (kind, key) DO UPDATE SET text = excluded.text, until = excluded.until"
)
_REMOVE = "DELETE FROM record WHERE kind = ? AND key = ?"
_FORGET = (
    "DELETE FROM record WHERE rowid IN"
    " (SELECT rowid FROM record WHERE kind = ? AND until <= ? ORDER BY until LIMIT 10000)"
)


@attrs.define
class _Batch:
    """What one transaction writes, and who waits for it."""

    texts: dict[tuple[str, str], str | None] = attrs.field(factory=dict)
    untils: dict[tuple[str, str], float] = attrs.field(factory=dict)
    forgotten: dict[str, float] = attrs.field(factory=dict)
    files: dict[Path, None] = attrs.field(factory=dict)  # in the order of their growth
    waiters: list["asyncio.Future[None]"] = attrs.field(factory=list)

    def before(self, later: "_Batch") -> "_Batch":
        """Both together, once this one has failed."""
        return _Batch(
            texts=self.texts | later.texts,
            untils=self.untils | later.untils,
            forgotten=self.forgotten | later.forgotten,
            files=self.files | later.files,
            waiters=later.waiters,
        )

    def __bool__(self) -> bool:
        return bool(self.texts or self.files or self.forgotten)


class DiskJournal:
    """The `Journal` of one data folder; made by `open`, in the event loop in which it is used."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._files = _OpenFiles(database.path)
        self._next = _Batch()
        self._under_way = _Batch()
        self._writer: asyncio.Task[None] | None = None
        self.trouble = ""

    @classmethod
    async def open(cls, folder: Path) -> "DiskJournal":
        """Open or create it; raises `StoreInUseError` or another `StoreError`."""
        path = folder / FILE
        _make(folder)
        try:
            database = await Database.open(path, SCHEMA)
        except StoreInUseError as error:
            raise StoreInUseError(
                f"{folder}: another server works on this data folder{_holder(path)}; stop that one first, "
                "or give this one a folder of its own (--data)"
            ) from error
        return cls(database)

    def put(self, kind: str, key: str, text: str | None, *, until: datetime | None = None) -> None:
        self._next.texts[kind, key] = text
        if until is not None:
            self._next.untils[kind, key] = until.timestamp()
        self._have_it_written()

    def forget(self, kind: str, now: datetime) -> None:
        self._next.forgotten[kind] = now.timestamp()
        self._have_it_written()

    def grown(self, path: Path) -> None:
        self._next.files[path] = None
        self._have_it_written()

    def unneeded(self, folder: Path) -> None:
        self.put(UNNEEDED, str(folder.relative_to(self._database.path.parent)), "")

    async def stored(self, kind: str) -> Mapping[str, str]:
        """Raises `StoreError`."""
        select = "SELECT key, text FROM record WHERE kind = ? ORDER BY rowid"
        return dict(await self._database.transaction(lambda db: db.execute(select, (kind,)).fetchall()))

    async def text(self, kind: str, key: str) -> str | None:
        for batch in (self._next, self._under_way):
            if (kind, key) in batch.texts:
                return batch.texts[kind, key]
        select = "SELECT text FROM record WHERE kind = ? AND key = ?"
        found = await self._database.transaction(lambda db: db.execute(select, (kind, key)).fetchone())
        return None if found is None else str(found[0])

    async def flushed(self) -> None:
        waited_for = self._next or self._under_way
        if not waited_for:
            return
        waiter = asyncio.get_running_loop().create_future()
        waited_for.waiters.append(waiter)
        await waiter

    async def aclose(self) -> None:
        """Write what is left, and let go of the files; raises `StoreError` where that cannot be written."""
        try:
            while self._next or self._under_way:
                await self.flushed()
        finally:
            if self._writer:
                self._writer.cancel()
            await self._database.aclose()

    def _have_it_written(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="journal")

    async def _write(self) -> None:
        while self._next:
            batch = self._under_way = self._next
            self._next = _Batch()
            try:
                await self._database.transaction(partial(_written, batch, self._files))
            except Exception as error:  # noqa: BLE001 - whatever it is, the records are kept and tried again
                self._under_way, self._next = _Batch(), batch.before(self._next)
                if not self.trouble:
                    log.error("records_not_written", reason=str(error), records=len(batch.texts))
                self.trouble = str(error)
                _answer(batch.waiters, error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._under_way = _Batch()
                if self.trouble:
                    self.trouble = ""
                    log.warning("records_written_again", path=str(self._database.path))
                await self._remove_unneeded(batch)
                _answer(batch.waiters)

    async def _remove_unneeded(self, batch: _Batch) -> None:
        for (kind, name), text in batch.texts.items():
            if kind == UNNEEDED and text is not None:
                shutil.rmtree(self._database.path.parent / name, ignore_errors=True)
                self.put(UNNEEDED, name, None)
                await asyncio.sleep(0)


def _answer(waiters: Iterable["asyncio.Future[None]"], error: Exception | None = None) -> None:
    for waiter in waiters:
        if waiter.done():  # cancelled
            continue
        if error:
            waiter.set_exception(StoreError(str(error)))
        else:
            waiter.set_result(None)


# --- in the database's thread ------------------------------------------------------------------------------


class _OpenFiles:
    """Notices when they lose their names: SQLite would go on writing to them, and all would be lost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = _inode(path)
        self._journal: tuple[sqlite3.Connection | None, int] = (None, 0)

    def check(self, db: sqlite3.Connection) -> None:
        """Raises `StoreError`."""
        journal = _inode(self._path.with_name(f"{self._path.name}-wal"))
        if self._journal[0] is not db:
            self._journal = db, journal
        if (_inode(self._path), journal) != (self._inode, self._journal[1]):
            raise StoreError(
                f"{self._path}: was removed or replaced (or its -wal) while the server works on it. Put it "
                "back, or stop the server: what it was told since is not on the disk"
            )


def _written(batch: _Batch, open_files: _OpenFiles, db: sqlite3.Connection) -> None:
    open_files.check(db)
    for file in batch.files:
        _synchronise(file)
    db.executemany(_FORGET, batch.forgotten.items())
    texts = ((*key, text, batch.untils.get(key)) for key, text in batch.texts.items() if text is not None)
    db.executemany(_PUT, texts)
    db.executemany(_REMOVE, (key for key, text in batch.texts.items() if text is None))


def _inode(path: Path) -> int:
    """0 of a file that is not there."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _synchronise(file: Path) -> None:
    """A file or a folder; one that was removed meanwhile needs nothing."""
    with suppress(FileNotFoundError):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be created: {error.strerror}") from error


def _holder(path: Path) -> str:
    with suppress(OSError):
        if process := path.with_name(f"{path.name}.lock").read_text().strip():
            return f" (process {process})"
    return ""
