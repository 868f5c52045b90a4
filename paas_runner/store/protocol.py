"""What the service needs of a store, subject by subject: a reader asks for the subject that it reads.

Whatever a method has returned from survives the process and the power. Every method raises `StoreError`.
Where several processes share a store, `LeaseStore` says who may write what.
`tests/store/test_store.py` is the contract of all stores.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from paas_runner.errors import Exit, RunnerError
from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.lease import Tenancy, Tending, Word
from paas_runner.job.notice import KeptNotices
from paas_runner.job.tracked import Entry, JobKey, TrackedJob

REMEMBERED_JOBS = 10_000
"""Of how many jobs a store remembers that they are over."""

REMEMBERED_HISTORIES = 2_000
"""Of how many jobs that are gone a store remembers the history."""


class StoreError(RunnerError):
    """The records cannot be read or written: the text says which store and why."""

    exit_code = Exit.STATE


class NoStoreError(StoreError):
    """There is none yet: the first start makes it."""


class StoreUnreachableError(StoreError):
    """Its server does not answer, or not now: the same may work later."""


class StaleLeaseError(StoreError):
    """Another process holds the section, or may hold it: nothing was written."""


class JobStore(Protocol):
    """The records of the tracked jobs, and what is remembered of those that are gone."""

    async def jobs(self) -> Sequence[TrackedJob]:
        """All records, in the order of acquisition."""

    async def add(self, job: TrackedJob) -> bool:
        """Write the first record of a job that was acquired just now, whoever holds its section.

        Returns whether it is this process that is to go on with it; False where another holds the section
        by now, which finds the record there. One that is recorded already stays as it is.
        """

    async def save(self, job: TrackedJob) -> None:
        """Write one record, over its older self if there is one; raises `StaleLeaseError`."""

    async def hand_on(self, giver: TrackedJob, taker: TrackedJob) -> None:
        """In one: write the record of `taker`, which has the giver's host by now, and forget the `giver`.

        The giver's end and history are remembered. Where the store is shared both are of one section. Raises
        `StaleLeaseError`.
        """

    async def forget(self, key: JobKey, *, ended: bool, history: Sequence[Entry] = ()) -> None:
        """Remove one record, an absent one too; `ended` and `history` are remembered of the job.

        Raises `StaleLeaseError`.
        """

    async def ended(self) -> frozenset[JobKey]:
        """The last `REMEMBERED_JOBS` of which that is remembered."""

    async def merge(self, jobs: Sequence[TrackedJob], *, source: str) -> bool:
        """Write `jobs` beside the other records, all or none, unless the same `source` was the last one.

        Returns whether it was done. Where the store is shared, of a job that is recorded already the record
        stays: its section may be another's.
        """


class LedgerStore(Protocol):
    """What hosts that are gone have cost, and who paid."""

    async def charge(self, charge: Charge, *, keep_from: datetime) -> bool:
        """Enter a charge into the ledger, unless one of its job and host is there: the first one stays.

        Charges that ended before `keep_from` may go. Returns whether it is new.
        """

    async def tenants(self, runner: str) -> frozenset[str]:
        """All who paid for hosts of a runner (its short token), as far as ledger and records know."""

    async def spent(self, since: datetime) -> Mapping[tuple[str, str], float]:
        """What the priced hosts in the ledger have cost since then, by runner and tenant."""


class RunnerStore(Protocol):
    """What is known of this installation and of the runners that it has served."""

    async def installation(self, *, otherwise: str = "") -> str:
        """The id of this installation, kept for ever once it is there: `otherwise`, else one that is made."""

    async def save_installation(self, installation: str) -> None:
        """Make this the id, as the operator wants it."""

    async def runners(self) -> Sequence[KnownRunner]:
        """Every runner that was ever served here."""

    async def save_runners(
        self, runners: Sequence[KnownRunner], *, over: Sequence[KnownRunner] | None = None
    ) -> bool:
        """Make these the known runners, all or none; with `over` only where those are still the known ones.

        Returns whether it was done: another process may have been faster.
        """


class NoticeStore(Protocol):
    """What receivers of notices have been told, and what is on its way to them."""

    async def notices(self) -> Mapping[str, KeptNotices]:
        """All that is kept, by receiver."""

    async def keep_notices(self, receiver: str, book: str, added: Mapping[str, str]) -> None:
        """Write a receiver's present book and more documents, both or none."""

    async def delivered(self, receiver: str, number: str) -> None:
        """Remove a document, an absent one too."""

    async def forget_receivers(self, receivers: Collection[str]) -> None:
        """Of these receivers nothing is left."""


class AuditStore(Protocol):
    """What the audit of acquisitions has begun to put right at a coordinator."""

    async def owed(self, runner: str) -> str:
        """What it wrote of the runner (its short token) last; empty where it never did."""

    async def keep_owed(self, runner: str, text: str) -> None:
        """Write that."""


class LeaseStore(Protocol):
    """Who of several processes holds which sections. One object is one process: it has a holder id.

    Whatever is written of a job carries the epoch under which this process came to hold the job's section.
    """

    @property
    def holder(self) -> str:
        """Of this life of this process alone."""

    async def tend(self, tending: Tending) -> Tenancy:
        """Renew all that this process holds, in one transaction with what else it asks for.

        A lease that has run out is renewed, too, as long as nobody else has taken the section. Those who
        wait are woken when something was released.
        """

    async def confirm(self, runner: str) -> None:
        """Raises `StaleLeaseError` unless this process still holds the section at this moment."""

    async def jobs_of(self, runners: Collection[str]) -> Sequence[TrackedJob]:
        """The records of some sections, in the order of acquisition."""

    async def job_counts(self) -> Mapping[str, int]:
        """How many records each section has, where it has any."""

    async def leave(self) -> None:
        """Release everything and be a member no longer; those who wait are woken."""

    async def tell(self, word: Word) -> None:
        """Tell all other processes, as far as they listen at this moment."""

    def told(self) -> AsyncIterator[Word]:
        """What others tell from now on; an outage may swallow something, and CHANGED follows it."""

    async def system_id(self, otherwise: str) -> str:
        """The id by which coordinators know this service, kept for ever: `otherwise` if there is none yet."""


class Store(JobStore, LedgerStore, RunnerStore, NoticeStore, AuditStore, Protocol):
    """All of one process's records."""

    @property
    def leases(self) -> LeaseStore | None:
        """None where no other process can share the store."""

    async def aclose(self) -> None:
        """Finish what was asked for and let go of the files."""
