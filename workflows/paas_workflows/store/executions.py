"""A folder of executions: each has a file of its own, locked by its process, so that several run at once.

A file has the record and what the execution was given, its environment among that, so it is private (0600);
what was given goes when the execution is over.
"""

import os
import pwd
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs

from paas_runner.errors import UsageError
from paas_runner.store.database import Database, StoreInUseError, locked, reading
from paas_runner.store.protocol import StoreError
from paas_runner.store.schema import Migration, Schema
from paas_workflows.machine.execution import Execution
from paas_workflows.store.records import Given, from_text, to_text

SCHEMA = Schema(
    (
        Migration(
            number=1,
            room="workflows",
            sql="CREATE TABLE record (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;",
        ),
    )
)
_PUT = "INSERT INTO record VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text"
_GET = "SELECT text FROM record WHERE name = ?"
_EXECUTION, _GIVEN = "execution", "given"


def default_folder(environ: Mapping[str, str]) -> Path:
    """Of a service of systemd, else of a user."""
    if state := environ.get("STATE_DIRECTORY"):
        return Path(state.partition(":")[0]) / "workflows"
    state = environ.get("XDG_STATE_HOME", "")
    if not Path(state).is_absolute():  # such a one is to be ignored (XDG Base Directory Specification)
        home = environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
        state = f"{home}/.local/state"
    return Path(state) / "paas-runner" / "workflows"


class Record:
    """An open execution, which nobody else works on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, execution: Execution, given: Given | None = None) -> None:
        """It is on the disk when this returns; raises `StoreError`. What was given goes with the end."""
        texts = [(_EXECUTION, to_text(execution))]
        if given or execution.ended:
            texts.append((_GIVEN, to_text(given or Given())))
        await self._database.transaction(lambda db: db.executemany(_PUT, texts))

    async def get(self) -> tuple[Execution, Given]:
        """Raises `StoreError`."""
        name = self._database.path.name
        execution, given = await self._database.transaction(
            lambda db: [(db.execute(_GET, (key,)).fetchone() or [""])[0] for key in (_EXECUTION, _GIVEN)]
        )
        if not execution:
            raise UsageError(f"{self._database.path.stem} never began: remove it")
        return from_text(execution, Execution, name), from_text(given or "{}", Given, name)


@attrs.frozen
class Executions:
    """Those in a folder."""

    folder: Path

    @asynccontextmanager
    async def opened(self, execution_id: str, *, is_new: bool = False) -> AsyncIterator[Record]:
        """Raises `StoreInUseError` where another process works on it, `UsageError` where there is none."""
        if is_new:
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"{self.folder}: cannot be made: {error.strerror}") from error
        path = self.path(execution_id, is_new=is_new)
        try:
            database = await Database.open(path, SCHEMA)
        except StoreInUseError as error:
            raise StoreInUseError(
                f"another process works on {execution_id}: that one goes on with it"
            ) from error
        try:
            yield Record(database)
        finally:
            await database.aclose()

    def all(self) -> Sequence[Execution]:
        """The newest first, without those that never began; raises `StoreError`."""
        found = [self._found(path) for path in sorted(self.folder.glob("*.db"), reverse=True)]
        return [each for each in found if each]

    def read(self, execution_id: str) -> Execution:
        """Also while it runs; raises `UsageError` and `StoreError`."""
        if (found := self._found(self.path(execution_id))) is None:
            raise UsageError(f"{execution_id} never began: remove it")
        return found

    def _found(self, path: Path) -> Execution | None:
        with reading(path, SCHEMA) as db:
            row = db.execute(_GET, (_EXECUTION,)).fetchone()
        return from_text(row[0], Execution, path.name) if row else None

    def path(self, execution_id: str, *, is_new: bool = False) -> Path:
        """Its file; raises `UsageError`."""
        path = self.folder / f"{execution_id}.db"
        if not is_new and ("/" in execution_id or not path.exists()):
            raise UsageError(f"there is no execution {execution_id} in {self.folder}")
        return path

    def resuming(self, execution_id: str) -> str:
        """The command that goes on with one."""
        is_usual = self.folder == default_folder(os.environ)
        elsewhere = "" if is_usual else f" --state {shlex.quote(str(self.folder))}"
        return f"paas-runner workflow resume {execution_id}{elsewhere}"

    def remove(self, execution_id: str) -> None:
        """Forget it; raises as `opened`."""
        path = self.path(execution_id)
        with locked(path):
            for name in (path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm", ".lock"))):
                with suppress(FileNotFoundError):
                    name.unlink()
