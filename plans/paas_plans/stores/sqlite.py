"""The store on SQLite: one file, one connection, used in one thread, one transaction for all that is waiting.

With the write-ahead log and full synchronization, what a call has returned from is on the disk.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from paas_plans.errors import StoreError
from paas_plans.secret import Cipher
from paas_plans.stores.memory import AnySQLiteStore, committed, selected
from paas_plans.stores.sql import Row, Write
from paas_plans.stores.sqlite_file import connected, locked, unlock

T = TypeVar("T")


class SQLiteStore(AnySQLiteStore):
    """`Store` in that file; made, with its folder, for its user alone when its first workstream opens it."""

    def __init__(self, path: str | os.PathLike[str], *, cipher: Cipher | None = None) -> None:
        super().__init__(str(path), cipher)
        self.path = Path(path)
        self._lock: int | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._db: sqlite3.Connection | None = None

    def _prepare(self, *, running_plans: bool) -> None:
        if not running_plans and not self.path.exists():
            raise StoreError(f"{self.path}: there is no store here; has a workstream ever opened it?")
        self._lock = locked(self.path) if running_plans else None
        self._thread = ThreadPoolExecutor(1, "plans")

    async def close(self) -> None:
        await super().close()
        thread, self._thread = self._thread, None
        lock, self._lock = self._lock, None
        if thread:
            await asyncio.get_running_loop().run_in_executor(thread, self._disconnect)
            thread.shutdown()
        if lock is not None:
            unlock(lock)

    async def _commit(self, batch: Sequence[Write]) -> list[int]:
        return await self._in_thread(lambda db: committed(db, batch))

    async def _selected(self, selects: Sequence[tuple[str, Row]]) -> list[list[Row]]:
        return await self._in_thread(lambda db: selected(db, selects))

    async def _in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._done, work)

    def _done(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._db and not self._is_there():
            raise StoreError(f"{self.path}: is no longer the file that was opened: put that back, or restart")
        try:
            if self._db is None:
                self._db = connected(self.path, is_locked=self._lock is not None)
                self._file = self.path.stat()
            return work(self._db)
        except BaseException as error:
            self._disconnect()  # undoes what was begun
            if type(error) is sqlite3.DatabaseError:
                text = f"{self.path}: {error}; restore it, or give the store another path"
            elif isinstance(error, sqlite3.OperationalError | OSError):
                text = f"{self.path}: {error}"
            else:
                raise
            raise StoreError(text) from error

    def _is_there(self) -> bool:
        """What is written to a file that was deleted or replaced is on no disk that anybody reads."""
        with contextlib.suppress(OSError):
            return os.path.samestat(self._file, self.path.stat())
        return False

    def _disconnect(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._db:
                self._db.close()
        self._db = None
