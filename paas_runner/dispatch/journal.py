"""Writing records: what must be on the disk before we go on, and what may follow later."""

import asyncio

import structlog

from paas_runner.dispatch.ledger import Ledger
from paas_runner.dispatch.roster import Roster
from paas_runner.dispatch.timing import nap
from paas_runner.job.cost import Charge
from paas_runner.job.tracked import TrackedJob
from paas_runner.store import Store, StoreError

log = structlog.stdlib.get_logger(__name__)

AGAIN_AFTER_SECONDS = 5.0


class Journal:
    """The store and the roster, always told together: memory is never behind the disk."""

    def __init__(self, store: Store, roster: Roster, ledger: Ledger, stopping: asyncio.Event) -> None:
        """Write to `store`; give up waiting for a broken one when `stopping`."""
        self._store = store
        self._ledger = ledger
        self._roster = roster
        self._stopping = stopping

    async def must(self, job: TrackedJob) -> bool:
        """Record, trying until it is on the disk; False when a shutdown came first.

        For what must not be done unrecorded: to hold a new job, to touch the outside world.
        """
        self._roster.put(job)
        while not await self._written(job):
            if self._stopping.is_set():
                return False
            await nap(AGAIN_AFTER_SECONDS, self._stopping)
        return True

    async def note(self, job: TrackedJob) -> None:
        """Record what happened; if the disk refuses, the next record of this job will tell all of it."""
        self._roster.put(job)
        await self._written(job)

    def mention(self, job: TrackedJob) -> None:
        """What happened is worth no write: a restart would miss nothing of it."""
        self._roster.refresh(job)

    def owe(self, charge: Charge) -> None:
        """A host is gone: the ledger has it before the job's next record is written, or its last removed."""
        self._ledger.owe(charge)

    async def forget(self, job: TrackedJob) -> None:
        """The job is gone; while the disk refuses it takes no place, and a start would find it gone again."""
        self._roster.remove(job.key)
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
