"""All loops of the service under one roof: they start here, and none outlives `run`.

What a reload, a drain and the watchdog do to the loops is done here; how it is, a `DispatchView` says.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial

import attrs
import structlog

from paas_runner.dispatch.account_watch import AccountWatch
from paas_runner.dispatch.acquisition import Acquisition
from paas_runner.dispatch.flavors import FlavorRefresh
from paas_runner.dispatch.giving_back import give_back
from paas_runner.dispatch.intake import Intake
from paas_runner.dispatch.job_loop import JobLoop
from paas_runner.dispatch.load_log import LoadLog
from paas_runner.dispatch.look_budget import LookBudget
from paas_runner.dispatch.records import Ledger, Records
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner, Generation, ServedConfig
from paas_runner.dispatch.sweep import Sweep
from paas_runner.dispatch.view import DispatchView, Observer, Observers
from paas_runner.executor.contract import JobRefusedError
from paas_runner.executor.optional import follow, tenant_of
from paas_runner.job.tracked import TrackedJob, is_stuck
from paas_runner.loop.heartbeat import LONGEST_ROUND_SECONDS, Heartbeats
from paas_runner.loop.timing import Clock, Stop
from paas_runner.store import Store

log = structlog.stdlib.get_logger(__name__)

DRAIN_LOOK_SECONDS = 5.0
LONGEST_REQUEST_SECONDS = 600.0  # for a job: no queue, one deadline, and what it brought goes to the disk


class Dispatcher:
    """Acquires jobs for each runner in service and sees every tracked job through."""

    def __init__(
        self,
        config: ServedConfig,
        *,
        jobs: Sequence[TrackedJob],
        store: Store,
        ledger: Ledger,
        clock: Clock,
        rng: random.Random,
        stopping: asyncio.Event,
    ) -> None:
        """Begin with the records in `jobs`; end in an orderly way on `stopping`."""
        self._config = config
        self._stranded: Sequence[TrackedJob] = ()
        self._registry = Registry(config.limits, jobs)
        self._rng = rng
        self._present = {key: self._generation(runner) for key, runner in config.runners.items()}
        self._generations = set(self._present.values())
        self._observers = Observers()
        self._load_log = LoadLog(self._registry, config=lambda: self._config, observer=self._observers)
        self._heartbeats = Heartbeats()
        self._records = Records(store, self._registry, ledger, stopping)
        self._store = store
        self._clock = clock
        self._stopping = stopping
        self._leaving = Stop()
        self._looks: dict[str, LookBudget] = {}
        self._draining = False
        self._loops = asyncio.TaskGroup()
        self.running = asyncio.Event()
        """Set once every loop has been started, until they are to end."""

    @property
    def config(self) -> ServedConfig:
        """What is served now, and within which bounds."""
        return self._config

    @property
    def view(self) -> DispatchView:
        """How everything is now."""
        present = self._present.values()
        return DispatchView(
            load=self._registry.load,
            jobs=self._registry.jobs,
            runners=self._config.names,
            leaving={
                generation.runner.key: generation.runner.name
                for generation in self._generations
                if generation.runner.key not in self._present
            },
            policies={
                generation.runner.key: generation.runner.policy
                for generation in [*self._generations, *present]
            },
            backoffs=self._registry.backoffs,
            refused=self._records.refused,
            looks=dict(self._looks),
            draining=self._draining,
            stopping=self._stopping.is_set(),
        )

    def hung(self) -> Sequence[str]:
        """The loops whose heartbeat is overdue; none as long as everything works."""
        forgotten = ["the turns to ask for jobs"] if self._registry.owes_a_turn else []
        return [*self._heartbeats.overdue(), *forgotten]

    def observe(self, observer: Observer) -> None:
        """Notify it of events from now on."""
        self._observers.add(observer)

    async def run(self) -> None:
        """Until `stopping`, and then until each loop has ended with everything recorded.

        Jobs are cared for as long as a request for one is in flight.
        """
        async with self._loops:
            self._take_on(self._registry.jobs)
            for generation in self._present.values():
                self._put_in_service(generation)
            load_log = self._loop("statistics", self._load_log.run)
            self.running.set()
            try:
                await self._stopping.wait()
            finally:
                self.running.clear()
            self._registry.close()
            for generation in self._generations:
                generation.retire()
            load_log.cancel()
            while asking := [task for generation in self._generations for task in generation.asking]:
                await asyncio.wait(asking)
            self._leaving.set()
            for budget in self._looks.values():
                budget.close()

    def reload(self, config: ServedConfig) -> None:
        """Serve this from now on; what has begun is not touched, and goes on with what it began with."""
        before, self._config = self._config, config
        for key, generation in list(self._present.items()):
            if config.runners.get(key) is not generation.runner:
                self._retire(self._present.pop(key))
        self._registry.limit(config.limits)
        for budget in self._looks.values():
            budget.allow(config.looks_a_minute)
        same_periodic = _periodic(before) == _periodic(config)
        for key, runner in config.runners.items():
            if key not in self._present:
                self._present[key] = generation = self._generation(runner)
                self._let_predecessors_follow(runner)
                self._generations.add(generation)
                self._put_in_service(generation)
            elif not same_periodic:
                self._present[key].cancel_periodic()
                self._start_periodic(self._present[key])
        self._take_on(self._stranded)

    def drain(self) -> None:
        """Ask for no more jobs; the tracked ones, and those of requests in flight, run to their end."""
        self._draining = True
        self._registry.close()
        for generation in self._generations:
            generation.ending.set()

    async def drained(self, *, patience: timedelta) -> None:
        """After `drain`: wait until no request is in flight and no job has anything left to be done.

        Left are jobs that are over, but that for so long could not be reported or whose hosts not removed.
        """
        while work := [task for generation in self._generations for task in generation.work]:
            asking = any(generation.asking for generation in self._generations)
            if not asking and all(self._is_stuck(job, patience) for job in self._registry.jobs):
                return
            await asyncio.wait(work, timeout=DRAIN_LOOK_SECONDS)

    def _is_stuck(self, job: TrackedJob, patience: timedelta) -> bool:
        unserved = all(job.key.runner != generation.runner.key for generation in self._generations)
        return unserved or is_stuck(job, self._clock(), patience)

    @contextmanager
    def held(self) -> Iterator[Sequence[ActiveRunner]]:
        """The runners in service; inside, none of them is closed, whatever a reload replaces."""
        with ExitStack() as holding:
            yield [holding.enter_context(generation.held()) for generation in self._present.values()]

    async def give_back(self) -> None:
        """After `run`: the jobs that are on no disk are reported as failed; no start will know of them."""
        await give_back(self._records.unrecorded, self._config.runners)

    async def aclose(self) -> None:
        """Close the connections of every runner, those included that a job has still needed."""
        for generation in self._generations:
            await generation.runner.aclose()

    # --- the loops of one runner -------------------------------------------------------------------------

    def _generation(self, runner: ActiveRunner) -> Generation:
        generation = Generation(runner)
        generation.account = AccountWatch(
            runner, registry=self._registry, rng=self._rng, ending=generation.ending
        )
        return generation

    def _put_in_service(self, generation: Generation) -> None:
        intake = Intake(
            generation.runner,
            registry=self._registry,
            records=self._records,
            start=partial(self._start, generation),
            clock=self._clock,
        )
        acquisition = Acquisition(
            generation.runner,
            registry=self._registry,
            intake=intake,
            clock=self._clock,
            rng=self._rng,
            ending=generation.ending,
            stopping=self._stopping,
            observer=self._observers,
        )
        name = f"acquisition for {generation.runner.name}"
        generation.add_asking(self._loop(name, acquisition.run, LONGEST_REQUEST_SECONDS))
        self._start_periodic(generation)

    def _start_periodic(self, generation: Generation) -> None:
        """The searches for orphans, the readings of what hosts weigh, the looks at refused credentials."""
        runner, every = generation.runner, self._config.sweep_every
        account = self._loop(f"account of {runner.name}", generation.account.run)
        generation.add_periodic(account)
        if every > timedelta():
            sweep = Sweep(runner, every=every, registry=self._registry, store=self._store, clock=self._clock)
            generation.add_periodic(self._loop(f"sweep for {runner.name}", sweep.run))
        if self._config.limits.quota:
            refresh = FlavorRefresh(runner, registry=self._registry, rng=self._rng)
            generation.add_periodic(self._loop(f"weights of {runner.name}", refresh.run))

    def _let_predecessors_follow(self, runner: ActiveRunner) -> None:
        """What is left of the runner's former settings reaches its hosts with the present credentials."""
        for generation in self._generations:
            if generation.runner.key == runner.key:
                follow(generation.runner.executor, runner.executor)

    def _retire(self, generation: Generation) -> None:
        generation.retire()
        self._registry.accept(generation.runner.key)
        self._registry.dismiss(generation.runner.key)
        self._loops.create_task(
            self._close_when_finished(generation), name=f"end of {generation.runner.name}"
        )

    async def _close_when_finished(self, generation: Generation) -> None:
        """No connection of the runner's former setting is closed before its last job is gone."""
        await generation.finished()
        self._generations.remove(generation)
        await generation.runner.aclose()
        if generation.runner.key not in self._present:
            log.info("runner_removed", runner=generation.runner.name)

    # --- the loops of jobs -------------------------------------------------------------------------------

    def _take_on(self, jobs: Sequence[TrackedJob]) -> None:
        """Go on with recorded jobs, as far as their runners are served."""
        self._stranded = [job for job in jobs if job.key.runner not in self._present]
        for job in jobs:
            if generation := self._present.get(job.key.runner):
                self._start(generation, _with_tenant(job, generation.runner))
        for job in self._stranded:
            log.warning(
                "job_without_runner",
                runner=job.key.runner,
                job=job.key.job_id,
                host=job.host.ref if job.host else job.host_name,
            )

    def _start(self, generation: Generation, job: TrackedJob) -> None:
        loop = JobLoop(
            job,
            generation.runner,
            records=self._records,
            clock=self._clock,
            rng=self._rng,
            stopping=self._leaving,
            looks=self._look_budget(generation.runner.coordinator_url),
            account=generation.account,
        )
        generation.add(self._loop(f"job {job.key}", loop.run))

    def _look_budget(self, coordinator: str) -> LookBudget:
        if coordinator not in self._looks:
            allowed = self._config.looks_a_minute
            self._looks[coordinator] = LookBudget(coordinator, a_minute=allowed)
        return self._looks[coordinator]

    def _loop(
        self, name: str, run: Callable[[], Awaitable[None]], round_seconds: float = LONGEST_ROUND_SECONDS
    ) -> asyncio.Task[None]:
        watched = self._heartbeats.watched(name, run, round_seconds=round_seconds)
        return self._loops.create_task(watched, name=name)


def _periodic(config: ServedConfig) -> tuple[timedelta, bool]:
    """What decides on the periodic loops."""
    return config.sweep_every, config.limits.quota is not None


def _with_tenant(job: TrackedJob, runner: ActiveRunner) -> TrackedJob:
    """A job that another program had acquired and not provisioned comes without."""
    if job.payload is None or job.tenant or job.host_intended:
        return job
    try:
        return attrs.evolve(job, tenant=tenant_of(runner.executor, job.payload))
    except JobRefusedError as refused:
        return attrs.evolve(job, failure=job.failure or refused.failure.masked(job.payload.variables))
