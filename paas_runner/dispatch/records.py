"""The records of jobs and what their hosts have cost, on the way to the disk.

What must be on the disk before we go on, and what may follow later: `Records` alone decides that. A charge is
in the store's ledger before the record of its job may lose the host: killed in between, the next start finds
the host gone once more, and the ledger keeps the first end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import TypeAlias

import structlog

from paas_runner.dispatch.counters import Costs
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.standing import Place, Standing
from paas_runner.dispatch.tenure import SOLE, Tenure
from paas_runner.dispatch.view import Observer
from paas_runner.job.cost import Charge
from paas_runner.job.room import Room
from paas_runner.job.tracked import JobKey, TrackedJob
from paas_runner.loop.timing import sleep_until_stopped
from paas_runner.store import JobStore, LedgerStore, StaleLeaseError, StoreError

log = structlog.stdlib.get_logger(__name__)

Write: TypeAlias = Callable[[], Awaitable[None]]

AGAIN_AFTER_SECONDS = 5.0
_MOST_DAYS = 36_500  # a hundred years: what is more is more than a date can hold


class Records:
    """The store and the registry, always written together: memory is never behind the disk."""

    def __init__(
        self,
        store: JobStore,
        registry: Registry,
        ledger: "Ledger",
        stopping: asyncio.Event,
        *,
        observer: Observer | None = None,
        tenure: Tenure = SOLE,
    ) -> None:
        """A broken store is tried again until `stopping`; `tenure` hears of a record that is not ours."""
        self._observer = observer or Observer()
        self._tenure = tenure
        self._store = store
        self._ledger = ledger
        self._registry = registry
        self._stopping = stopping
        self._refused: dict[JobKey, str] = {}
        self._unrecorded: list[TrackedJob] = []
        self._adding: dict[asyncio.Task[bool], TrackedJob] = {}
        self._removing: set[JobKey] = set()

    @property
    def refused(self) -> Mapping[JobKey, str]:
        """The jobs that wait for a record which the disk refuses, and why it does."""
        return dict(self._refused)

    @property
    def unrecorded(self) -> Sequence[TrackedJob]:
        """The jobs that are on no disk, because a shutdown came before their first record."""
        return [*self._unrecorded, *self._adding.values()]

    @property
    def known(self) -> frozenset[JobKey]:
        """The jobs that are cared for, and those that are over while their record goes off the disk."""
        return frozenset(self._removing.union(job.key for job in self._registry.jobs))

    def room(self, job: TrackedJob) -> Room:
        """What a job finds for its host."""
        return self._registry.room(job)

    def why_it_waits(self, job: TrackedJob) -> str:
        """For room; empty when it does not."""
        return self._registry.load.why_it_waits(job)

    def waiting_for_room(self, job: TrackedJob) -> AbstractContextManager[asyncio.Event]:
        """Inside, the event is set as soon as the job need not wait for room any longer."""
        return self._registry.waiting_for_room(job)

    async def add(self, job: TrackedJob) -> bool:
        """The first record of a job, trying until it is on the disk; False when it is not ours to go on with.

        A shutdown came first; or another process has the section by now, and finds the record there. It is
        gone on with where the caller is cut off, as when the section is lost: nobody else knows of the job.
        """
        self._registry.put(job)
        try:
            return await self._added(job)
        except asyncio.CancelledError:
            adding = asyncio.create_task(self._added(job), name=f"first record of job {job.key}")
            self._adding[adding] = job
            adding.add_done_callback(self._adding.pop)
            raise

    async def settle(self) -> None:
        """Wait for the first records whose writers were cut off."""
        while self._adding:
            await asyncio.wait(self._adding)

    async def _added(self, job: TrackedJob) -> bool:
        ours = False

        async def write() -> None:
            nonlocal ours
            ours = await self._store.add(job)

        if not await self._insisted(job, write):
            self._unrecorded.append(job)
            return False
        if not ours:
            log.warning("job_left_to_holder", job=job.key.job_id)
            self._registry.discard(job)
            self._observer.left(job.key.runner, [job])
            self._tenure.lost(job.key.runner)
        return ours

    @property
    def standing(self) -> Standing:
        """The hosts on standby."""
        return self._registry.standing

    def stand_by(self, job: TrackedJob) -> Place | None:
        """The place of a host on standby, for others to look at from now on; None once it is taken."""
        return self._registry.open_place(job)

    def make_room(self, job: TrackedJob) -> None:
        """Let hosts on standby go, as far as that makes room for the job that waits for it."""
        self._registry.make_room(job)

    def may_reuse(self, job: TrackedJob, weight: float) -> bool:
        """Whether a job may take a host on standby that weighs so much."""
        return self._registry.may_reuse(job, weight)

    async def hand_on(self, giver: TrackedJob, taker: TrackedJob) -> bool:
        """Both records in one: `taker` has the giver's host, the giver is gone; False when a shutdown came.

        Raises `StaleLeaseError`.
        """

        async def write() -> None:
            await self._ledger.write(giver.key)
            await self._store.hand_on(giver, taker)

        if not await self._insisted(taker, write):
            return False
        self._registry.put(taker)
        self._registry.remove(giver.key)
        return True

    async def save_intent(self, job: TrackedJob) -> bool:
        """Record, trying until it is on the disk; False when a shutdown came first.

        For what must not be done unrecorded: to touch the outside world. Raises `StaleLeaseError`.
        """
        self._registry.put(job)
        return await self._insisted(job, lambda: self._store.save(job))

    async def save(self, job: TrackedJob) -> None:
        """Record what happened; if the disk refuses, the next record of this job has all of it.

        Raises `StaleLeaseError`.
        """
        self._registry.put(job)
        await self._refusal(job, lambda: self._store.save(job))

    def keep_in_memory(self, job: TrackedJob) -> None:
        """What happened is worth no write: a restart would miss nothing of it."""
        self._registry.put(job)

    def charge(self, charge: Charge) -> None:
        """A host is gone: the ledger has it before the job's next record is written, or its last removed."""
        self._ledger.add(charge)

    async def remove(self, job: TrackedJob) -> None:
        """The job is gone; while the disk refuses it takes no place, and a start would find it gone again.

        Raises `StaleLeaseError`.
        """
        self._registry.remove(job.key)
        self._removing.add(job.key)
        try:
            while not await self._removed(job) and not self._stopping.is_set():
                await sleep_until_stopped(AGAIN_AFTER_SECONDS, self._stopping)
        finally:
            self._removing.discard(job.key)

    def leave(self, runner: str) -> None:
        """The jobs of a section are another's from now on: memory forgets them, the disk does not."""
        left = [job for job in self._registry.jobs if job.key.runner == runner]
        for job in left:
            self._registry.remove(job.key)
        self._ledger.drop(runner)
        self._observer.left(runner, left)

    async def _removed(self, job: TrackedJob) -> bool:
        try:
            with self._timed():
                await self._ledger.write(job.key)
                ended = job.acknowledged  # else another runner may get it
                await self._store.forget(job.key, ended=ended, history=job.history)
        except StaleLeaseError:
            self._tenure.lost(job.key.runner)
            raise
        except StoreError as error:
            log.error("record_not_removed", reason=str(error))
            return False
        return True

    async def _insisted(self, job: TrackedJob, write: Write) -> bool:
        """Whether it is on the disk: as often as that takes, and no longer than until a shutdown."""
        try:
            while refusal := await self._refusal(job, write):
                self._refused[job.key] = refusal
                if self._stopping.is_set():
                    return False
                await sleep_until_stopped(AGAIN_AFTER_SECONDS, self._stopping)
        finally:
            self._refused.pop(job.key, None)
        return True

    async def _refusal(self, job: TrackedJob, write: Write) -> str:
        """Write the record; why that did not work, empty if it did."""
        try:
            with self._timed():
                await self._ledger.write(job.key)
                await write()
        except StaleLeaseError:
            self._tenure.lost(job.key.runner)
            raise
        except StoreError as error:
            log.error("record_not_written", reason=str(error))
            return str(error)
        return ""

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Whoever watches learns how long the disk took; a shutdown that cuts it off counts nothing."""
        now = asyncio.get_running_loop().time
        began = now()
        try:
            yield
        except StaleLeaseError:  # no fault of the disk
            raise
        except StoreError:
            self._observer.record_written(now() - began, refused=True)
            raise
        self._observer.record_written(now() - began, refused=False)


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

    def drop(self, runner: str) -> None:
        """Whoever has the runner's section now finds the hosts gone once more, and charges for them."""
        self._pending = [charge for charge in self._pending if charge.key.runner != runner]

    async def write(self, key: JobKey) -> None:
        """Everything that is pending for a job; raises `StoreError`, and then it stays pending."""
        for charge in [pending for pending in self._pending if pending.key == key]:
            if await self._store.charge(charge, keep_from=charge.until - self._keep):
                self._costs.count(charge)
            self._pending.remove(charge)
