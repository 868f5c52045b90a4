"""What the service needs of a store, subject by subject: a reader asks for the subject that it reads.

Whatever a method has returned from survives the process and the power. Every method raises `StoreError`.
`tests/store/test_store.py` is the contract of all stores.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.tracked import Entry, JobKey, TrackedJob

REMEMBERED_JOBS = 10_000
"""Of how many jobs a store remembers that they are over."""

REMEMBERED_HISTORIES = 2_000
"""Of how many jobs that are gone a store remembers the history."""


class JobStore(Protocol):
    """The records of the tracked jobs, and what is remembered of those that are gone."""

    async def jobs(self) -> Sequence[TrackedJob]:
        """All records, in the order of acquisition."""

    async def save(self, job: TrackedJob) -> None:
        """Write one record, over its older self if there is one."""

    async def forget(self, key: JobKey, *, ended: bool, history: Sequence[Entry] = ()) -> None:
        """Remove one record, an absent one too; `ended` and `history` are remembered of the job."""

    async def ended(self) -> frozenset[JobKey]:
        """The last `REMEMBERED_JOBS` of which that is remembered."""

    async def merge(self, jobs: Sequence[TrackedJob], *, source: str) -> bool:
        """Write `jobs` beside the other records, all or none, unless the same `source` was the last one.

        Returns whether it was done.
        """


class LedgerStore(Protocol):
    """What hosts that are gone have cost, and who paid."""

    async def charge(self, charge: Charge, *, keep_from: datetime) -> bool:
        """Enter a charge into the ledger, unless one of its job and host is there: the first one stays.

        Charges that ended before `keep_from` may go. Returns whether it is new.
        """

    async def tenants(self, runner: str) -> frozenset[str]:
        """All who paid for hosts of a runner (its short token), as far as ledger and records know."""


class RunnerStore(Protocol):
    """What is known of this installation and of the runners that it has served."""

    async def installation(self, *, otherwise: str = "") -> str:
        """The id of this installation, kept for ever once it is there: `otherwise`, else one that is made."""

    async def save_installation(self, installation: str) -> None:
        """Make this the id, as the operator wants it."""

    async def runners(self) -> Sequence[KnownRunner]:
        """Every runner that was ever served here."""

    async def save_runners(self, runners: Sequence[KnownRunner]) -> None:
        """Make these the known runners, all or none."""


class Store(JobStore, LedgerStore, RunnerStore, Protocol):
    """All of one process's records."""

    async def aclose(self) -> None:
        """Finish what was asked for and let go of the files."""
