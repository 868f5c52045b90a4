"""The store as it is at one moment, for commands: readable while the service runs, never changed."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import attrs

from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.store import jobs, ledger, runners
from paas_runner.store.database import missing, reading
from paas_runner.store.schema import version_of
from paas_runner.store.sqlite import SCHEMA


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
    with reading(path, SCHEMA) as db:
        installation = runners.fact(db, runners.INSTALLATION)
        if installation is None:
            raise missing(path)
        return Snapshot(
            installation=installation,
            jobs=_jobs(db),
            ended=jobs.ended(db),
            tenants={} if version_of(db) < ledger.VERSION else ledger.all_tenants(db),
            runners=_runners(db),
        )


def accounts(path: Path, since: datetime, until: datetime) -> Accounts:
    """Read the ledger from `since` to `until` and the records in one transaction; raises `StoreError`."""
    with reading(path, SCHEMA) as db:
        owing, known = _jobs(db), _runners(db)
        if version_of(db) < ledger.VERSION:  # not started since the upgrade
            return Accounts(charges=[], jobs=owing, runners=known)
        owing = [job for job in owing if not (job.host and ledger.has(db, job.key, job.host.ref))]
        return Accounts(charges=ledger.charges(db, since, until), jobs=owing, runners=known)


def histories(path: Path, job_id: int) -> Mapping[JobKey, Sequence[Entry]]:
    """What is remembered of the jobs of that id which are gone, one for each runner; raises `StoreError`."""
    with reading(path, SCHEMA) as db:
        if version_of(db) < jobs.HISTORY_VERSION:  # not started since the upgrade
            return {}
        return jobs.histories(db, job_id)


def _jobs(db: sqlite3.Connection) -> Sequence[TrackedJob]:
    """In the order of their keys: what is added up has the same last digit each time."""
    return sorted(jobs.read(jobs.stored(db)), key=lambda job: job.key)


def _runners(db: sqlite3.Connection) -> Sequence[KnownRunner]:
    return runners.loads(runners.fact(db, runners.RUNNERS))
