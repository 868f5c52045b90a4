"""The store as it is at one moment, for commands: readable while the service runs, never changed."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import attrs

from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.store import ledger
from paas_runner.store.protocol import StoreError
from paas_runner.store.records import RUNNERS_FACT, history_from_text, loads, loads_runners
from paas_runner.store.sqlite_file import HISTORY_VERSION, LEDGER_VERSION, too_new, unusable, version_of


@attrs.frozen(kw_only=True)
class Snapshot:
    """What the service has on the disk."""

    installation: str
    jobs: Sequence[TrackedJob]
    ended: frozenset[JobKey]
    runners: Sequence[KnownRunner]
    tenants: Mapping[str, frozenset[str]]
    """Those that have paid for hosts which are gone, by the short token of the runner."""


@attrs.frozen(kw_only=True)
class Accounts:
    """The ledger's charges of some time, and the jobs that may have a host which is not in the ledger."""

    charges: Sequence[Charge]
    jobs: Sequence[TrackedJob]
    runners: Sequence[KnownRunner]


def take(path: Path) -> Snapshot:
    """Read the records in one transaction; raises `StoreError`."""
    with _reading(path) as db:
        fact = db.execute("SELECT value FROM fact WHERE name = 'installation'").fetchone()
        ended = db.execute("SELECT runner, job_id FROM ended").fetchall()
        if fact is None:
            raise _never(path)
        return Snapshot(
            installation=fact[0],
            jobs=_jobs(db),
            ended=frozenset(JobKey(runner, job_id) for runner, job_id in ended),
            runners=_runners(db),
            tenants={} if version_of(db) < LEDGER_VERSION else ledger.all_tenants(db),
        )


def accounts(path: Path, since: datetime, until: datetime) -> Accounts:
    """Read the ledger from `since` to `until` and the records in one transaction; raises `StoreError`."""
    with _reading(path) as db:
        jobs = _jobs(db)
        if version_of(db) < LEDGER_VERSION:  # not started since the upgrade
            return Accounts(charges=[], jobs=jobs, runners=_runners(db))
        owing = [job for job in jobs if not (job.host and ledger.has(db, job.key, job.host.ref))]
        return Accounts(charges=ledger.charges(db, since, until), jobs=owing, runners=_runners(db))


def histories(path: Path, job_id: int) -> Mapping[JobKey, Sequence[Entry]]:
    """What is remembered of the jobs of that id which are gone, one for each runner; raises `StoreError`."""
    select = "SELECT runner, entries FROM history WHERE job_id = ? ORDER BY number"
    with _reading(path) as db:
        if version_of(db) < HISTORY_VERSION:  # not started since the upgrade
            return {}
        found = db.execute(select, (job_id,)).fetchall()
        return {JobKey(runner, job_id): history_from_text(entries) for runner, entries in found}


def _jobs(db: sqlite3.Connection) -> Sequence[TrackedJob]:
    return [loads(record) for (record,) in db.execute("SELECT record FROM job")]


def _runners(db: sqlite3.Connection) -> Sequence[KnownRunner]:
    fact = db.execute("SELECT value FROM fact WHERE name = ?", (RUNNERS_FACT,)).fetchone()
    return loads_runners(fact[0] if fact else None)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction; what goes wrong in it becomes a `StoreError`."""
    try:
        if not path.exists():
            raise _never(path)
        if not os.access(path, os.R_OK | os.W_OK):
            raise StoreError(f"{path}: may not be read by this user; run the command as the service's user")
        # a connection that may not write would leave SQLite's companions behind, made under our user
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)) as db:
            db.execute("PRAGMA query_only = ON")
            db.execute("BEGIN")
            if refused := too_new(version_of(db)):
                raise unusable(path, refused)
            yield db
    except (sqlite3.Error, ValueError) as error:
        raise unusable(path, str(error)) from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def _never(path: Path) -> StoreError:
    return StoreError(f"{path}: there is no store; has the service ever run with this configuration?")
