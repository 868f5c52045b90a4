"""The tables of jobs: the records of the tracked ones, and what is remembered of those that are gone."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs

from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.store.protocol import REMEMBERED_HISTORIES, REMEMBERED_JOBS
from paas_runner.store.records import dumps, history_from_text, loads
from paas_runner.store.schema import Migration

HISTORY_VERSION = 3

MIGRATIONS = (
    Migration(
        number=1,
        room="jobs",
        sql="""
CREATE TABLE job (
    runner TEXT NOT NULL,
    job_id INTEGER NOT NULL,
    acquired_at TEXT NOT NULL,
    phase TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (runner, job_id)
) WITHOUT ROWID;
CREATE TABLE ended (number INTEGER PRIMARY KEY, runner TEXT NOT NULL, job_id INTEGER NOT NULL);
""",
    ),
    Migration(
        number=HISTORY_VERSION,
        room="jobs",
        sql="""
CREATE TABLE history (
    number INTEGER PRIMARY KEY,
    runner TEXT NOT NULL,
    job_id INTEGER NOT NULL,
    entries TEXT NOT NULL
);
CREATE INDEX history_job ON history (job_id);
""",
    ),
)

_INTO_JOB = "INTO job (runner, job_id, acquired_at, phase, record) VALUES (?, ?, ?, ?, ?)"

Row: TypeAlias = tuple[str, int, str, str, str]
StoredRecord: TypeAlias = tuple[str, int, bytes]
StoredHistory: TypeAlias = tuple[int, str, int, str]


@attrs.frozen(kw_only=True)
class PastJob:
    """A job that is gone; a larger `number` went later."""

    number: int
    key: JobKey
    history: Sequence[Entry]


def row(job: TrackedJob) -> Row:
    """What is written of a job."""
    return job.key.runner, job.key.job_id, job.acquired_at.isoformat(), str(job.phase), dumps(job)


def save(db: sqlite3.Connection, job: Row) -> None:
    db.execute(f"INSERT OR REPLACE {_INTO_JOB}", job)


def add(db: sqlite3.Connection, job: Row) -> None:
    """The same, but a record that is there stays."""
    db.execute(f"INSERT OR IGNORE {_INTO_JOB}", job)


def stored(db: sqlite3.Connection) -> Sequence[StoredRecord]:
    """All records in the order of acquisition, as bytes: a damaged one must not hide the others' names."""
    select = "SELECT runner, job_id, CAST(record AS BLOB) FROM job ORDER BY acquired_at, job_id"
    return db.execute(select).fetchall()


def read(records: Iterable[StoredRecord]) -> Sequence[TrackedJob]:
    """Their jobs; raises ValueError naming the damaged one, and nothing of what is in it."""
    return [_read(JobKey(runner, job_id), record) for runner, job_id, record in records]


def _read(key: JobKey, record: bytes) -> TrackedJob:
    try:
        return loads(record)
    except ValueError as error:
        raise ValueError(f"the record of job {key} is damaged: {error}") from error


def forget(db: sqlite3.Connection, key: JobKey, *, ended: bool, entries: str | None) -> None:
    """Remove a record, and remember of the job what is given."""
    db.execute("DELETE FROM job WHERE runner = ? AND job_id = ?", (key.runner, key.job_id))
    if ended:
        insert = "INSERT INTO ended (runner, job_id) VALUES (?, ?)"
        number = db.execute(insert, (key.runner, key.job_id)).lastrowid
        db.execute("DELETE FROM ended WHERE number <= ? - ?", (number, REMEMBERED_JOBS))
    if entries is not None:
        insert = "INSERT INTO history (runner, job_id, entries) VALUES (?, ?, ?)"
        number = db.execute(insert, (key.runner, key.job_id, entries)).lastrowid
        db.execute("DELETE FROM history WHERE number <= ? - ?", (number, REMEMBERED_HISTORIES))


def ended(db: sqlite3.Connection) -> frozenset[JobKey]:
    """The latest of the jobs that are over."""
    return frozenset(JobKey(*key) for key in db.execute("SELECT runner, job_id FROM ended"))


def histories(db: sqlite3.Connection, job_id: int) -> Mapping[JobKey, Sequence[Entry]]:
    """Of the jobs of that id which are gone, the latest for each runner; raises ValueError."""
    select = "SELECT runner, entries FROM history WHERE job_id = ? ORDER BY number"
    found = db.execute(select, (job_id,)).fetchall()
    return {JobKey(runner, job_id): history_from_text(entries) for runner, entries in found}


def latest_histories(
    db: sqlite3.Connection, *, most: int, before: int | None = None, event: str = ""
) -> Sequence[StoredHistory]:
    """Of the jobs that went last, those first; of those before a number, or in whose history an event is."""
    select = (
        "SELECT number, runner, job_id, entries FROM history "
        "WHERE (? IS NULL OR number < ?) AND instr(entries, ?) ORDER BY number DESC LIMIT ?"
    )
    return db.execute(select, (before, before, written(event), most)).fetchall()


def written(event: str) -> str:
    """What is in the text of each history in which that event is; of all for none."""
    return f'"event":"{event}"' if event else "["


def read_histories(found: Iterable[StoredHistory]) -> Sequence[PastJob]:
    """The jobs of those rows; raises ValueError."""
    return [
        PastJob(number=number, key=JobKey(runner, job_id), history=history_from_text(entries))
        for number, runner, job_id, entries in found
    ]


def tenants(db: sqlite3.Connection, runner: str) -> frozenset[str]:
    """Those of a runner's present records."""
    select = "SELECT DISTINCT json_extract(record, '$.tenant') FROM job WHERE runner = ?"
    return frozenset(tenant or "" for (tenant,) in db.execute(select, (runner,)))
