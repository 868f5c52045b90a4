"""The loops of one runner and of its jobs: what each is made of, and that all of them are watched."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

import attrs

from paas_runner.dispatch.account_watch import AccountWatch
from paas_runner.dispatch.acquisition import Acquisition
from paas_runner.dispatch.audit import Audit
from paas_runner.dispatch.flavors import FlavorRefresh
from paas_runner.dispatch.intake import Intake
from paas_runner.dispatch.job_loop import JobLoop
from paas_runner.dispatch.look_budget import LookBudget
from paas_runner.dispatch.records import Records
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner, Generation, ServedConfig
from paas_runner.dispatch.sweep import Sweep
from paas_runner.dispatch.tenure import Tenure
from paas_runner.dispatch.view import Observers
from paas_runner.executor.contract import JobRefusedError
from paas_runner.executor.optional import tenant_of
from paas_runner.job.tracked import TrackedJob
from paas_runner.loop.heartbeat import LONGEST_ROUND_SECONDS, Heartbeats
from paas_runner.loop.timing import Clock
from paas_runner.store import Store

LONGEST_REQUEST_SECONDS = 600.0  # for a job: no queue, one deadline, and what it brought goes to the disk


@attrs.define(kw_only=True)
class Loops:
    """Starts them; what they share is the same for all runners."""

    config: ServedConfig
    """What is served now: a reload replaces it."""

    registry: Registry
    records: Records
    store: Store
    clock: Clock
    rng: random.Random
    stopping: asyncio.Event
    observers: Observers
    tenure: Tenure
    came_late: Callable[[TrackedJob], None]
    """Called with a job that was recorded after all others of its runner had been left."""

    heartbeats: Heartbeats = attrs.field(factory=Heartbeats)
    tasks: asyncio.TaskGroup = attrs.field(factory=asyncio.TaskGroup)
    looks: dict[str, LookBudget] = attrs.field(factory=dict)
    """The budget of each coordinator, by its address."""

    def generation(self, runner: ActiveRunner) -> Generation:
        generation = Generation(runner)
        generation.account = AccountWatch(
            runner, registry=self.registry, rng=self.rng, ending=generation.ending
        )
        return generation

    def put_in_service(self, generation: Generation) -> None:
        """Ask for jobs from now on, and begin with what is done from time to time."""
        intake = Intake(
            generation.runner,
            registry=self.registry,
            records=self.records,
            start=partial(self._begin, generation),
            clock=self.clock,
            observer=self.observers,
        )
        acquisition = Acquisition(
            generation.runner,
            registry=self.registry,
            intake=intake,
            clock=self.clock,
            rng=self.rng,
            ending=generation.ending,
            stopping=self.stopping,
            observer=self.observers,
        )
        name = f"acquisition for {generation.runner.name}"
        generation.add_asking(self.start(name, acquisition.run, LONGEST_REQUEST_SECONDS))
        self.start_periodic(generation)

    def start_periodic(self, generation: Generation) -> None:
        """Searches for orphans and lost jobs, readings of what hosts weigh, looks at refused credentials."""
        runner, every = generation.runner, self.config.sweep_every
        account = self.start(f"account of {runner.name}", generation.account.run)
        generation.add_periodic(account)
        if every > timedelta():
            sweep = Sweep(
                runner,
                every=every,
                registry=self.registry,
                store=self.store,
                clock=self.clock,
                observer=self.observers,
                tenure=self.tenure,
            )
            generation.add_periodic(self.start(f"sweep for {runner.name}", sweep.run))
        if auditor := runner.auditor:
            audit = Audit(
                runner,
                auditor,
                registry=self.registry,
                store=self.store,
                clock=self.clock,
                tenure=self.tenure,
            )
            generation.add_periodic(self.start(f"audit of {runner.name}", audit.run))
        if self.config.limits.quota:
            refresh = FlavorRefresh(runner, registry=self.registry, rng=self.rng)
            generation.add_periodic(self.start(f"weights of {runner.name}", refresh.run))

    def _begin(self, generation: Generation, job: TrackedJob) -> None:
        if generation.leaving.is_set():
            self.came_late(job)
        else:
            self.start_job(generation, job)

    def start_job(self, generation: Generation, job: TrackedJob) -> None:
        """Care for a job from now on."""
        loop = JobLoop(
            _with_tenant(job, generation.runner),
            generation.runner,
            records=self.records,
            clock=self.clock,
            rng=self.rng,
            stopping=generation.leaving,
            looks=self._look_budget(generation.runner.coordinator_url),
            account=generation.account,
            observer=self.observers,
            tenure=self.tenure,
        )
        generation.add(self.start(f"job {job.key}", loop.run))

    def _look_budget(self, coordinator: str) -> LookBudget:
        if coordinator not in self.looks:
            self.looks[coordinator] = LookBudget(coordinator, a_minute=self.config.looks_a_minute)
        return self.looks[coordinator]

    def start(
        self, name: str, run: Callable[[], Awaitable[None]], round_seconds: float = LONGEST_ROUND_SECONDS
    ) -> asyncio.Task[None]:
        watched = self.heartbeats.watched(name, run, round_seconds=round_seconds)
        return self.tasks.create_task(watched, name=name)


def _with_tenant(job: TrackedJob, runner: ActiveRunner) -> TrackedJob:
    """A job that another program had acquired and not provisioned comes without."""
    if job.payload is None or job.tenant or job.host_intended:
        return job
    try:
        return attrs.evolve(job, tenant=tenant_of(runner.executor, job.payload))
    except JobRefusedError as refused:
        return attrs.evolve(job, failure=job.failure or refused.failure.masked(job.payload.variables))
