"""The file of the SQLite store: made whole or not at all, and looked at before anything is written to it.

A file that is damaged, empty, somebody else's or not a store is refused and left byte for byte as it was.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from paas_runner.store.ownership import complaint_about
from paas_runner.store.protocol import StoreError

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE job (
    runner TEXT NOT NULL,
    job_id INTEGER NOT NULL,
    acquired_at TEXT NOT NULL,
    phase TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (runner, job_id)
) WITHOUT ROWID;
CREATE TABLE ended (number INTEGER PRIMARY KEY, runner TEXT NOT NULL, job_id INTEGER NOT NULL);
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_TABLES = {"job", "ended", "fact"}


def connected(path: Path) -> sqlite3.Connection:
    """A connection to the store in `path`, which is made if it is absent; raises `StoreError`."""
    try:
        if not path.exists():
            _make(path)
        _examine(path)
        return _opened(path)
    except sqlite3.Error as error:
        raise unusable(path, str(error)) from error
    except OSError as error:
        raise unusable(path, error.strerror or str(error)) from error


def unusable(path: Path, why: str) -> StoreError:
    """What is said of a store that cannot be used: why, and what to do."""
    return StoreError(
        f"{path}: {why}. It is left as it is: put a good copy in its place, or move it away (with its -wal "
        "and -shm) to start without the jobs in it"
    )


def _make(path: Path) -> None:
    """Under another name first, so that an empty or half-made file is never ours."""
    if _journal_bytes(path):
        raise unusable(path, "is missing, but its -wal is there")
    fresh = path.with_name(f"{path.name}.new")
    for leftover in (fresh, _companion(fresh, "-wal"), _companion(fresh, "-shm")):
        leftover.unlink(missing_ok=True)
    with closing(_opened(fresh)) as db:
        for statement in filter(str.strip, _SCHEMA.split(";")):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    fresh.rename(path)


def _examine(path: Path) -> None:
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
        problem = _problem(db, size if not _journal_bytes(path) else None)
    if problem:
        raise unusable(path, problem)


def _problem(db: sqlite3.Connection, size: int | None) -> str | None:
    """What is wrong; `size` is None when a journal has yet to complete the file."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > _SCHEMA_VERSION:
        return f"was written by a newer version of this program (schema {version})"
    [verdict] = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        return f"is damaged: {verdict}"
    if size and size % db.execute("PRAGMA page_size").fetchone()[0]:
        return "is damaged: its end is missing"
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return None if tables >= _TABLES else "is a database, but no store of this program"


def _opened(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's companions take over the mode
    db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _journal_bytes(path: Path) -> int:
    journal = _companion(path, "-wal")
    return journal.stat().st_size if journal.exists() else 0


def _companion(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
