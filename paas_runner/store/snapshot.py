"""The store as it is at one moment, for commands: readable while the service runs, never changed."""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.store import jobs, ledger, runners, state_file
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


@attrs.frozen(kw_only=True)
class StoredRecords:
    """The records on the disk, as they are at each call; a state file that waits for a start counts, too."""

    store: Path
    state_file: Path
    peer_names: Mapping[str, str]
    """For each runner's short token what heptapod-paas-runner calls it."""

    async def jobs(self) -> Sequence[TrackedJob]:
        return (await self.read()).jobs

    async def ended(self) -> frozenset[JobKey]:
        return (await self.read()).ended

    async def tenants(self, runner: str) -> frozenset[str]:
        return (await self.read()).tenants.get(runner, frozenset())

    async def read(self) -> Snapshot:
        """All of them; raises `StoreError` and `StateFileError`."""
        snapshot = await asyncio.to_thread(take, self.store)
        now = datetime.now(UTC)
        waiting = await asyncio.to_thread(state_file.read, self.state_file, self.peer_names, now)
        if waiting is None:
            return snapshot
        return attrs.evolve(snapshot, jobs=[*snapshot.jobs, *waiting.jobs])


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
