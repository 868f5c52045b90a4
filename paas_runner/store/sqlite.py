"""The store of the service: the SQL of jobs, ledger, runners and notices on the engine of `database.py`.

Rows are made before the engine's thread sees them, and read after it, so that its transactions are short.
"""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.notice import KeptNotices
from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.store import jobs as job_sql
from paas_runner.store import ledger as ledger_sql
from paas_runner.store import notices as notice_sql
from paas_runner.store import runners as runner_sql
from paas_runner.store.database import Database
from paas_runner.store.records import history_as_text
from paas_runner.store.schema import Schema
from paas_runner.store.sqlite_file import unusable

SCHEMA = Schema((*job_sql.MIGRATIONS, *runner_sql.MIGRATIONS, *ledger_sql.MIGRATIONS, *notice_sql.MIGRATIONS))


class SqliteStore:
    """`paas_runner.store.Store` in a database whose schema has the migrations of `SCHEMA`."""

    leases = None
    """One process has the file for itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, path: Path) -> "SqliteStore":
        """Open or create the store; raises `StoreInUseError` or another `StoreError`."""
        return cls(await Database.open(path, SCHEMA))

    async def jobs(self) -> Sequence[TrackedJob]:
        records = await self._database.transaction(job_sql.stored)
        try:
            return job_sql.read(records)
        except ValueError as error:
            raise unusable(self._database.path, str(error)) from error

    async def add(self, job: TrackedJob) -> bool:
        row = job_sql.row(job)
        await self._database.transaction(lambda db: job_sql.add(db, row))
        return True

    async def save(self, job: TrackedJob) -> None:
        row = job_sql.row(job)
        await self._database.transaction(lambda db: job_sql.save(db, row))

    async def hand_on(self, giver: TrackedJob, taker: TrackedJob) -> None:
        row, entries = job_sql.row(taker), history_as_text(giver.history) if giver.history else None

        def work(db: sqlite3.Connection) -> None:
            job_sql.save(db, row)
            job_sql.forget(db, giver.key, ended=giver.acknowledged, entries=entries)

        await self._database.transaction(work)

    async def forget(self, key: JobKey, *, ended: bool, history: Sequence[Entry] = ()) -> None:
        entries = history_as_text(history) if history else None
        await self._database.transaction(lambda db: job_sql.forget(db, key, ended=ended, entries=entries))

    async def ended(self) -> frozenset[JobKey]:
        return await self._database.transaction(job_sql.ended)

    async def merge(self, jobs: Sequence[TrackedJob], *, source: str) -> bool:
        rows = [job_sql.row(job) for job in jobs]

        def work(db: sqlite3.Connection) -> bool:
            if runner_sql.fact(db, runner_sql.MERGED_FROM) == source:
                return False
            for each in rows:
                job_sql.save(db, each)
            runner_sql.keep(db, runner_sql.MERGED_FROM, source)
            return True

        return await self._database.transaction(work)

    async def charge(self, charge: Charge, *, keep_from: datetime) -> bool:
        row, oldest = ledger_sql.row(charge), ledger_sql.moment(keep_from)
        return await self._database.transaction(lambda db: ledger_sql.enter(db, row, keep_from=oldest))

    async def tenants(self, runner: str) -> frozenset[str]:
        return await self._database.transaction(
            lambda db: job_sql.tenants(db, runner) | ledger_sql.tenants(db, runner)
        )

    async def spent(self, since: datetime) -> Mapping[tuple[str, str], float]:
        return await self._database.transaction(lambda db: ledger_sql.spent(db, since))

    async def notices(self) -> Mapping[str, KeptNotices]:
        return await self._database.transaction(notice_sql.kept)

    async def keep_notices(self, receiver: str, book: str, added: Mapping[str, str]) -> None:
        await self._database.transaction(lambda db: notice_sql.keep(db, receiver, book, added))

    async def delivered(self, receiver: str, number: str) -> None:
        await self._database.transaction(lambda db: notice_sql.delivered(db, receiver, number))

    async def forget_receivers(self, receivers: Collection[str]) -> None:
        await self._database.transaction(lambda db: notice_sql.forget(db, receivers))

    async def installation(self, *, otherwise: str = "") -> str:
        return await self._database.transaction(lambda db: runner_sql.installation(db, otherwise))

    async def save_installation(self, installation: str) -> None:
        await self._database.transaction(
            lambda db: runner_sql.keep(db, runner_sql.INSTALLATION, installation)
        )

    async def runners(self) -> Sequence[KnownRunner]:
        text = await self._database.transaction(lambda db: runner_sql.fact(db, runner_sql.RUNNERS))
        try:
            return runner_sql.loads(text)
        except ValueError as error:
            raise unusable(self._database.path, str(error)) from error

    async def save_runners(
        self, runners: Sequence[KnownRunner], *, over: Sequence[KnownRunner] | None = None
    ) -> bool:
        if over is not None and list(over) != list(await self.runners()):
            return False  # nobody else writes here
        text = runner_sql.dumps(runners)
        await self._database.transaction(lambda db: runner_sql.keep(db, runner_sql.RUNNERS, text))
        return True

    async def owed(self, runner: str) -> str:
        name = runner_sql.OWED + runner
        return await self._database.transaction(lambda db: runner_sql.fact(db, name)) or ""

    async def keep_owed(self, runner: str, text: str) -> None:
        name = runner_sql.OWED + runner
        await self._database.transaction(lambda db: runner_sql.keep(db, name, text))

    async def aclose(self) -> None:
        """Finish what was asked for and let go of the files."""
        await self._database.aclose()
