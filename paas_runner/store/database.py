"""The engine of every store here: SQLite in a thread of its own, one transaction for all that is waiting.

Write-ahead log and full synchronisation: what a call has returned from is on the disk. One connection, one
thread, whole transactions only, so that a canceled task can never leave half of one behind. A lock file keeps
a second process out. It knows no table: the rooms that use it bring theirs, and their statements.

Commands read the same file beside the service (`reading`), and never change it.
"""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import attrs

from paas_runner.errors import Exit
from paas_runner.store.protocol import NoStoreError, StoreError
from paas_runner.store.schema import Schema, version_of
from paas_runner.store.sqlite_file import connected, unusable

T = TypeVar("T")


class StoreInUseError(StoreError):
    """Another process has the store open."""

    exit_code = Exit.IN_USE


@attrs.frozen
class _Request:
    work: Callable[[sqlite3.Connection], Any]
    answer: "asyncio.Future[Any]"


class Database:
    """One open file; made by `open`."""

    def __init__(self, path: Path, schema: Schema, lock: int, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread; `lock` is the descriptor of the locked lock file."""
        self.path = path
        self._schema = schema
        self._lock = lock
        self._loop = loop
        self._closed = False
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="store", daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, path: Path, schema: Schema) -> "Database":
        """Open or create the file; raises `StoreInUseError` or another `StoreError`."""
        lock = _locked(path)
        database = cls(path, schema, lock, asyncio.get_running_loop())
        try:
            await database.transaction(lambda _: None)
        except BaseException:
            await database.aclose()
            raise
        return database

    async def transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, once it is on the disk; raises `StoreError`.

        `work` is called in the thread, in one transaction with whatever else is waiting, so it must be quick
        and touch nothing but its connection. What it raises itself undoes and ends that request alone.
        """
        if self._closed:  # the thread would never answer
            raise StoreError(f"{self.path}: is closed already")
        answer: asyncio.Future[T] = self._loop.create_future()
        self._requests.put(_Request(work, answer))
        return await answer

    async def aclose(self) -> None:
        """Finish what was asked for, end the thread, release the lock; a second time changes nothing."""
        if self._closed:
            return
        self._closed = True
        self._requests.put(None)
        await asyncio.to_thread(self._thread.join)
        os.close(self._lock)

    # --- in the thread ---------------------------------------------------------------------------------

    def _serve(self) -> None:
        db: sqlite3.Connection | None = None
        while (request := self._requests.get()) is not None:
            batch = [request, *self._waiting()]
            try:
                db = db or connected(self.path, self._schema)
                results = self._committed(db, batch)
            except BaseException as error:  # noqa: BLE001 - without this thread nobody would ever be answered
                results = [self._told(error)] * len(batch)
            if db and db.in_transaction:  # it could not even be rolled back
                _close(db)
                db = None
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(_answer, batch, results)
        if db:
            _close(db)

    def _waiting(self) -> list[_Request]:
        found: list[_Request] = []
        while not self._requests.empty():
            request = self._requests.get()
            if request is None:
                self._requests.put(None)  # the end: not before this batch is done
                break
            found.append(request)
        return found

    def _committed(self, db: sqlite3.Connection, batch: Sequence[_Request]) -> list[Any]:
        """The result of each request, or its error: one that cannot be done does not fail its neighbours."""
        try:
            return _in_one_transaction(db, batch)
        except Exception as error:  # noqa: BLE001 - one caller's bug must not end the thread, nor hit the others
            if len(batch) == 1 or isinstance(error, sqlite3.OperationalError | OSError):  # of the whole disk
                return [self._told(error)] * len(batch)
        return [result for request in batch for result in self._committed(db, [request])]

    def _told(self, error: BaseException) -> Exception:
        """What the caller gets: its own bug as it is, and else what went wrong with the file."""
        match error:
            case StoreError():
                return error
            case sqlite3.Error() | OSError():
                return StoreError(f"{self.path}: {error}")
            case Exception() if not isinstance(error, StopIteration):  # which no future takes
                return error
            case _:
                return StoreError(f"{self.path}: unexpected error ({type(error).__name__})")


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


def _close(db: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        db.close()


def _answer(batch: Sequence[_Request], results: Sequence[Any]) -> None:
    for request, result in zip(batch, results, strict=True):
        if request.answer.done():  # cancelled
            continue
        if isinstance(result, Exception):
            request.answer.set_exception(result)
        else:
            request.answer.set_result(result)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """No service works on the store inside; raises `StoreInUseError` where one does, or `StoreError`."""
    descriptor = _locked(path)
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(store: Path) -> int:
    """The descriptor of its lock file."""
    path = store.with_name(store.name + ".lock")
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
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    except OSError as error:
        os.close(descriptor)
        raise StoreError(
            f"{path}: cannot be written: {error.strerror}. Make room, then start again"
        ) from error
    return descriptor


# --- beside the service ------------------------------------------------------------------------------------


@contextmanager
def reading(path: Path, schema: Schema) -> Iterator[sqlite3.Connection]:
    """One transaction in which nothing can be written; what goes wrong in it becomes a `StoreError`.

    The file is opened for writing all the same: a connection that may not write would leave SQLite's
    companions behind, made under our user, and the service could not use them.
    """
    try:
        if not path.exists():
            raise missing(path)
        if not os.access(path, os.R_OK | os.W_OK):
            raise StoreError(f"{path}: may not be read by this user; run the command as the service's user")
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)) as db:
            db.execute("PRAGMA query_only = ON")
            db.execute("BEGIN")
            if too_new := schema.too_new(version_of(db)):
                raise unusable(path, too_new)
            yield db
    except (sqlite3.Error, ValueError) as error:
        raise unusable(path, str(error)) from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def missing(place: object) -> NoStoreError:
    return NoStoreError(f"{place}: there is no store; has the service ever run with this configuration?")
