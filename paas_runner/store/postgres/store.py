"""The store of one of several processes: the SQL of all subjects on the engine of `database.py`.

What is written of a job carries the epoch under which this process came to hold the job's section, as it was
when the call was made. Rows are made before the engine sees them.
"""

import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime

from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.lease import Tenancy, Tending, Word
from paas_runner.job.notice import KeptNotices
from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.secret import Secret
from paas_runner.store import runners as facts
from paas_runner.store.postgres import jobs as job_sql
from paas_runner.store.postgres import leases as lease_sql
from paas_runner.store.postgres import ledger as ledger_sql
from paas_runner.store.postgres import notices as notice_sql
from paas_runner.store.postgres.connecting import Server
from paas_runner.store.postgres.database import READ_SECONDS, Database, Result
from paas_runner.store.postgres.listening import words
from paas_runner.store.postgres.schema import upgrade
from paas_runner.store.protocol import REMEMBERED_JOBS, StaleLeaseError, StoreError
from paas_runner.store.records import history_as_text, loads


class PostgresStore:
    """`paas_runner.store.Store` and its `LeaseStore`."""

    def __init__(self, database: Database, server: Server) -> None:
        """Of a new life of a process: it holds nothing."""
        self.holder = secrets.token_hex(8)
        self._database = database
        self._server = server
        self._epochs: Mapping[str, int] = {}
        self._jobs = job_sql.writing(self.holder)
        self._charges = ledger_sql.entering()

    @classmethod
    async def open(cls, url: Secret) -> "PostgresStore":
        """Connect, bring the tables up to date; raises `StoreUnreachableError` or another `StoreError`."""
        server = Server.at(url)
        return cls(await Database.open(server, upgrade), server)

    @property
    def leases(self) -> "PostgresStore":
        """Itself: epochs belong to both."""
        return self

    async def aclose(self) -> None:
        """Finish what was asked for and let go of the server."""
        await self._database.aclose()

    # --- jobs ------------------------------------------------------------------------------------------

    async def jobs(self) -> Sequence[TrackedJob]:
        return self._read(await self._database.read(job_sql.ALL, seconds=READ_SECONDS))

    async def jobs_of(self, runners: Collection[str]) -> Sequence[TrackedJob]:
        rows = await self._database.read(job_sql.OF_RUNNERS, list(runners), seconds=READ_SECONDS)
        return self._read(rows)

    async def add(self, job: TrackedJob) -> bool:
        row = job_sql.row(job, job_sql.ADD, self._epochs.get(job.key.runner))
        return await self._database.write(self._jobs, row) is not None

    async def save(self, job: TrackedJob) -> None:
        row = job_sql.row(job, job_sql.SAVE, self._epochs.get(job.key.runner))
        if await self._database.write(self._jobs, row) is None:
            raise self._stale(job.key.runner)

    async def hand_on(self, giver: TrackedJob, taker: TrackedJob) -> None:
        runner = taker.key.runner
        if giver.key.runner != runner:
            raise ValueError(f"jobs {giver.key} and {taker.key} are not of one section")
        epoch, entries = self._epochs.get(runner), history_as_text(giver.history) if giver.history else None
        rows = [
            job_sql.row(taker, job_sql.SAVE, epoch),
            job_sql.gone(giver.key, epoch, ended=giver.acknowledged, entries=entries),
        ]
        if not await self._database.write_together(self._jobs, rows):
            raise self._stale(runner)

    async def forget(self, key: JobKey, *, ended: bool, history: Sequence[Entry] = ()) -> None:
        entries = history_as_text(history) if history else None
        row = job_sql.gone(key, self._epochs.get(key.runner), ended=ended, entries=entries)
        if await self._database.write(self._jobs, row) is None:
            raise self._stale(key.runner)

    async def ended(self) -> frozenset[JobKey]:
        rows = await self._database.read(job_sql.ENDED, REMEMBERED_JOBS)
        return frozenset(JobKey(runner, job_id) for runner, job_id in rows)

    async def merge(self, jobs: Sequence[TrackedJob], *, source: str) -> bool:
        rows = [job_sql.row(job, job_sql.ADD, self._epochs.get(job.key.runner)) for job in jobs]
        sql, values = job_sql.merging(self.holder, (facts.MERGED_FROM, source), rows)
        [[is_new, _]] = await self._database.read(sql, *values, seconds=READ_SECONDS)
        return bool(is_new)

    def _read(self, rows: Result) -> Sequence[TrackedJob]:
        return [self._record(*row) for row in rows]

    def _record(self, runner: str, job_id: int, record: str) -> TrackedJob:
        try:
            return loads(record)
        except ValueError as error:
            key = JobKey(runner, job_id)
            raise StoreError(f"{self._server.place}: the record of job {key} is damaged: {error}") from error

    def _stale(self, runner: str) -> StaleLeaseError:
        return StaleLeaseError(f"{self._server.place}: another process holds runner {runner}, or may hold it")

    # --- ledger ----------------------------------------------------------------------------------------

    async def charge(self, charge: Charge, *, keep_from: datetime) -> bool:
        row = ledger_sql.row(charge, keep_from)
        return await self._database.write(self._charges, row) is not None

    async def tenants(self, runner: str) -> frozenset[str]:
        rows = await self._database.read(job_sql.TENANTS, runner, runner)
        return frozenset(tenant for (tenant,) in rows)

    async def spent(self, since: datetime) -> Mapping[tuple[str, str], float]:
        return ledger_sql.spent(await self._database.read(ledger_sql.SPENT, since, since))

    # --- facts -----------------------------------------------------------------------------------------

    async def installation(self, *, otherwise: str = "") -> str:
        return await self._first(facts.INSTALLATION, otherwise or secrets.token_hex(8))

    async def save_installation(self, installation: str) -> None:
        await self._database.execute(notice_sql.KEEP_FACT, name=facts.INSTALLATION, value=installation)

    async def system_id(self, otherwise: str) -> str:
        return await self._first(notice_sql.SYSTEM_ID, otherwise)

    async def runners(self) -> Sequence[KnownRunner]:
        return self._known(await self._runners_text())

    async def save_runners(
        self, runners: Sequence[KnownRunner], *, over: Sequence[KnownRunner] | None = None
    ) -> bool:
        values = {"name": facts.RUNNERS, "value": facts.dumps(runners)}
        if over is None:
            await self._database.execute(notice_sql.KEEP_FACT, **values)
            return True
        before = await self._runners_text()
        if list(over) != list(self._known(before)):
            return False
        return any(await self._database.execute(notice_sql.REPLACE_FACT, before=before, **values))

    async def owed(self, runner: str) -> str:
        return await self._fact(facts.OWED + runner) or ""

    async def keep_owed(self, runner: str, text: str) -> None:
        await self._database.execute(notice_sql.KEEP_FACT, name=facts.OWED + runner, value=text)

    async def _runners_text(self) -> str | None:
        return await self._fact(facts.RUNNERS)

    async def _fact(self, name: str) -> str | None:
        rows = await self._database.read(notice_sql.FACT, name)
        return str(rows[0][0]) if rows else None

    def _known(self, text: str | None) -> Sequence[KnownRunner]:
        try:
            return facts.loads(text)
        except ValueError as error:
            raise StoreError(f"{self._server.place}: {error}") from error

    async def _first(self, name: str, value: str) -> str:
        *_, rows = await self._database.execute(notice_sql.FIRST_FACT, name=name, value=value)
        return str(rows[0][0]) if rows else ""

    # --- notices ---------------------------------------------------------------------------------------

    async def notices(self) -> Mapping[str, KeptNotices]:
        books, pending = await self._database.execute(f"{notice_sql.BOOKS}; {notice_sql.PENDING}")
        return notice_sql.kept(books, pending)

    async def keep_notices(self, receiver: str, book: str, added: Mapping[str, str]) -> None:
        ids, documents = list(added), list(added.values())
        await self._database.execute(
            notice_sql.KEEP, receiver=receiver, book=book, ids=ids, documents=documents
        )

    async def delivered(self, receiver: str, number: str) -> None:
        await self._database.execute(notice_sql.DELIVERED, receiver=receiver, id=number)

    async def forget_receivers(self, receivers: Collection[str]) -> None:
        await self._database.execute(notice_sql.FORGET, receivers=list(receivers))

    # --- leases ----------------------------------------------------------------------------------------

    async def tend(self, tending: Tending) -> Tenancy:
        *_, leases, members = await self._database.execute_next(
            lease_sql.TEND, **lease_sql.values(self.holder, tending)
        )
        tenancy = lease_sql.tenancy(leases, members)
        self._epochs = {
            runner: lease.epoch for runner, lease in tenancy.leases.items() if lease.holder == self.holder
        }
        return tenancy

    async def confirm(self, runner: str) -> None:
        epoch = self._epochs.get(runner)
        if not await self._database.read(lease_sql.CONFIRM, runner, self.holder, epoch):
            raise self._stale(runner)

    async def job_counts(self) -> Mapping[str, int]:
        return dict(await self._database.read(job_sql.COUNTS))

    async def leave(self) -> None:
        await self._database.execute(lease_sql.LEAVE, holder=self.holder)

    async def tell(self, word: Word) -> None:
        await self._database.execute(lease_sql.TELL, word=str(word), holder=self.holder)

    def told(self) -> AsyncIterator[Word]:
        return words(self._server, self.holder)
