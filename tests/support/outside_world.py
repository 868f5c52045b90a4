"""The outside world of one runner as small working models that write all that happens into one journal.

The journal has the writes to the store beside the calls to executor and coordinator, in their order: it shows
what was on the disk when the world was touched.
"""

import asyncio
import contextlib
import random
from datetime import timedelta

from paas_runner.coordinator.protocol import JobAnswer, JobStatus, TraceState
from paas_runner.dispatch.acquisition import Acquisition
from paas_runner.dispatch.counters import Costs, Counters
from paas_runner.dispatch.intake import Intake
from paas_runner.dispatch.job_loop import JobLoop
from paas_runner.dispatch.look_budget import LookBudget
from paas_runner.dispatch.pace import Rhythm
from paas_runner.dispatch.records import Ledger, Records
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.dispatch.view import Observer
from paas_runner.errors import Rejected
from paas_runner.job.decision import Policy
from paas_runner.job.lifecycle import acquired, resumed
from paas_runner.job.limits import Limits
from paas_runner.job.tracked import Host, SeenHost
from paas_runner.store import StoreError
from paas_runner.testing.memory_store import MemoryStore
from paas_runner.testing.virtual_time import virtual_now
from tests.support.records import payload

RUNNER = "abc123xyz"
RHYTHM = Rhythm(
    longest_pause=timedelta(seconds=3),
    shortest_pause=timedelta(seconds=3),
    at_once=1,
    refusals_tolerated=3,
    longest_backoff=timedelta(minutes=1),
)


class CrashedError(BaseException):
    """The process ends here; no code of the service may catch it."""


class Journal:
    """All entries since the beginning of the world; each one may be the last of a process."""

    def __init__(self):
        self.entries = []
        self.crash_at = None

    def add(self, entry):
        self.entries.append(entry)
        if len(self.entries) == self.crash_at:
            raise CrashedError


class JournalStore(MemoryStore):
    """A disk that can refuse writes; an entry means that the write is on it."""

    def __init__(self, journal):
        super().__init__()
        self.journal = journal
        self.refusals = 0
        self.refuses = lambda _job: False

    def _write(self):
        if self.refusals:
            self.refusals -= 1
            self.journal.add("refused")
            raise StoreError("the disk is full")

    async def save(self, job):
        if self.refuses(job):
            self.journal.add("refused")
            raise StoreError("the disk is full")
        self._write()
        await super().save(job)
        self.journal.add(f"saved {job.phase}{' with its host' if job.host else ''}")

    async def charge(self, charge, *, keep_from):
        self._write()
        new = await super().charge(charge, keep_from=keep_from)
        self.journal.add("charged")
        return new

    async def forget(self, key, *, ended, history=()):
        self._write()
        await super().forget(key, ended=ended, history=history)
        self.journal.add("removed")

    @property
    def phases(self):
        return [str(job.phase) for job in self._jobs.values()]


class Side:
    """One side of the world: each call is in the journal, with the phase that the disk had for the job."""

    def __init__(self, journal, store):
        self.journal = journal
        self.store = store
        self.on_disk = {}
        self.failures = {}

    def _called(self, verb):
        self.on_disk.setdefault(verb, []).extend(self.store.phases or ["nothing"])
        self.journal.add(verb)
        if errors := self.failures.get(verb):
            raise errors.pop(0)


class HostsInMemory(Side):
    """An executor: hosts by name, with the number of launches of each."""

    ready_every, ready_within = timedelta(seconds=2), timedelta(seconds=20)

    def __init__(self, journal, store):
        super().__init__(journal, store)
        self.created = []
        self.alive = {}

    async def provision(self, request):
        self.created.append(request.host_name)
        self.alive[request.host_name] = 0
        try:
            self._called("provision")
        except Rejected:
            del self.alive[request.host_name]  # a refusal leaves nothing
            raise
        return Host(ref="app_1")

    async def adopt(self, request):
        self._called("adopt")
        return Host(ref="app_1") if request.host_name in self.alive else None

    async def ready(self, _provisioned):
        self._called("ready")
        return True

    async def launch(self, request, _host):
        self.alive[request.host_name] = 1  # the same tree again is no second launch
        self._called("launch")

    async def decommission(self, removal):
        self.alive.pop(removal.name, None)
        self._called("decommission")

    async def hosts(self, _tenant):
        return [SeenHost(name=name, ref="app_1", created_at=None, busy=False) for name in self.alive]

    async def aclose(self):
        return None


class OneJobCoordinator(Side):
    """A coordinator: its job writes as soon as it is launched, and ends a minute later."""

    def __init__(self, journal, store, executor):
        super().__init__(journal, store)
        self.executor = executor
        self.bodies = []
        self.trace = ""
        self.failed = None
        self.life_since = None

    def _status(self):
        launched = any(self.executor.alive.values())
        if launched and self.life_since is None:
            self.life_since = virtual_now()
        over = self.life_since and virtual_now() - self.life_since > timedelta(minutes=1)
        return JobStatus.ENDED if self.failed or over else JobStatus.RUNNING

    async def request_job(self, *, seen=""):
        self._called("request")
        if self.bodies:
            return JobAnswer(payload=self.bodies.pop(0))
        await asyncio.sleep(30)
        return JobAnswer()

    async def touch(self, _job_id, _token):
        self._called("touch")
        return self._status()

    async def status(self, _job_id, _token):
        self._called("status")
        return self._status()

    async def trace_state(self, _job_id, _token):
        self._called("trace")
        return TraceState(size=1 if any(self.executor.alive.values()) else 0, status=self._status())

    async def append_trace(self, _job_id, _token, text, *, begun):
        self.trace += text
        self._called("explain")

    async def report_failed(self, _job_id, _token, failure):
        self.failed = failure
        self._called("report")

    async def aclose(self):
        return None


class OutsideWorld:
    """Survives the process; `life` is one process that takes its jobs to their end."""

    def __init__(self):
        self.journal = Journal()
        self.store = JournalStore(self.journal)
        self.executor = HostsInMemory(self.journal, self.store)
        self.coordinator = OneJobCoordinator(self.journal, self.store, self.executor)
        self.stopping = asyncio.Event()
        self.counters = Counters()
        self.started = []

    @property
    def entries(self):
        return self.journal.entries

    def parts(self, jobs=()):
        """What a process is put together from."""
        runner = ActiveRunner(
            key=RUNNER,
            name="model",
            coordinator=self.coordinator,
            executor=self.executor,
            policy=Policy(),
            rhythm=RHYTHM,
            counters=self.counters,
        )
        limits = Limits(concurrent=9, provisioning=9, per_runner={RUNNER: 0})
        registry = Registry(limits, jobs)
        records = Records(self.store, registry, Ledger(self.store, Costs(), keep_days=9), self.stopping)
        return runner, registry, records

    async def life(self):
        """From the records, with a job that was just acquired if there is none, until it is gone."""
        jobs = [resumed(job, virtual_now()) for job in await self.store.jobs()]
        if not jobs and not await self.store.ended():
            jobs = [acquired(RUNNER, payload(1), virtual_now())]
        for job in jobs:
            await self.loop(job).run()

    def loop(self, job):
        """The loop of one job, alone in its process."""
        runner, _registry, records = self.parts([job])
        return JobLoop(
            job,
            runner,
            records=records,
            clock=virtual_now,
            rng=random.Random(1),
            stopping=self.stopping,
            looks=LookBudget("", a_minute=2000),
        )

    @contextlib.asynccontextmanager
    async def acquisition(self, observer=None):
        """A runner that asks for jobs; those that it starts are in `started`."""
        runner, registry, records = self.parts()
        ending = asyncio.Event()

        def start(job):
            self.started.append(job)
            self.journal.add("started")

        intake = Intake(runner, registry=registry, records=records, start=start, clock=virtual_now)
        acquisition = Acquisition(
            runner,
            registry=registry,
            intake=intake,
            clock=virtual_now,
            rng=random.Random(1),
            ending=ending,
            stopping=self.stopping,
            observer=observer or Observer(),
        )
        running = asyncio.ensure_future(acquisition.run())
        try:
            yield
        finally:
            ending.set()
            await running


def without_looks(entries):
    """The entries but for the questions that change nothing."""
    return [entry for entry in entries if entry not in ("touch", "status", "trace", "ready")]
