"""The file of the store on SQLite: made and locked, brought up to date, or refused and left as it is."""

import fcntl
import os
import socket
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from paas_plans.errors import StoreError, StoreInUseError
from paas_plans.stores.sql import SCHEMA, steps_missing

_APPLICATION = 0x504C414E  # "PLAN": tells our files from other programs'
_locks: set[int] = set()


def locked(path: Path) -> int:
    """Make the file if there is none; its lock, a descriptor, ends with the process, however that ends."""
    with ExitStack() as undone:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            undone.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except BlockingIOError:
            holder = os.pread(lock, 300, 0).decode(errors="replace") or "another process"
            raise StoreInUseError(f"{path}: {holder} runs the plans of this store; end that first") from None
        except OSError as error:
            raise StoreError(f"{error.filename or path}: {error.strerror}: no store can be there") from error
        undone.pop_all()
    _locks.add(lock)
    return lock


def unlock(*locks: int) -> None:
    for lock in _locks & {*locks}:
        os.close(lock)
    _locks.difference_update(locks)


os.register_at_fork(after_in_child=lambda: unlock(*_locks))  # who outlives us does not keep what we had


def connected(path: Path, *, is_locked: bool, schema: Sequence[str] = SCHEMA) -> sqlite3.Connection:
    """To an existing file, at the newest version."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=5)
    try:
        bring_up_to_date(db, path, schema, is_locked=is_locked)
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            db.execute(f"PRAGMA {setting}")
    except BaseException:
        db.close()
        raise
    return db


def bring_up_to_date(
    db: sqlite3.Connection, path: Path, schema: Sequence[str] = SCHEMA, *, is_locked: bool = True
) -> None:
    asked = ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    application, version, tables = (int(db.execute(one).fetchone()[0]) for one in asked)
    if application != _APPLICATION and (application or version or tables):
        raise StoreError(f"{path}: is another program's database; give the store another path")
    if steps := steps_missing(path, version, schema, may_add=is_locked):
        db.execute("BEGIN IMMEDIATE")
        for statement in ";".join(steps).split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {len(schema)}")
        db.execute("COMMIT")
