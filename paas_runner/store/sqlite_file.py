"""The file of the SQLite store: made whole or not at all, and looked at before anything is written to it.

A file that is damaged, empty, somebody else's or not a store is refused and left byte for byte as it was. One
of an older version of this program is brought up to date in one transaction.

Whose files are acted upon: what another user wrote could have us delete and launch what he likes.
"""

import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from paas_runner.store.protocol import StoreError


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


_STEPS: Mapping[int, str] = {
    1: """
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
""",
    2: """
CREATE TABLE charge (
    runner TEXT NOT NULL,
    job_id INTEGER NOT NULL,
    host TEXT NOT NULL,
    tenant TEXT NOT NULL,
    flavor TEXT NOT NULL,
    since TEXT NOT NULL,
    until TEXT NOT NULL,
    price REAL,
    PRIMARY KEY (runner, job_id, host)
) WITHOUT ROWID;
CREATE INDEX charge_until ON charge (until);
CREATE INDEX charge_tenant ON charge (runner, tenant);
""",
    3: """
CREATE TABLE history (
    number INTEGER PRIMARY KEY,
    runner TEXT NOT NULL,
    job_id INTEGER NOT NULL,
    entries TEXT NOT NULL
);
CREATE INDEX history_job ON history (job_id);
""",
}
"""What each version added to the one before."""

_VERSION = max(_STEPS)
LEDGER_VERSION = 2
HISTORY_VERSION = 3
_TABLES: Mapping[int, set[str]] = {
    1: {"job", "ended", "fact"},
    2: {"job", "ended", "fact", "charge"},
    3: {"job", "ended", "fact", "charge", "history"},
}


def connected(path: Path) -> sqlite3.Connection:
    """A connection to the store in `path`, which is made if it is absent; raises `StoreError`."""
    try:
        if not path.exists():
            _make(path)
        _examine(path)
        return _brought_up_to_date(_opened(path))
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


def version_of(db: sqlite3.Connection) -> int:
    """Which version of the tables is in a store."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def too_new(version: int) -> str | None:
    """Why a store of that version is refused; None when it is not."""
    newer = f"was written by a newer version of this program (schema {version})"
    return newer if version > _VERSION else None


def _make(path: Path) -> None:
    """Under another name first, so that an empty or half-made file is never ours."""
    if _journal_bytes(path):
        raise unusable(path, "is missing, but its -wal is there")
    fresh = path.with_name(f"{path.name}.new")
    for leftover in (fresh, _companion(fresh, "-wal"), _companion(fresh, "-shm")):
        leftover.unlink(missing_ok=True)
    _brought_up_to_date(_opened(fresh)).close()
    fresh.rename(path)


def _brought_up_to_date(db: sqlite3.Connection) -> sqlite3.Connection:
    """All steps that are missing or none; closes the connection when there is none to return."""
    try:
        version = version_of(db)
        if version < _VERSION:
            db.execute("BEGIN IMMEDIATE")
            for statement in _statements(range(version + 1, _VERSION + 1)):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {_VERSION}")
            db.execute("COMMIT")
    except BaseException:
        db.close()  # which takes back what was not committed
        raise
    return db


def _statements(versions: Iterable[int]) -> Iterable[str]:
    for version in versions:
        yield from filter(str.strip, _STEPS[version].split(";"))


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
    version = version_of(db)
    if refused := too_new(version):
        return refused
    [verdict] = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        return f"is damaged: {verdict}"
    if size and size % db.execute("PRAGMA page_size").fetchone()[0]:
        return "is damaged: its end is missing"
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    ours = version in _TABLES and tables >= _TABLES[version]
    return None if ours else "is a database, but no store of this program"


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
