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
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import attrs

from paas_runner.errors import Exit
from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.store import ledger
from paas_runner.store.protocol import REMEMBERED_HISTORIES, REMEMBERED_JOBS, StoreError
from paas_runner.store.records import (
    RUNNERS_FACT,
    dumps,
    dumps_runners,
    history_as_text,
    loads,
    loads_runners,
)
from paas_runner.store.sqlite_file import connected, unusable

T = TypeVar("T")


class StoreInUseError(StoreError):
    """Another process has the store open."""

    exit_code = Exit.IN_USE


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
            await store._do(lambda _: None)
        except BaseException:
            await store.aclose()
            raise
        return store

    async def jobs(self) -> Sequence[TrackedJob]:
        """All records, in the order of acquisition."""
        select = "SELECT runner, job_id, CAST(record AS BLOB) FROM job ORDER BY acquired_at, job_id"
        rows = await self._do(lambda db: db.execute(select).fetchall())
        return [self._read(JobKey(runner, job_id), text) for runner, job_id, text in rows]

    async def save(self, job: TrackedJob) -> None:
        """Write one record."""
        row = _row(job)
        await self._do(lambda db: _save(db, row))

    async def forget(self, key: JobKey, *, ended: bool, history: Sequence[Entry] = ()) -> None:
        """Remove one record, and remember of the job what `ended` says, and its history."""
        entries = history_as_text(history) if history else None
        await self._do(lambda db: _forget(db, key, ended=ended, entries=entries))

    async def ended(self) -> frozenset[JobKey]:
        """The latest of the jobs that are over."""
        rows = await self._do(lambda db: db.execute("SELECT runner, job_id FROM ended").fetchall())
        return frozenset(JobKey(runner, job_id) for runner, job_id in rows)

    async def tenants(self, runner: str) -> frozenset[str]:
        """Those of the present records and of the ledger."""
        return await self._do(lambda db: _present_tenants(db, runner) | ledger.tenants(db, runner))

    async def charge(self, charge: Charge, *, keep_from: datetime) -> bool:
        """Enter a charge into the ledger, and drop old ones, a few at a time."""
        row, oldest = ledger.row(charge), ledger.moment(keep_from)
        return await self._do(lambda db: ledger.enter(db, row, keep_from=oldest))

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

    async def runners(self) -> Sequence[KnownRunner]:
        """Every runner that was ever served here."""
        text = await self._do(lambda db: _fact(db, RUNNERS_FACT))
        try:
            return loads_runners(text)
        except ValueError as error:
            raise unusable(self._path, f"what is known of the runners is damaged: {error}") from error

    async def save_runners(self, known: Sequence[KnownRunner]) -> None:
        """Make these the known runners."""
        text = dumps_runners(known)
        await self._do(lambda db: _keep(db, RUNNERS_FACT, text))

    async def aclose(self) -> None:
        """Finish what was asked for, end the thread, release the lock."""
        self._requests.put(None)
        await asyncio.to_thread(self._thread.join)
        os.close(self._lock)

    def _read(self, key: JobKey, text: bytes) -> TrackedJob:
        try:
            return loads(text)
        except ValueError as error:
            raise unusable(self._path, f"the record of job {key} is damaged: {error}") from error

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
                db = db or connected(self._path)
                results = _in_one_transaction(db, batch)
            except StoreError as error:
                results = [error] * len(batch)
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


def _row(job: TrackedJob) -> tuple[str, int, str, str, str]:
    """What is written of a job; made before the thread sees it, where an error would hit every writer."""
    return job.key.runner, job.key.job_id, job.acquired_at.isoformat(), str(job.phase), dumps(job)


def _save(db: sqlite3.Connection, row: tuple[str, int, str, str, str]) -> None:
    db.execute(
        "INSERT OR REPLACE INTO job (runner, job_id, acquired_at, phase, record) VALUES (?, ?, ?, ?, ?)", row
    )


def _forget(db: sqlite3.Connection, key: JobKey, *, ended: bool, entries: str | None) -> None:
    db.execute("DELETE FROM job WHERE runner = ? AND job_id = ?", (key.runner, key.job_id))
    if ended:
        insert = "INSERT INTO ended (runner, job_id) VALUES (?, ?)"
        number = db.execute(insert, (key.runner, key.job_id)).lastrowid
        db.execute("DELETE FROM ended WHERE number <= ? - ?", (number, REMEMBERED_JOBS))
    if entries is not None:
        insert = "INSERT INTO history (runner, job_id, entries) VALUES (?, ?, ?)"
        number = db.execute(insert, (key.runner, key.job_id, entries)).lastrowid
        db.execute("DELETE FROM history WHERE number <= ? - ?", (number, REMEMBERED_HISTORIES))


def _present_tenants(db: sqlite3.Connection, runner: str) -> frozenset[str]:
    select = "SELECT DISTINCT json_extract(record, '$.tenant') FROM job WHERE runner = ?"
    return frozenset(tenant or "" for (tenant,) in db.execute(select, (runner,)))


def _fact(db: sqlite3.Connection, name: str) -> str | None:
    row = db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else None


def _keep(db: sqlite3.Connection, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)", (name, value))


def _locked(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be opened: {error.strerror}. The service must be able to write there"
        ) from error
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
