"""All loops of the service under one roof: they start here, and none outlives `run`."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial

import attrs
import structlog

from paas_runner.dispatch.acquisition import Acquisition
from paas_runner.dispatch.flavors import FlavorRefresh
from paas_runner.dispatch.job_loop import JobLoop
from paas_runner.dispatch.load_log import Statistics
from paas_runner.dispatch.records import Ledger, Records
from paas_runner.dispatch.registry import Backoff, Registry
from paas_runner.dispatch.served import ActiveRunner, Generation, Settings
from paas_runner.dispatch.sweep import Sweep
from paas_runner.executor.contract import JobRefusedError
from paas_runner.executor.optional import tenant_of
from paas_runner.job.capacity import Load
from paas_runner.job.decision import Policy
from paas_runner.job.tracked import TrackedJob
from paas_runner.loop.heartbeat import LONGEST_ROUND_SECONDS, Heartbeats
from paas_runner.loop.timing import Clock
from paas_runner.store import Store

log = structlog.stdlib.get_logger(__name__)

LONGEST_REQUEST_SECONDS = 600.0  # for a job: no queue, one deadline, and what it brought goes to the disk


class Dispatcher:
    """Acquires jobs for each served runner and sees every tracked job through."""

    def __init__(
        self,
        settings: Settings,
        *,
        jobs: Sequence[TrackedJob],
        store: Store,
        ledger: Ledger,
        clock: Clock,
        rng: random.Random,
        stopping: asyncio.Event,
        on_change: Callable[[], None] = lambda: None,
        on_fruitless: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begin with the records in `jobs`; `stopping` is the signal to come to rest.

        `on_change` is called when the records have changed, at most every few seconds; `on_fruitless` when a
        request for a job brought none, with its runner's key.
        """
        self._settings = settings
        self._present = {key: Generation(served) for key, served in settings.served.items()}
        self._generations = set(self._present.values())
        self._stranded: Sequence[TrackedJob] = ()
        self._registry = Registry(settings.limits, jobs)
        self._statistics = Statistics(self._registry, settings=lambda: self._settings, on_change=on_change)
        self._heartbeats = Heartbeats()
        self._records = Records(store, self._registry, ledger, stopping)
        self._store = store
        self._clock = clock
        self._rng = rng
        self._stopping = stopping
        self._on_fruitless = on_fruitless
        self._loops = asyncio.TaskGroup()
        self.running = asyncio.Event()
        """Set once every loop has been started."""

        self.draining = False
        """Whether no more jobs are taken, so that the service ends with the last one."""

    @property
    def jobs(self) -> Sequence[TrackedJob]:
        """The records as they are now."""
        return self._registry.jobs

    @property
    def load(self) -> Load:
        """What takes which part of the bounds now."""
        return self._registry.load

    @property
    def absences(self) -> Mapping[str, Backoff]:
        """The runners (keys) whose coordinators could not be asked for jobs the last time."""
        return self._registry.absences

    @property
    def leaving(self) -> Mapping[str, str]:
        """The names of the runners (keys) that are out of service, but still have jobs."""
        former = {generation.served.key: generation.served.name for generation in self._generations}
        return {key: name for key, name in former.items() if key not in self._present}

    @property
    def policies(self) -> Mapping[str, Policy]:
        """How patient each runner (key) is with its jobs."""
        generations = [*self._generations, *self._present.values()]
        return {generation.served.key: generation.served.policy for generation in generations}

    @property
    def stopping(self) -> bool:
        """Whether every loop is coming to its rest, jobs left as they are."""
        return self._stopping.is_set()

    @property
    def settings(self) -> Settings:
        """What is served now, and within which bounds."""
        return self._settings

    @property
    def runners(self) -> Sequence[str]:
        """The names of the runners that are served."""
        return list(self._settings.names.values())

    def hung(self) -> Sequence[str]:
        """Each loop is asked for its sign of life: those that do not come back; none in a good life."""
        forgotten = ["the turns to ask for jobs"] if self._registry.owes_a_turn else []
        return [*self._heartbeats.overdue(), *forgotten]

    async def run(self) -> None:
        """Until `stopping`, and then until each loop has come to a recorded rest."""
        async with self._loops:
            self._take_on(self._registry.jobs)
            for generation in self._present.values():
                self._engage(generation)
            statistics = self._loop("statistics", self._statistics.run)
            self.running.set()
            await self._stopping.wait()
            self._registry.close()
            for generation in self._generations:
                generation.relieve()
            statistics.cancel()

    def reload(self, settings: Settings) -> None:
        """Serve this from now on; what has begun is not touched, and goes on with what it began with."""
        before, self._settings = self._settings, settings
        for key, generation in list(self._present.items()):
            if settings.served.get(key) is not generation.served:
                self._relieve(self._present.pop(key))
        self._registry.limit(settings.limits)
        looked_after_alike = _care(before) == _care(settings)
        for key, served in settings.served.items():
            if key not in self._present:
                self._present[key] = generation = Generation(served)
                self._generations.add(generation)
                self._engage(generation)
            elif not looked_after_alike:
                self._present[key].cut_aside()
                self._look_after(self._present[key])
        self._take_on(self._stranded)

    def drain(self) -> None:
        """Ask for no more jobs; the tracked ones, and those of requests in flight, run to their end."""
        self.draining = True
        self._registry.close()
        for generation in self._generations:
            generation.ending.set()

    async def drained(self) -> None:
        """After `drain`: wait until no request is in flight and no job has anything left to be done."""
        while work := [task for generation in self._generations for task in generation.work]:
            await asyncio.wait(work)

    @contextmanager
    def held(self) -> Iterator[Sequence[ActiveRunner]]:
        """The runners in service; inside, none of them is closed, whatever a reload replaces."""
        with ExitStack() as holding:
            yield [holding.enter_context(generation.held()) for generation in self._present.values()]

    async def aclose(self) -> None:
        """Close the connections of every runner, those included that a job has still needed."""
        for generation in self._generations:
            await generation.served.aclose()

    # --- the loops of one runner -------------------------------------------------------------------------

    def _engage(self, generation: Generation) -> None:
        """Begin to ask for jobs."""
        acquisition = Acquisition(
            generation.served,
            registry=self._registry,
            records=self._records,
            start=partial(self._start, generation),
            clock=self._clock,
            rng=self._rng,
            ending=generation.ending,
            fruitless=self._on_fruitless,
        )
        name = f"acquisition for {generation.served.name}"
        generation.add(self._loop(name, acquisition.run, LONGEST_REQUEST_SECONDS))
        self._look_after(generation)

    def _look_after(self, generation: Generation) -> None:
        """Search for orphans, and weigh hosts."""
        served, every = generation.served, self._settings.sweep_every
        if every > timedelta():
            sweep = Sweep(served, every=every, registry=self._registry, store=self._store, clock=self._clock)
            generation.add_aside(self._loop(f"sweep for {served.name}", sweep.run))
        if self._settings.limits.quota:
            weighing = FlavorRefresh(served, registry=self._registry, rng=self._rng)
            generation.add_aside(self._loop(f"weights of {served.name}", weighing.run))

    def _relieve(self, generation: Generation) -> None:
        generation.relieve()
        self._registry.dismiss(generation.served.key)
        self._loops.create_task(self._see_off(generation), name=f"end of {generation.served.name}")

    async def _see_off(self, generation: Generation) -> None:
        """Nothing of the runner's former setting is closed before its last job is gone."""
        await generation.over()
        self._generations.remove(generation)
        await generation.served.aclose()
        if generation.served.key not in self._present:
            log.info("runner removed: it has no jobs any more", runner=generation.served.name)

    # --- the loops of jobs -------------------------------------------------------------------------------

    def _take_on(self, jobs: Sequence[TrackedJob]) -> None:
        """Go on with recorded jobs, as far as their runners are served."""
        self._stranded = [job for job in jobs if job.key.runner not in self._present]
        for job in jobs:
            if generation := self._present.get(job.key.runner):
                self._start(generation, _with_tenant(job, generation.served))
        for job in self._stranded:
            log.warning(
                "a tracked job belongs to a runner that the configuration no longer has: "
                "put the runner back and reload, or remove the host by hand",
                runner=job.key.runner,
                job=job.key.job_id,
                host=job.host.ref if job.host else job.host_name,
            )

    def _start(self, generation: Generation, job: TrackedJob) -> None:
        loop = JobLoop(
            job,
            generation.served,
            records=self._records,
            clock=self._clock,
            rng=self._rng,
            stopping=self._stopping,
        )
        generation.add(self._loop(f"job {job.key}", loop.run))

    def _loop(
        self, name: str, run: Callable[[], Awaitable[None]], round_seconds: float = LONGEST_ROUND_SECONDS
    ) -> asyncio.Task[None]:
        watched = self._heartbeats.watched(name, run, round_seconds=round_seconds)
        return self._loops.create_task(watched, name=name)


def _care(settings: Settings) -> tuple[timedelta, bool]:
    """What decides whether and how often hosts are searched for and weighed."""
    return settings.sweep_every, settings.limits.quota is not None


def _with_tenant(job: TrackedJob, served: ActiveRunner) -> TrackedJob:
    """A job that another program had acquired and not provisioned comes without."""
    if job.payload is None or job.tenant or job.host_intended:
        return job
    try:
        return attrs.evolve(job, tenant=tenant_of(served.executor, job.payload))
    except JobRefusedError as refused:
        return attrs.evolve(job, failure=job.failure or refused.failure.masked(job.payload.variables))
