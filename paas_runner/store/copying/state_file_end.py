"""A state file as the source or the target of a copy: the tracked jobs and the installation's id, no more."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from paas_runner.job.tracked import TrackedJob
from paas_runner.store import jobs as job_sql
from paas_runner.store import runners, state_file
from paas_runner.store.copying.content import FACT, JOB, Row, Table
from paas_runner.store.protocol import StoreError
from paas_runner.store.records import loads


class StateFileEnd:
    """One file; `names` maps runners' short tokens to what heptapod-paas-runner calls them."""

    def __init__(self, path: Path, names: Mapping[str, str], *, kept_in: Path | None = None) -> None:
        """Where it is made under another name first, that is `kept_in`."""
        self.title = str(path)
        self.is_new = kept_in is not None
        self._names = names
        self._path = kept_in or path
        self._new: dict[str, list[Row]] = {}
        self._state: state_file.State | None = None

    def count(self, table: Table) -> int:
        return sum(1 for _ in self.rows(table))

    def rows(self, table: Table) -> Iterator[Row]:
        if self._new:
            self._write()
        if self._state is None:
            self._state = _read(self._path, self._names)
        if table is JOB:
            yield from map(job_sql.row, self._state.jobs)
        elif table is FACT and self._state.installation:
            yield runners.INSTALLATION, self._state.installation

    def carried(self, table: Table, rows: Iterable[Row]) -> Iterator[Row]:
        if table is JOB:
            yield from map(job_sql.row, _jobs(rows))
        elif table is FACT:
            yield from (row for row in rows if row[0] == runners.INSTALLATION)

    def put(self, table: Table, rows: Iterable[Row]) -> None:
        self._new[table.name] = list(rows)

    def _write(self) -> None:
        [*installation] = self._new[FACT.name]
        state_file.write(
            self._path,
            list(_jobs(self._new[JOB.name])),
            self._names,
            installation=str(installation[0][1]) if installation else "",
        )
        self._new.clear()


@contextmanager
def source(path: Path, names: Mapping[str, str]) -> Iterator[StateFileEnd]:
    """Raises `StateFileError`, or `StoreError` where there is none."""
    yield StateFileEnd(path, names)


@contextmanager
def target(path: Path, names: Mapping[str, str]) -> Iterator[StateFileEnd]:
    """A new file, which is there once the block has ended well; or the file that is there, to be read."""
    if path.exists():
        yield StateFileEnd(path, names)
        return
    fresh = path.with_name(f"{path.name}.copying")
    fresh.unlink(missing_ok=True)
    try:
        yield StateFileEnd(path, names, kept_in=fresh)
        fresh.replace(path)
        state_file.sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)


def _read(path: Path, names: Mapping[str, str]) -> state_file.State:
    found = state_file.read(path, names, datetime.now(UTC))
    if found is None:
        raise StoreError(f"{path}: there is no such file")
    return found


def _jobs(rows: Iterable[Row]) -> Iterator[TrackedJob]:
    for runner, job_id, *_, record in rows:
        try:
            yield loads(str(record))
        except ValueError as error:
            raise StoreError(f"the record of job {runner}/{job_id} is damaged: {error}") from error
