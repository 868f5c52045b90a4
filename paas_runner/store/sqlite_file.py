"""A SQLite file of ours: made whole or not at all, and looked at before anything is written to it.

A file that is damaged, empty, another user's or another program's is refused and left byte for byte as it
was. One of an older version of this program is brought up to date in one transaction.

Whose files are acted upon: what another user wrote could have us delete and launch what he likes.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from paas_runner.store.protocol import StoreError
from paas_runner.store.schema import Schema, version_of


def unusable(path: Path, why: str) -> StoreError:
    """The complaint about a file that cannot be used: why, and what to do."""
    return StoreError(
        f"{path}: {why}. It is left as it is: put a good copy in its place, or move it away (with its -wal "
        "and -shm) to start without the jobs in it"
    )


def complaint(path: Path, *, owner: int, us: int) -> str | None:
    """Why a process of user `us` refuses a file of user `owner`; None when it does not. Root trusts all."""
    if us in {0, owner}:
        return None
    return (
        f"{path}: belongs to another user (uid {owner}, the service runs as uid {us}), so it is not used. "
        "Give it to the service's user, or move it away"
    )


def complaint_about(path: Path, descriptor: int) -> str | None:
    """The same for an open file and this process."""
    return complaint(path, owner=os.fstat(descriptor).st_uid, us=os.geteuid())


def connected(path: Path, schema: Schema) -> sqlite3.Connection:
    """A connection to the file in `path`, which is made if it is absent; raises `StoreError`."""
    try:
        if not path.exists():
            _make(path, schema)
        _examine(path, schema)
        return _up_to_date(_opened(path), schema)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) in _NOT_WRITTEN:
            raise StoreError(f"{path}: cannot be written: {error}. Make room, then start again") from error
        raise unusable(path, str(error)) from error
    except OSError as error:
        raise unusable(path, error.strerror or str(error)) from error


_NOT_WRITTEN = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    }
)
"""What SQLite says of a disk that takes no more, rather than of a file that is damaged."""


def _make(path: Path, schema: Schema) -> None:
    """Under another name first, so that an empty or half-made file is never ours."""
    refuse_lone_journal(path)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)  # of an empty file SQLite itself drops the journal
    _up_to_date(_opened(fresh), schema).close()
    fresh.rename(path)


def refuse_lone_journal(path: Path) -> None:
    """Raises `StoreError` where a file's journal is there without it: it would become that of a new one."""
    if _journal_bytes(path):
        raise unusable(path, "is missing, but its -wal is there")


def _up_to_date(db: sqlite3.Connection, schema: Schema) -> sqlite3.Connection:
    try:
        schema.upgrade(db)
    except BaseException:
        db.close()
        raise
    return db


def _examine(path: Path, schema: Schema) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        refused = complaint_about(path, descriptor)
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    if refused:
        raise StoreError(refused)
    if not size:
        raise unusable(path, "is empty, which a store never is")
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        problem = _problem(db, schema, size if not _journal_bytes(path) else None)
    if problem:
        raise unusable(path, problem)


def _problem(db: sqlite3.Connection, schema: Schema, size: int | None) -> str | None:
    """What is wrong; `size` is None when a journal has yet to complete the file."""
    if too_new := schema.too_new(version_of(db)):
        return too_new
    [verdict] = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        return f"is damaged: {verdict}"
    if size and size % db.execute("PRAGMA page_size").fetchone()[0]:
        return "is damaged: its end is missing"
    return None if schema.fits(db) else "is a database, but no store of this program"


def _opened(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's companions take over the mode
    db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _journal_bytes(path: Path) -> int:
    records = _companion(path, "-wal")
    return records.stat().st_size if records.exists() else 0


def _companion(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
