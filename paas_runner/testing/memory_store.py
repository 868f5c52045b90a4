"""A store whose disk is a dictionary: outlives the service that a test crashes, needs no thread.

It fulfils the contract that the store on SQLite fulfils (`tests/store/test_store.py` is run on both), and is
used in one event loop. Its limits: nothing survives the process, nothing is ever refused, what the other one
forgets after some thousands of jobs it keeps, and every object has the same installation unless told.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.notice import KeptNotices
from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.store import LeaseStore


class MemoryStore:
    """`paas_runner.store.Store`; to play a crash give the same object to the next service."""

    leases: LeaseStore | None = None

    def __init__(self) -> None:
        self._jobs: dict[JobKey, TrackedJob] = {}
        self._ended: set[JobKey] = set()
        self.histories: dict[JobKey, Sequence[Entry]] = {}
        """What is remembered of jobs that are gone, for a test to look at."""
        self._source: str | None = None
        self._installation = ""
        self._charges: dict[tuple[JobKey, str], Charge] = {}
        self._runners: Sequence[KnownRunner] = ()
        self._notices: dict[str, KeptNotices] = {}
        self._owed: dict[str, str] = {}

    async def jobs(self) -> Sequence[TrackedJob]:
        return sorted(self._jobs.values(), key=lambda job: (job.acquired_at, job.key.job_id))

    async def add(self, job: TrackedJob) -> bool:
        if job.key not in self._jobs:
            await self.save(job)
        return True

    async def save(self, job: TrackedJob) -> None:
        self._jobs[job.key] = job

    async def hand_on(self, giver: TrackedJob, taker: TrackedJob) -> None:
        self._jobs[taker.key] = taker
        await self.forget(giver.key, ended=giver.acknowledged, history=giver.history)

    async def forget(self, key: JobKey, *, ended: bool, history: Sequence[Entry] = ()) -> None:
        self._jobs.pop(key, None)
        if history:
            self.histories[key] = history
        if ended:
            self._ended.add(key)

    async def tenants(self, runner: str) -> frozenset[str]:
        present = {job.tenant for job in self._jobs.values() if job.key.runner == runner}
        past = {charge.tenant for charge in self._charges.values() if charge.key.runner == runner}
        return frozenset(present | past)

    async def charge(self, charge: Charge, *, keep_from: datetime) -> bool:
        new = self._charges.setdefault((charge.key, charge.host), charge) is charge
        self._charges = {key: kept for key, kept in self._charges.items() if kept.until >= keep_from}
        return new

    async def spent(self, since: datetime) -> Mapping[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = {}
        for charge in self._charges.values():
            part = charge.within(since, charge.until + timedelta(microseconds=1))
            if part and part.cost is not None:
                payer = (charge.key.runner, charge.tenant)
                found[payer] = found.get(payer, 0.0) + part.cost
        return found

    async def notices(self) -> Mapping[str, KeptNotices]:
        return dict(self._notices)

    async def keep_notices(self, receiver: str, book: str, added: Mapping[str, str]) -> None:
        before = self._notices.get(receiver, KeptNotices()).pending
        pending = dict(sorted([*before.items(), *added.items()]))
        self._notices[receiver] = KeptNotices(book=book, pending=pending)

    async def delivered(self, receiver: str, number: str) -> None:
        if kept := self._notices.get(receiver):
            left = {key: document for key, document in kept.pending.items() if key != number}
            self._notices[receiver] = KeptNotices(book=kept.book, pending=left)

    async def forget_receivers(self, receivers: Collection[str]) -> None:
        self._notices = {name: kept for name, kept in self._notices.items() if name not in receivers}

    @property
    def charges(self) -> Sequence[Charge]:
        """The ledger, for a test to look at."""
        return sorted(self._charges.values(), key=lambda charge: charge.since)

    async def ended(self) -> frozenset[JobKey]:
        return frozenset(self._ended)

    async def merge(self, jobs: Sequence[TrackedJob], *, source: str) -> bool:
        if source == self._source:
            return False
        self._jobs |= {job.key: job for job in jobs}
        self._source = source
        return True

    async def installation(self, *, otherwise: str = "") -> str:
        self._installation = self._installation or otherwise or "installation-in-memory"
        return self._installation

    async def save_installation(self, installation: str) -> None:
        self._installation = installation

    async def runners(self) -> Sequence[KnownRunner]:
        return self._runners

    async def save_runners(
        self, runners: Sequence[KnownRunner], *, over: Sequence[KnownRunner] | None = None
    ) -> bool:
        if over is not None and list(over) != list(self._runners):
            return False
        self._runners = tuple(runners)
        return True

    async def owed(self, runner: str) -> str:
        return self._owed.get(runner, "")

    async def keep_owed(self, runner: str, text: str) -> None:
        self._owed[runner] = text

    async def aclose(self) -> None:
        return None
