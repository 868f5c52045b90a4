"""Hosts that outlive their jobs, and the jobs of several runners that come for them, as small working models.

Each call and each write is an entry of one journal; any of them may be the last of a process, as in
`outside_world`, whose journal and disk these are.
"""

import asyncio
import random
from datetime import timedelta

import attrs

from paas_runner.coordinator.protocol import JobStatus, TraceState
from paas_runner.dispatch.counters import Costs, Counters
from paas_runner.dispatch.job_loop import JobLoop
from paas_runner.dispatch.look_budget import LookBudget
from paas_runner.dispatch.records import Ledger, Records
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.dispatch.tenure import SOLE
from paas_runner.errors import Transient
from paas_runner.job.decision import Policy
from paas_runner.job.lifecycle import acquired, resumed
from paas_runner.job.limits import Flavors, Limits, QuotaRule
from paas_runner.job.tracked import Host, JobKey
from paas_runner.testing.virtual_time import virtual_now
from tests.support.outside_world import RHYTHM, RUNNER, Journal, JournalStore
from tests.support.records import payload

OTHER_RUNNER = "zyx321cba"
LEASE = timedelta(minutes=10)
JOB_SECONDS = 60
FLAVORS = Flavors(weights={"M": 8.0, "L": 9.0, "XL": 24.0}, most_weight=24.0)


class StayingStore(JournalStore):
    """The disk of `outside_world`, which can hand a host on, too."""

    async def hand_on(self, giver, taker):
        self._write()
        self._jobs[taker.key] = taker
        self._jobs.pop(giver.key, None)
        self._ended.add(giver.key)
        self.histories[giver.key] = giver.history
        self.journal.add("handed on")


@attrs.define
class StayingHost:
    """One host; `ran` are its jobs in their order, `files` whatever they have left there."""

    name: str
    payer: str
    weight: float
    ran: list[int] = attrs.field(factory=list)
    job: int | None = None
    since: object = None
    files: set[int] = attrs.field(factory=set)
    heard_at: object = attrs.field(factory=virtual_now)


class StayingHosts:
    """The executor of one runner; the hosts are those of all."""

    ready_every, ready_within = timedelta(seconds=2), timedelta(seconds=20)

    def __init__(self, world):
        self._world = world

    async def flavors(self):
        return FLAVORS

    def weigh(self, payload, *, most):
        return min(self._world.weights[payload.job_id] or 8.0, most)

    async def series(self, request):
        return f"alike for {request.tenant}"

    async def provision(self, request):
        ref = f"host-{len(self._world.made) + 1}"
        host = StayingHost(
            name=request.host_name, payer=request.tenant, weight=self._world.weight_of(request)
        )
        self._world.hosts[ref] = self._world.made[ref] = host
        self._world.journal.add("provision")
        return self._known(ref, request)

    async def adopt(self, request):
        self._world.journal.add("adopt")
        return next(
            (
                self._known(ref, request)
                for ref, host in self._world.hosts.items()
                if host.name == request.host_name
            ),
            None,
        )

    def _known(self, ref, request):
        host = self._world.hosts[ref]
        return Host(
            ref=ref, weight=host.weight, series=f"alike for {request.tenant}", price=self._world.price
        )

    async def ready(self, provisioned):
        self._world.journal.add("ready")
        return provisioned.host.ref in self._world.hosts

    async def launch(self, request, host):
        """The same job again is no second launch; another job is refused while one is there."""
        found, job_id = self._world.hosts[host.ref], request.payload.job_id
        self._world.must(found.job in (None, job_id), f"jobs {found.job} and {job_id} are on one host")
        if job_id not in found.ran:
            self._world.must(not found.files, f"job {job_id} meets the files of {found.files}")
            self._world.must(found.payer == request.tenant, f"job {job_id} is on a host of {found.payer}")
            found.ran.append(job_id)
            found.files.add(job_id)
            found.job, found.since = job_id, virtual_now()
        self._world.journal.add("launch")

    async def release(self, provisioned):
        host = self._world.hosts.get(provisioned.host.ref)
        self._world.journal.add("release")
        if host is None or self._world.failed & set(host.ran[-1:]):
            return None
        if self._world.releases_refused:
            self._world.releases_refused -= 1
            raise Transient("busy", service="host", op="release the job")
        host.job, host.heard_at = None, virtual_now()
        host.files.clear()
        return LEASE

    async def renew(self, provisioned):
        host = self._world.hosts.get(provisioned.host.ref)
        self._world.journal.add("renew")
        if host is None or host.job is not None:
            return None
        host.heard_at = virtual_now()
        return LEASE

    async def decommission(self, removal):
        refs = {removal.host.ref} if removal.host else set()
        if removal.search:
            refs |= {ref for ref, host in self._world.hosts.items() if host.name == removal.name}
        for ref in refs:
            if host := self._world.hosts.pop(ref, None):
                self._world.must(not self._world.is_running(host), f"job {host.job} has lost its host")
        self._world.journal.add("decommission")

    async def hosts(self, _tenant):
        return []

    async def aclose(self):
        return None


class Coordinator:
    """Its jobs write as soon as they are launched, and end a minute later."""

    def __init__(self, world):
        self._world = world

    def _status(self, job_id):
        if job_id in self._world.reported:
            return JobStatus.ENDED
        began = self._world.began.get(job_id)
        over = began and virtual_now() - began >= timedelta(seconds=JOB_SECONDS)
        if over:
            return JobStatus.ENDED
        return JobStatus.CANCELING if job_id in self._world.canceled else JobStatus.RUNNING

    async def touch(self, job_id, _token):
        return self._status(job_id)

    async def status(self, job_id, _token):
        return self._status(job_id)

    async def trace_state(self, job_id, _token):
        for host in self._world.made.values():
            if host.job == job_id:
                self._world.began.setdefault(job_id, host.since)
        return TraceState(size=int(job_id in self._world.began), status=self._status(job_id))

    async def append_trace(self, job_id, _token, text, *, begun):
        pass

    async def report_failed(self, job_id, _token, failure):
        self._world.reported[job_id] = failure

    async def aclose(self):
        return None


class StayingWorld:
    """Jobs arrive when they are told to; each process goes on from the disk and ends with its last job."""

    def __init__(self, *, standby=timedelta(minutes=2), cost=None, quota=None, tenure=SOLE):
        self.journal = Journal()
        self.store = StayingStore(self.journal)
        self.policy = Policy(standby=standby, standby_cost=cost)
        self.quota = quota
        self.tenure = tenure
        self.price = 2.0
        self.weights = {}
        self.hosts, self.made, self.began, self.reported = {}, {}, {}, {}
        self.failed, self.canceled = set(), set()
        self.releases_refused = 0
        self.broken = []
        self.arrivals = []

    def arrives(self, job_id, *, after, runner=RUNNER, tenant="acme", weight=None):
        """A job comes so many seconds after the beginning."""
        self.weights[job_id] = weight
        self.arrivals.append((after, JobKey(runner, job_id), tenant))
        return job_id

    def weight_of(self, request):
        return self.weights[request.payload.job_id] or 8.0

    @property
    def ran(self):
        """What each host ran, in the order in which hosts were made."""
        return [host.ran for host in self.made.values()]

    def must(self, holds, what):
        """Noted here, since an error in an executor ends nothing."""
        if not holds:
            self.broken.append(what)

    def is_running(self, host):
        """Whether a job is in the middle of its minute there."""
        if host.job is None or host.job in self.canceled | set(self.reported):
            return False
        return virtual_now() - host.since < timedelta(seconds=JOB_SECONDS)

    async def life(self):
        """One process: from the records, and with all that arrives, until nothing is tracked."""
        self.stopping = asyncio.Event()
        jobs = [resumed(job, virtual_now()) for job in await self.store.jobs()]
        rule = QuotaRule(
            reference_runner=RUNNER, reference_flavor="M", reference_jobs=(self.quota or 0) / 8.0
        )
        limits = Limits(
            concurrent=9,
            provisioning=9,
            per_runner={RUNNER: 0, OTHER_RUNNER: 0},
            quota=rule if self.quota else None,
        )
        self.registry = Registry(limits, jobs)
        for runner in (RUNNER, OTHER_RUNNER):
            self.registry.offer(runner, FLAVORS)
        ledger = Ledger(self.store, Costs(), keep_days=9)
        self.records = Records(self.store, self.registry, ledger, self.stopping)
        async with asyncio.TaskGroup() as self.tasks:
            for job in jobs:
                self.tasks.create_task(self._loop(job).run())
            self.tasks.create_task(self._arriving())

    async def _arriving(self):
        for after, key, tenant in sorted(self.arrivals):
            await asyncio.sleep(max(0.0, after - self.seconds()))
            known = {*self.store._jobs, *self.store._ended}
            if key in known:
                continue
            weight = self.weights[key.job_id] or (8.0 if self.quota else None)
            job = acquired(
                key.runner, payload(key.job_id), virtual_now(), tenant=tenant, expected_weight=weight
            )
            if await self.records.add(job):
                self.tasks.create_task(self._loop(job).run())

    def seconds(self):
        self._epoch = getattr(self, "_epoch", None) or virtual_now()
        return (virtual_now() - self._epoch).total_seconds()

    def _loop(self, job):
        runner = ActiveRunner(
            key=job.key.runner,
            name="model",
            coordinator=Coordinator(self),
            executor=StayingHosts(self),
            policy=self.policy,
            rhythm=RHYTHM,
            counters=Counters(),
        )
        return JobLoop(
            job,
            runner,
            records=self.records,
            clock=virtual_now,
            rng=random.Random(1),
            stopping=self.stopping,
            looks=LookBudget("", a_minute=2000),
            tenure=self.tenure,
        )
