"""All loops of the service under one roof: they start here, and none outlives `run`.

What a reload, a drain and the watchdog do to the loops is done here; how it is, a `DispatchView` says.
"""

import asyncio
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import attrs
import structlog

from paas_runner.dispatch.generations import Generations
from paas_runner.dispatch.giving_back import give_back
from paas_runner.dispatch.load_log import LoadLog
from paas_runner.dispatch.loops import Loops
from paas_runner.dispatch.records import Ledger, Records
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner, Generation, ServedConfig
from paas_runner.dispatch.tenure import SOLE, Tenure
from paas_runner.dispatch.view import DispatchView, Observer, Observers
from paas_runner.job.lease import Allotment
from paas_runner.job.standing import Parting
from paas_runner.job.tracked import JobKey, TrackedJob, is_stuck
from paas_runner.loop.timing import Clock
from paas_runner.store import Store

log = structlog.stdlib.get_logger(__name__)

DRAIN_LOOK_SECONDS = 5.0


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
        tenure: Tenure = SOLE,
        held: Collection[str] | None = None,
    ) -> None:
        """Begin with the records in `jobs`; end in an orderly way on `stopping`.

        Only the runners in `held` are served, and those that are taken over later; all, where it is None.
        """
        self._config = config
        self._held = None if held is None else set(held)
        self._allotted: Allotment | None = None
        self._stranded: Sequence[TrackedJob] = ()
        self._tenure = tenure
        self._clock = clock
        self._stopping = stopping
        self._draining = False
        self._registry = Registry(config.limits, jobs)
        self._observers = Observers()
        self._load_log = LoadLog(
            self._registry,
            config=lambda: self._config,
            serves=lambda: bool(self._present),
            observer=self._observers,
        )
        self._records = Records(
            store, self._registry, ledger, stopping, observer=self._observers, tenure=tenure
        )
        self._loops = Loops(
            config=config,
            registry=self._registry,
            records=self._records,
            store=store,
            clock=clock,
            rng=rng,
            stopping=stopping,
            observers=self._observers,
            tenure=tenure,
            came_late=self._came_late,
        )
        self._generations = Generations(self._loops, self._registry, config=lambda: self._config)
        self._present = self._generations.present
        for key, runner in self._served.items():
            self._generations.begin(key, runner)
        self.running = asyncio.Event()
        """Set once every loop has been started, until they are to end."""

    @property
    def config(self) -> ServedConfig:
        """What is served now, and within which bounds."""
        return self._config

    @property
    def _served(self) -> Mapping[str, ActiveRunner]:
        """Of the configuration's runners those that are ours to serve."""
        runners = self._config.runners
        return runners if self._held is None else {key: runners[key] for key in runners if key in self._held}

    @property
    def view(self) -> DispatchView:
        """How everything is now."""
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
                for generation in [*self._generations, *self._present.values()]
            },
            backoffs=self._registry.backoffs,
            answered=frozenset(self._registry.answered),
            refused=self._records.refused,
            looks=dict(self._loops.looks),
            draining=self._draining,
            stopping=self._stopping.is_set(),
            elsewhere=frozenset(self._config.runners.keys() - self._served.keys()),
        )

    def hung(self) -> Sequence[str]:
        """The loops whose heartbeat is overdue; none as long as everything works."""
        forgotten = ["the turns to ask for jobs"] if self._registry.owes_a_turn else []
        return [*self._loops.heartbeats.overdue(), *forgotten]

    def observe(self, observer: Observer) -> None:
        """Notify it of events from now on."""
        self._observers.add(observer)

    async def run(self) -> None:
        """Until `stopping`, and then until each loop has ended with everything recorded.

        Jobs are cared for as long as a request for one is in flight.
        """
        async with self._loops.tasks:
            self._take_on_all(self._registry.jobs)
            for generation in self._present.values():
                self._loops.put_in_service(generation)
            load_log = self._loops.start("statistics", self._load_log.run)
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
            await self._records.settle()
            for generation in self._generations:
                generation.leaving.set()
            for budget in self._loops.looks.values():
                budget.close()

    def reload(self, config: ServedConfig) -> None:
        """Serve this from now on; what has begun is not touched, and goes on with what it began with."""
        before, self._config = self._config, config
        self._loops.config = config
        self._registry.standing.keep_those_of(
            [key for key, runner in config.runners.items() if runner.policy.standby]
        )
        for key, generation in list(self._present.items()):
            if config.runners.get(key) is not generation.runner:
                self._generations.retire(key)
        self._limit()
        for budget in self._loops.looks.values():
            budget.allow(config.looks_a_minute)
        same_periodic = _periodic(before) == _periodic(config)
        for key, runner in self._served.items():
            if key not in self._present:
                self._begin_to_serve(key, runner)
            elif not same_periodic:
                self._present[key].cancel_periodic()
                self._loops.start_periodic(self._present[key])
        self._take_on_all(self._stranded)

    def _begin_to_serve(self, key: str, runner: ActiveRunner) -> None:
        generation = self._generations.begin(key, runner)
        if self._draining:
            generation.ending.set()
        self._loops.put_in_service(generation)

    def _limit(self) -> None:
        self._registry.limit(attrs.evolve(self._config.limits, allotted=self._allotted))

    def drain(self) -> None:
        """Ask for no more jobs; the tracked ones, and those of requests in flight, run to their end."""
        self._draining = True
        self._registry.close()
        self._registry.standing.let_all_go(Parting.DRAIN)
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

    # --- sections that change hands ------------------------------------------------------------------------

    def take_over(self, key: str, jobs: Sequence[TrackedJob]) -> None:
        """Serve a runner from now on, beginning with its records; without effect once all is to end."""
        if self._held is None or not self.running.is_set():
            return
        self._held.add(key)
        for job in jobs:
            self._registry.put(job)
        if key in self._config.runners and key not in self._present:
            self._begin_to_serve(key, self._config.runners[key])
        self._take_on(jobs)

    def take_in(self, job: TrackedJob) -> None:
        """Go on with a job that somebody else has recorded for a runner which is served here."""
        if job.key.runner in self._present and job.key not in self.known and self.running.is_set():
            self._registry.put(job)
            self._take_on([job])

    @property
    def known(self) -> frozenset[JobKey]:
        """Jobs that are not to be taken in once more."""
        return self._records.known

    async def hand_over(self, key: str, *, patience: timedelta) -> None:
        """Serve a runner no longer: its jobs stay as they are recorded, for another process.

        Requests and actions in flight have so long to end by themselves; then actions are cut off. A request
        goes on: what it brings is recorded for whoever has the runner then.
        """
        leaving = self._leave(key)
        for generation in leaving:
            generation.retire()
            generation.leaving.set()
        try:
            async with asyncio.timeout(patience.total_seconds()):
                await asyncio.gather(*(generation.cared() for generation in leaving))
                await asyncio.gather(*(generation.finished() for generation in leaving))
        except TimeoutError:
            if any(set(generation.work) - set(generation.asking) for generation in leaving):
                log.warning("calls_cut_off")
        await self._cut_off(key, leaving)

    async def give_up(self, key: str) -> None:
        """Another process has the runner: nothing that was begun for it goes on."""
        await self._cut_off(key, self._leave(key))

    def _leave(self, key: str) -> Sequence[Generation]:
        if self._held is not None:
            self._held.discard(key)
        return self._generations.leave(key)

    async def _cut_off(self, key: str, leaving: Sequence[Generation]) -> None:
        for generation in leaving:
            generation.retire()
            generation.leaving.set()
            generation.cut_off()
        for generation in leaving:
            await generation.cared()
        self._hand_on(key)
        for generation in leaving:
            self._generations.close_later(generation)

    def _hand_on(self, key: str) -> None:
        """Memory forgets the jobs; what they use goes with them, until we are allotted anew."""
        allotted = self.allotted
        self.allot(Allotment())
        self._records.leave(key)
        self.allot(allotted.at_most(self.in_use))

    def _came_late(self, job: TrackedJob) -> None:
        """A request that was in flight as its runner was left has brought a job: whoever has it goes on.

        That may be this process, which may have found the record already, or be about to load it.
        """
        self._registry.discard(job)
        self.take_in(job)
        if job.key not in self._registry:
            self._observers.left(job.key.runner, [job])
            self._tenure.arrived(job.key.runner)

    def suspend(self, why: str) -> None:
        """No runner asks for jobs until `resume`; tracked ones go on."""
        self._registry.suspend(why)

    def resume(self) -> None:
        self._registry.resume()

    def allot(self, allotted: Allotment) -> None:
        """So much of the bounds may be used here from now on, and all else by other processes."""
        self._allotted = allotted
        self._limit()

    @property
    def allotted(self) -> Allotment:
        """So much."""
        return self._allotted or Allotment()

    @property
    def total(self) -> Allotment:
        """The bounds of all processes together."""
        return self._registry.load.total

    @property
    def in_use(self) -> Allotment:
        """What this process takes of them: jobs, and requests in flight."""
        return self._registry.load.in_use

    @contextmanager
    def held(self) -> Iterator[Sequence[ActiveRunner]]:
        """The runners in service; inside, none of them is closed, whatever a reload replaces.

        Those that other processes have are among them: they have no connection here but what a look makes.
        """
        elsewhere = [runner for key, runner in self._config.runners.items() if key not in self._present]
        with ExitStack() as holding:
            ours = [holding.enter_context(generation.held()) for generation in self._present.values()]
            yield [*ours, *elsewhere]

    @property
    def unrecorded(self) -> Sequence[TrackedJob]:
        """The jobs that no disk has taken before the end."""
        return self._records.unrecorded

    async def give_back(self) -> None:
        """After `run`: the jobs that are on no disk are reported as failed; no start will know of them."""
        await give_back(self._records.unrecorded, self._config.runners)

    async def aclose(self) -> None:
        """Close the connections of every runner, those included that a job has still needed."""
        configured = self._config.runners.values()
        for runner in {*configured, *(generation.runner for generation in self._generations)}:
            await runner.aclose()

    def _take_on_all(self, jobs: Sequence[TrackedJob]) -> None:
        """Go on with recorded jobs, as far as their runners are served."""
        self._stranded = [job for job in jobs if job.key.runner not in self._present]
        self._take_on(jobs)
        for job in self._stranded:
            log.warning(
                "job_without_runner",
                runner=job.key.runner,
                job=job.key.job_id,
                host=job.host.ref if job.host else job.host_name,
            )

    def _take_on(self, jobs: Sequence[TrackedJob]) -> None:
        for job in jobs:
            if generation := self._present.get(job.key.runner):
                self._loops.start_job(generation, job)


def _periodic(config: ServedConfig) -> tuple[timedelta, bool]:
    """What decides on the periodic loops."""
    return config.sweep_every, config.limits.quota is not None
