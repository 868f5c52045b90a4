"""The records of jobs and what their hosts have cost, on the way to the disk.

What must be on the disk before we go on, and what may follow later: `Records` alone decides that. A charge is
in the store's ledger before the record of its job may lose the host: killed in between, the next start finds
the host gone once more, and the ledger keeps the first end.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta

import structlog

from paas_runner.dispatch.counters import Costs
from paas_runner.dispatch.registry import Registry
from paas_runner.job.cost import Charge
from paas_runner.job.room import Room
from paas_runner.job.tracked import JobKey, Phase, TrackedJob
from paas_runner.loop.timing import sleep_until_stopped
from paas_runner.store import JobStore, LedgerStore, StoreError

log = structlog.stdlib.get_logger(__name__)

AGAIN_AFTER_SECONDS = 5.0
_MOST_DAYS = 36_500  # a hundred years: what is more is more than a date can hold


class Records:
    """The store and the registry, always written together: memory is never behind the disk."""

    def __init__(
        self, store: JobStore, registry: Registry, ledger: "Ledger", stopping: asyncio.Event
    ) -> None:
        """A broken store is tried again until `stopping`."""
        self._store = store
        self._ledger = ledger
        self._registry = registry
        self._stopping = stopping
        self._refused: dict[JobKey, str] = {}
        self._unrecorded: list[TrackedJob] = []

    @property
    def refused(self) -> Mapping[JobKey, str]:
        """The jobs that wait for a record which the disk refuses, and why it does."""
        return dict(self._refused)

    @property
    def unrecorded(self) -> Sequence[TrackedJob]:
        """The jobs that are on no disk, because a shutdown came before their first record."""
        return list(self._unrecorded)

    def room(self, job: TrackedJob) -> Room:
        """What a job finds for its host."""
        return self._registry.room(job)

    def why_it_waits(self, job: TrackedJob) -> str:
        """For room; empty when it does not."""
        return self._registry.load.why_it_waits(job)

    def waiting_for_room(self, job: TrackedJob) -> AbstractContextManager[asyncio.Event]:
        """Inside, the event is set as soon as the job need not wait for room any longer."""
        return self._registry.waiting_for_room(job)

    async def save_intent(self, job: TrackedJob) -> bool:
        """Record, trying until it is on the disk; False when a shutdown came first.

        For what must not be done unrecorded: to hold a new job, to touch the outside world.
        """
        self._registry.put(job)
        try:
            while refusal := await self._refusal(job):
                self._refused[job.key] = refusal
                if self._stopping.is_set():
                    if job.phase is Phase.ACQUIRED:
                        self._unrecorded.append(job)
                    return False
                await sleep_until_stopped(AGAIN_AFTER_SECONDS, self._stopping)
        finally:
            self._refused.pop(job.key, None)
        return True

    async def save(self, job: TrackedJob) -> None:
        """Record what happened; if the disk refuses, the next record of this job has all of it."""
        self._registry.put(job)
        await self._refusal(job)

    def keep_in_memory(self, job: TrackedJob) -> None:
        """What happened is worth no write: a restart would miss nothing of it."""
        self._registry.put(job)

    def charge(self, charge: Charge) -> None:
        """A host is gone: the ledger has it before the job's next record is written, or its last removed."""
        self._ledger.add(charge)

    async def remove(self, job: TrackedJob) -> None:
        """The job is gone; while the disk refuses it takes no place, and a start would find it gone again."""
        self._registry.remove(job.key)
        while not await self._removed(job) and not self._stopping.is_set():
            await sleep_until_stopped(AGAIN_AFTER_SECONDS, self._stopping)

    async def _removed(self, job: TrackedJob) -> bool:
        try:
            await self._ledger.write(job.key)
            ended = job.acknowledged  # else another runner may get it
            await self._store.forget(job.key, ended=ended, history=job.history)
        except StoreError as error:
            log.error("record_not_removed", reason=str(error))
            return False
        return True

    async def _refusal(self, job: TrackedJob) -> str:
        """Write the record; why that did not work, empty if it did."""
        try:
            await self._ledger.write(job.key)
            await self._store.save(job)
        except StoreError as error:
            log.error("record_not_written", reason=str(error))
            return str(error)
        return ""


class Ledger:
    """Complete charges on their way to the store's ledger, each kept here until it is there."""

    def __init__(self, store: LedgerStore, costs: Costs, *, keep_days: int) -> None:
        """What has reached `store` is counted in `costs`."""
        self._store = store
        self._costs = costs
        self._keep = timedelta(days=min(keep_days, _MOST_DAYS))
        self._pending: list[Charge] = []

    def add(self, charge: Charge) -> None:
        self._pending.append(charge)

    async def write(self, key: JobKey) -> None:
        """Everything that is pending for a job; raises `StoreError`, and then it stays pending."""
        for charge in [pending for pending in self._pending if pending.key == key]:
            if await self._store.charge(charge, keep_from=charge.until - self._keep):
                self._costs.count(charge)
            self._pending.remove(charge)
