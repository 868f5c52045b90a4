"""The store as it is at one moment, for commands: readable while the service runs, never changed."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import attrs

from paas_runner.job.tracked import JobKey, TrackedJob
from paas_runner.store.protocol import StoreError
from paas_runner.store.records import loads
from paas_runner.store.sqlite_file import unusable


@attrs.frozen(kw_only=True)
class Snapshot:
    """What the service has on the disk."""

    installation: str
    jobs: Sequence[TrackedJob]
    ended: frozenset[JobKey]


def take(path: Path) -> Snapshot:
    """Read the store in one transaction; raises `StoreError`."""
    never = StoreError(f"{path}: there is no store; has the service ever run with this configuration?")
    if not path.exists():
        raise never
    try:
        # a connection that may not write would leave SQLite's companions behind, made under our user
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)) as db:
            db.execute("PRAGMA query_only = ON")
            db.execute("BEGIN")
            fact = db.execute("SELECT value FROM fact WHERE name = 'installation'").fetchone()
            records = db.execute("SELECT record FROM job").fetchall()
            ended = db.execute("SELECT runner, job_id FROM ended").fetchall()
        jobs = [loads(record) for (record,) in records]
    except (sqlite3.Error, ValueError) as error:
        raise unusable(path, str(error)) from error
    if fact is None:
        raise never
    return Snapshot(
        installation=fact[0],
        jobs=jobs,
        ended=frozenset(JobKey(runner, job_id) for runner, job_id in ended),
    )
