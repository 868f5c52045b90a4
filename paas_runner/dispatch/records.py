"""Writing records: what must be on the disk before we go on, and what may follow later.

What hosts have cost on its way to the disk.

A charge is in the store's ledger before the record of its job may forget the host: killed in between, the
next start finds the host gone once more, and the ledger keeps the first end.

What the hosts that went since the start of the process have cost, for each tenant.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import structlog

from paas_runner.dispatch.registry import Registry
from paas_runner.job.cost import Charge, Total
from paas_runner.job.tracked import JobKey, TrackedJob
from paas_runner.loop.timing import nap
from paas_runner.store import Store, StoreError

log = structlog.stdlib.get_logger(__name__)


_MOST_DAYS = 36_500  # a hundred years: what is more is more than a date can tell


class Costs:
    """Numbers that only grow; each host counts once, when it is in the ledger."""

    def __init__(self) -> None:
        """No host has gone yet."""
        self._by_tenant: dict[str, Total] = {}

    def count(self, charge: Charge) -> None:
        """One more host has gone."""
        self._by_tenant[charge.tenant] = self._by_tenant.get(charge.tenant, Total()).plus(charge)

    @property
    def by_tenant(self) -> Mapping[str, Total]:
        """Jobs, host time and estimated cost of everybody who paid for a host."""
        return dict(self._by_tenant)

    def tell(self) -> None:
        """One line for the log."""
        tenants = {tenant: figures(total) for tenant, total in sorted(self._by_tenant.items())}
        log.info("costs since the start", tenants=tenants)


class Ledger:
    """Complete charges, those that the disk does not have yet among them."""

    def __init__(self, store: Store, costs: Costs, *, keep_days: int) -> None:
        """Enter charges into `store` and, once they are there, count them in `costs`."""
        self._store = store
        self._costs = costs
        self._keep = timedelta(days=min(keep_days, _MOST_DAYS))
        self._owed: list[Charge] = []

    def owe(self, charge: Charge) -> None:
        """To be entered before the next record of its job."""
        self._owed.append(charge)

    async def settle(self, key: JobKey) -> None:
        """Enter what is owed for a job; raises `StoreError`, and then it is still owed."""
        for charge in [owed for owed in self._owed if owed.key == key]:
            if await self._store.charge(charge, keep_from=charge.until - self._keep):
                self._costs.count(charge)
            self._owed.remove(charge)


AGAIN_AFTER_SECONDS = 5.0


class Records:
    """The store and the roster, always told together: memory is never behind the disk."""

    def __init__(self, store: Store, registry: Registry, ledger: Ledger, stopping: asyncio.Event) -> None:
        """Write to `store`; give up waiting for a broken one when `stopping`."""
        self._store = store
        self._ledger = ledger
        self._registry = registry
        self._stopping = stopping

    async def must(self, job: TrackedJob) -> bool:
        """Record, trying until it is on the disk; False when a shutdown came first.

        For what must not be done unrecorded: to hold a new job, to touch the outside world.
        """
        self._registry.put(job)
        while not await self._written(job):
            if self._stopping.is_set():
                return False
            await nap(AGAIN_AFTER_SECONDS, self._stopping)
        return True

    async def note(self, job: TrackedJob) -> None:
        """Record what happened; if the disk refuses, the next record of this job will tell all of it."""
        self._registry.put(job)
        await self._written(job)

    def mention(self, job: TrackedJob) -> None:
        """What happened is worth no write: a restart would miss nothing of it."""
        self._registry.refresh(job)

    def owe(self, charge: Charge) -> None:
        """A host is gone: the ledger has it before the job's next record is written, or its last removed."""
        self._ledger.owe(charge)

    async def forget(self, job: TrackedJob) -> None:
        """The job is gone; while the disk refuses it takes no place, and a start would find it gone again."""
        self._registry.remove(job.key)
        while not await self._forgotten(job) and not self._stopping.is_set():
            await nap(AGAIN_AFTER_SECONDS, self._stopping)

    async def _forgotten(self, job: TrackedJob) -> bool:
        try:
            await self._ledger.settle(job.key)
            ended = job.acknowledged  # else somebody else may run it
            await self._store.forget(job.key, ended=ended, history=job.history)
        except StoreError as error:
            log.error("a finished job's record cannot be removed", reason=str(error))
            return False
        return True

    async def _written(self, job: TrackedJob) -> bool:
        try:
            await self._ledger.settle(job.key)
            await self._store.save(job)
        except StoreError as error:
            log.error("the job's record cannot be written: no new jobs until it can", reason=str(error))
            return False
        return True


def figures(what: Total | Charge) -> Mapping[str, int | float]:
    """As the log shows it: `host_seconds` and, if known, `estimated_cost`; of a total the `jobs`, too."""
    shown: dict[str, int | float] = {"jobs": what.jobs} if isinstance(what, Total) else {}
    shown["host_seconds"] = round(what.time.total_seconds(), 2)
    if what.cost is not None:
        shown["estimated_cost"] = round(what.cost, 6)
    return shown
