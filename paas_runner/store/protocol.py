"""What the service needs of a store."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from paas_runner.errors import Exit, RunnerError
from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.tracked import Entry, JobKey, TrackedJob

REMEMBERED_JOBS = 10_000
"""Of how many jobs a store remembers that they are over."""

REMEMBERED_HISTORIES = 2_000
"""Of how many jobs that are gone a store remembers the history."""


class StoreError(RunnerError):
    """The records cannot be read or written: the text says which file and why."""

    exit_code = Exit.STATE


class Store(Protocol):
    """One process's records; whatever a method has returned from survives the process and the power."""

    async def jobs(self) -> Sequence[TrackedJob]:
        """All records, in the order of acquisition; raises `StoreError`."""

    async def save(self, job: TrackedJob) -> None:
        """Write one record, over its older self if there is one; raises `StoreError`."""

    async def forget(self, key: JobKey, *, ended: bool, history: Sequence[Entry] = ()) -> None:
        """Remove one record, an absent one too; `ended` and `history` are remembered of the job.

        Raises `StoreError`.
        """

    async def ended(self) -> frozenset[JobKey]:
        """The last `REMEMBERED_JOBS` of which that is remembered; raises `StoreError`."""

    async def tenants(self, runner: str) -> frozenset[str]:
        """Everybody known to have paid for hosts of a runner (its short token); raises `StoreError`."""

    async def charge(self, charge: Charge, *, keep_from: datetime) -> bool:
        """Enter a charge into the ledger, unless one of its job and host is there: the first one stays.

        Charges that ended before `keep_from` may go. Returns whether it is new; raises `StoreError`.
        """

    async def replace(self, jobs: Sequence[TrackedJob], *, source: str) -> bool:
        """Make `jobs` the only records, all or none, unless the same `source` was the last one to do so.

        Returns whether it was done; raises `StoreError`.
        """

    async def installation(self) -> str:
        """The id of this installation: made once, kept for ever; raises `StoreError`."""

    async def runners(self) -> Sequence[KnownRunner]:
        """Every runner that was ever served here; raises `StoreError`."""

    async def save_runners(self, runners: Sequence[KnownRunner]) -> None:
        """Make these the known runners, all or none; raises `StoreError`."""

    async def aclose(self) -> None:
        """Finish what was asked for and let go of the files."""
