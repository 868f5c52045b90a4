"""The store: SQLite in a thread of its own, one transaction for all writes that wait at the same time.

Write-ahead log and full synchronisation: what was saved is on the disk. One connection, one thread, whole
transactions only, so that a cancelled task can never leave half of one behind. A lock file keeps a second
process out.
"""

import asyncio
import fcntl
import os
import queue
import secrets
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs

from paas_runner.job.tracked import JobKey, TrackedJob
from paas_runner.store.protocol import StoreError
from paas_runner.store.records import dumps, loads

T = TypeVar("T")

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
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class StoreInUseError(StoreError):
    """Another process has the store open."""


@attrs.frozen
class _Request:
    work: Callable[[sqlite3.Connection], Any]
    answer: "asyncio.Future[Any]"


class SqliteStore:
    """`Store` in one file; made by `open`."""

    def __init__(self, path: Path, lock: int, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread; `lock` is the descriptor of the locked lock file."""
        self._path = path
        self._lock = lock
        self._loop = loop
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="store", daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, path: Path) -> "SqliteStore":
        """Open or create the store; raises `StoreInUseError` or another `StoreError`."""
        lock = _locked(path.with_name(path.name + ".lock"))
        store = cls(path, lock, asyncio.get_running_loop())
        try:
            await store._do(_prepared)
        except BaseException:
            await store.aclose()
            raise
        return store

    async def jobs(self) -> Sequence[TrackedJob]:
        """All records, in the order of acquisition."""
        select = "SELECT runner, job_id, record FROM job ORDER BY acquired_at, job_id"
        rows = await self._do(lambda db: db.execute(select).fetchall())
        return [self._read(JobKey(runner, job_id), text) for runner, job_id, text in rows]

    async def save(self, job: TrackedJob) -> None:
        """Write one record."""
        row = _row(job)
        await self._do(lambda db: _save(db, row))

    async def forget(self, key: JobKey) -> None:
        """Remove one record."""
        await self._do(
            lambda db: db.execute("DELETE FROM job WHERE runner = ? AND job_id = ?", (key.runner, key.job_id))
        )

    async def replace(self, jobs: Sequence[TrackedJob], *, source: str) -> bool:
        """Make `jobs` the only records, unless the same `source` did so last."""
        rows = [_row(job) for job in jobs]

        def work(db: sqlite3.Connection) -> bool:
            if _fact(db, "replaced from") == source:
                return False
            db.execute("DELETE FROM job")
            for row in rows:
                _save(db, row)
            _keep(db, "replaced from", source)
            return True

        return await self._do(work)

    async def installation(self) -> str:
        """The id of this installation."""

        def work(db: sqlite3.Connection) -> str:
            known = _fact(db, "installation")
            if known is None:
                known = secrets.token_hex(8)
                _keep(db, "installation", known)
            return known

        return await self._do(work)

    async def aclose(self) -> None:
        """Finish what was asked for, end the thread, release the lock."""
        self._requests.put(None)
        await asyncio.to_thread(self._thread.join)
        os.close(self._lock)

    def _read(self, key: JobKey, text: str) -> TrackedJob:
        try:
            return loads(text)
        except ValueError as error:
            raise StoreError(f"{self._path}: the record of job {key} is damaged: {error}") from error

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        answer: asyncio.Future[T] = self._loop.create_future()
        self._requests.put(_Request(work, answer))
        return await answer

    # --- in the thread ---------------------------------------------------------------------------------

    def _serve(self) -> None:
        db: sqlite3.Connection | None = None
        while (request := self._requests.get()) is not None:
            batch = [request, *self._waiting()]
            try:
                db = db or _connected(self._path)
                results = _in_one_transaction(db, batch)
            except (sqlite3.Error, OSError) as error:
                results = [StoreError(f"{self._path}: {error}")] * len(batch)
            self._loop.call_soon_threadsafe(_answer, batch, results)
        if db:
            db.close()

    def _waiting(self) -> list[_Request]:
        found: list[_Request] = []
        while not self._requests.empty():
            request = self._requests.get()
            if request is None:
                self._requests.put(None)  # the end: not before this batch is done
                break
            found.append(request)
        return found


def _answer(batch: Sequence[_Request], results: Sequence[Any]) -> None:
    for request, result in zip(batch, results, strict=True):
        if request.answer.cancelled():
            continue
        if isinstance(result, Exception):
            request.answer.set_exception(result)
        else:
            request.answer.set_result(result)


def _in_one_transaction(db: sqlite3.Connection, batch: Sequence[_Request]) -> list[Any]:
    try:
        db.execute("BEGIN IMMEDIATE")
        results = [request.work(db) for request in batch]
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return results


def _connected(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's companions take over the mode
    db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _prepared(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > _SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"written by a newer version (schema {version})")
    if version == 0:
        for statement in filter(str.strip, _SCHEMA.split(";")):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _row(job: TrackedJob) -> tuple[str, int, str, str, str]:
    """What is written of a job; made before the thread sees it, where an error would hit every writer."""
    return job.key.runner, job.key.job_id, job.acquired_at.isoformat(), str(job.phase), dumps(job)


def _save(db: sqlite3.Connection, row: tuple[str, int, str, str, str]) -> None:
    db.execute(
        "INSERT OR REPLACE INTO job (runner, job_id, acquired_at, phase, record) VALUES (?, ?, ?, ?, ?)", row
    )


def _fact(db: sqlite3.Connection, name: str) -> str | None:
    row = db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else None


def _keep(db: sqlite3.Connection, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)", (name, value))


def _locked(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(descriptor, 32).decode(errors="replace").strip()
        os.close(descriptor)
        raise StoreInUseError(
            f"{path}: another paas-runner works on this state (process {holder or 'unknown'}); "
            "stop that one first, or give this one a `state_file` of its own"
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
