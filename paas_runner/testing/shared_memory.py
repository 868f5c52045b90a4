"""Several processes on one store in memory, for simulations: leases by one clock, words that arrive at once.

Each process has a `SharedMemoryStore` of its own on the same `MemoryStore`, its disk, and the same
`LeaseTable`. The contract is that of `paas_runner.store.LeaseStore` (`tests/store/test_leases.py`).
"""

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from paas_runner.job.lease import LEASE_SECONDS, Allotment, Lease, Member, Tenancy, Tending, Word
from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.store import StaleLeaseError
from paas_runner.testing.memory_store import MemoryStore

T = TypeVar("T")


@attrs.define
class _Row:
    """A lease as it is kept: moments by the table's clock."""

    runner: str
    holder: str = ""
    epoch: int = 0
    until: float = 0.0
    since: float = 0.0
    arrivals: int = 0

    def is_free(self, now: float) -> bool:
        return not self.holder or self.until <= now


@attrs.define
class _Present:
    """A member as it is kept."""

    said: Tending
    allotment: Allotment
    until: float
    since: float


class LeaseTable:
    """What all processes share beside the records."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` counts seconds; it is the only one that counts."""
        self.clock = clock
        self.rows: dict[str, _Row] = {}
        self.present: dict[str, _Present] = {}
        self.listeners: dict[str, asyncio.Queue[Word]] = {}
        self.system_id = ""
        self.holders = 0

    def tend(self, holder: str, asked: Tending) -> Tenancy:
        """Renew, release, take, allot: in that order, and whole."""
        now = self.clock()
        for runner in sorted(asked.serves | asked.take):
            self.rows.setdefault(runner, _Row(runner))
        before = self.rows_of(holder)
        for runner, row in before.items():
            if runner in asked.release:
                row.holder = ""
            else:
                row.until = now + LEASE_SECONDS
        for runner in sorted(asked.take - before.keys()):
            row = self.rows[runner]
            if row.is_free(now):
                row.holder, row.epoch, row.until, row.since = holder, row.epoch + 1, now + LEASE_SECONDS, now
        others = sum(
            (
                each.allotment
                for name, each in self.present.items()
                if name != holder and self._uses(name, asked.serves)
            ),
            Allotment(),
        )
        known = self.present.get(holder)
        self.present[holder] = _Present(
            said=asked,
            allotment=asked.wanted.at_most(asked.total.without(others)).at_least(asked.least),
            until=now + LEASE_SECONDS,
            since=known.since if known else now,
        )
        if asked.release & before.keys() or known is None:
            self.tell(holder, Word.CHANGED)
        self.present = {name: each for name, each in self.present.items() if self._counts(name)}
        return self.tenancy()

    def _counts(self, holder: str) -> bool:
        """Present, or not all of what it held was taken by others."""
        return self.present[holder].until > self.clock() or bool(self.rows_of(holder))

    def _uses(self, holder: str, serves: frozenset[str]) -> bool:
        """Present, or somebody who is will take over what it had; `serves` is of the one who asks."""
        now = self.clock()
        alive = [each.said.serves for each in self.present.values() if each.until > now]
        awaited = self.rows_of(holder).keys() & serves.union(*alive)
        return self.present[holder].until > now or bool(awaited)

    def rows_of(self, holder: str) -> dict[str, _Row]:
        return {runner: row for runner, row in self.rows.items() if row.holder == holder}

    def tenancy(self) -> Tenancy:
        now = self.clock()
        return Tenancy(
            leases={
                row.runner: Lease(
                    runner=row.runner,
                    holder=row.holder,
                    epoch=row.epoch,
                    seconds_left=row.until - now,
                    held_seconds=now - row.since,
                    arrivals=row.arrivals,
                )
                for row in self.rows.values()
            },
            members={
                holder: Member(
                    holder=holder,
                    name=each.said.name,
                    version=each.said.version,
                    mode=each.said.mode,
                    serves=each.said.serves,
                    allotment=each.allotment,
                    seconds_left=each.until - now,
                    present_seconds=now - each.since,
                )
                for holder, each in self.present.items()
            },
        )

    def holds(self, holder: str, runner: str, epoch: int | None) -> bool:
        """Whether it is still that tenure of that process."""
        row = self.rows.get(runner)
        return row is not None and (row.holder, row.epoch) == (holder, epoch)

    def arrived(self, holder: str, runner: str) -> None:
        """`holder`, who has not the section, has recorded a job for it."""
        self.rows.setdefault(runner, _Row(runner)).arrivals += 1
        self.tell(holder, Word.ARRIVED)

    def leave(self, holder: str) -> None:
        for row in self.rows_of(holder).values():
            row.holder = ""
        self.present.pop(holder, None)
        self.listeners.pop(holder, None)
        self.tell(holder, Word.CHANGED)

    def tell(self, holder: str, word: Word) -> None:
        for name, listener in self.listeners.items():
            if name != holder:
                listener.put_nowait(word)


class SharedMemoryStore:
    """`paas_runner.store.Store` and `LeaseStore` of one process.

    Each request carries the epochs as they are known here when it is made. A simulation puts a network
    between the process and what is shared, in `_asked`.
    """

    def __init__(self, disk: MemoryStore, table: LeaseTable) -> None:
        self._disk = disk
        self._table = table
        table.holders += 1
        self.holder = f"process {table.holders}"
        self.leases = self
        self._epochs: dict[str, int] = {}
        table.listeners[self.holder] = asyncio.Queue()

    async def _asked(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work`, which waits for nothing, does with all that is shared: one transaction."""
        return await work()

    def __getattr__(self, name: str) -> Any:
        """What has nothing to do with sections goes straight to the disk."""
        there = getattr(self._disk, name)
        if not inspect.iscoroutinefunction(there):
            return there

        async def asked(*arguments: Any, **more: Any) -> Any:
            return await self._asked(lambda: there(*arguments, **more))

        return asked

    async def aclose(self) -> None:
        """What is shared stays, and nobody is asked."""

    # --- records -----------------------------------------------------------------------------------------

    async def add(self, job: TrackedJob) -> bool:
        epoch = self._epochs.get(job.key.runner)

        async def added() -> bool:
            await self._disk.add(job)
            if self._table.holds(self.holder, job.key.runner, epoch):
                return True
            self._table.arrived(self.holder, job.key.runner)
            return False

        return await self._asked(added)

    async def save(self, job: TrackedJob) -> None:
        await self._fenced(job.key.runner, lambda: self._disk.save(job))

    async def hand_on(self, giver: TrackedJob, taker: TrackedJob) -> None:
        if giver.key.runner != taker.key.runner:
            raise ValueError(f"jobs {giver.key} and {taker.key} are not of one section")
        await self._fenced(taker.key.runner, lambda: self._disk.hand_on(giver, taker))

    async def forget(self, key: JobKey, *, ended: bool, history: Sequence[Entry] = ()) -> None:
        await self._fenced(key.runner, lambda: self._disk.forget(key, ended=ended, history=history))

    async def merge(self, jobs: Sequence[TrackedJob], *, source: str) -> bool:
        epochs = dict(self._epochs)

        async def merged() -> bool:
            known = {job.key for job in await self._disk.jobs()}
            new = [job for job in jobs if job.key not in known]
            if not await self._disk.merge(new, source=source):
                return False
            for runner in sorted({job.key.runner for job in new}):
                if not self._table.holds(self.holder, runner, epochs.get(runner)):
                    self._table.arrived(self.holder, runner)
            return True

        return await self._asked(merged)

    async def jobs_of(self, runners: Collection[str]) -> Sequence[TrackedJob]:
        wanted = frozenset(runners)

        async def found() -> Sequence[TrackedJob]:
            return [job for job in await self._disk.jobs() if job.key.runner in wanted]

        return await self._asked(found)

    async def _fenced(self, runner: str, work: Callable[[], Awaitable[None]]) -> None:
        epoch = self._epochs.get(runner)

        async def done() -> None:
            if not self._table.holds(self.holder, runner, epoch):
                raise StaleLeaseError(f"runner {runner}: another process holds it")
            await work()

        await self._asked(done)

    async def job_counts(self) -> Mapping[str, int]:
        async def counted() -> Mapping[str, int]:
            return Counter(job.key.runner for job in await self._disk.jobs() if not job.on_standby)

        return await self._asked(counted)

    # --- leases ------------------------------------------------------------------------------------------

    async def tend(self, tending: Tending) -> Tenancy:
        async def tended() -> Tenancy:
            return self._table.tend(self.holder, tending)

        tenancy = await self._asked(tended)
        self._epochs = {
            runner: lease.epoch for runner, lease in tenancy.leases.items() if lease.holder == self.holder
        }
        return tenancy

    async def confirm(self, runner: str) -> None:
        async def confirmed() -> None:
            return None

        await self._fenced(runner, confirmed)

    async def leave(self) -> None:
        async def left() -> None:
            self._table.leave(self.holder)

        await self._asked(left)

    async def tell(self, word: Word) -> None:
        async def told() -> None:
            self._table.tell(self.holder, word)

        await self._asked(told)

    async def told(self) -> AsyncIterator[Word]:
        listener = self._table.listeners.setdefault(self.holder, asyncio.Queue())
        while True:
            yield await listener.get()

    async def system_id(self, otherwise: str) -> str:
        async def settled() -> str:
            self._table.system_id = self._table.system_id or otherwise
            return self._table.system_id

        return await self._asked(settled)
