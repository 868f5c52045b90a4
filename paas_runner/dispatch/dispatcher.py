"""All loops of the service under one roof: they start here, and none outlives `run`."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta

import attrs
import structlog

from paas_runner.dispatch.acquisition import Acquisition
from paas_runner.dispatch.job_loop import JobLoop
from paas_runner.dispatch.journal import Journal
from paas_runner.dispatch.ledger import Ledger
from paas_runner.dispatch.roster import Roster
from paas_runner.dispatch.served import Served
from paas_runner.dispatch.statistics import Statistics
from paas_runner.dispatch.sweep import Sweep
from paas_runner.dispatch.timing import Clock
from paas_runner.dispatch.weighing import Weighing
from paas_runner.executor import JobRefusedError
from paas_runner.job.capacity import Limits
from paas_runner.job.tracked import TrackedJob
from paas_runner.store import Store

log = structlog.stdlib.get_logger(__name__)


class Dispatcher:
    """Acquires jobs for each served runner and sees every tracked job through."""

    def __init__(
        self,
        served: Sequence[Served],
        *,
        jobs: Sequence[TrackedJob],
        limits: Limits,
        store: Store,
        ledger: Ledger,
        clock: Clock,
        rng: random.Random,
        stopping: asyncio.Event,
        sweep_every: timedelta = timedelta(),
        log_statistics: bool = True,
    ) -> None:
        """Begin with the records in `jobs`; `stopping` is the signal to come to rest.

        Orphans are searched for every `sweep_every`, never when that is 0 or less.
        """
        self._served: Mapping[str, Served] = {runner.key: runner for runner in served}
        self._limits = limits
        self._roster = Roster(limits, jobs)
        self._statistics = Statistics(
            self._roster, names={runner.key: runner.name for runner in served}, numbers=log_statistics
        )
        self._journal = Journal(store, self._roster, ledger, stopping)
        self._store = store
        self._sweep_every = sweep_every
        self._clock = clock
        self._rng = rng
        self._stopping = stopping

    @property
    def jobs(self) -> Sequence[TrackedJob]:
        """The records as they are now."""
        return self._roster.jobs

    async def run(self) -> None:
        """Until `stopping`, and then until each loop has come to a recorded rest."""
        async with asyncio.TaskGroup() as loops:

            def start(job: TrackedJob) -> None:
                loops.create_task(self._follow(job), name=f"job {job.key}")

            for job in self._roster.jobs:
                start(self._with_tenant(job))
            for runner in self._served.values():
                acquisition = Acquisition(
                    runner,
                    roster=self._roster,
                    journal=self._journal,
                    start=start,
                    clock=self._clock,
                    rng=self._rng,
                    stopping=self._stopping,
                )
                loops.create_task(acquisition.run(), name=f"acquisition for {runner.name}")
            aside = [
                loops.create_task(self._statistics.run(), name="statistics"),
                *(loops.create_task(each.run(), name=f"sweep for {each.runner}") for each in self._sweeps()),
                *(
                    loops.create_task(each.run(), name=f"weights of {each.runner}")
                    for each in self._weighings()
                ),
            ]
            await self._stopping.wait()
            self._roster.close()
            for task in aside:
                task.cancel()

    def _weighings(self) -> Sequence[Weighing]:
        if self._limits.quota is None:
            return []
        return [Weighing(runner, roster=self._roster, rng=self._rng) for runner in self._served.values()]

    def _sweeps(self) -> Sequence[Sweep]:
        if self._sweep_every <= timedelta():
            return []
        return [
            Sweep(runner, every=self._sweep_every, roster=self._roster, store=self._store, clock=self._clock)
            for runner in self._served.values()
        ]

    def _with_tenant(self, job: TrackedJob) -> TrackedJob:
        """A job that another program had acquired and not provisioned comes without."""
        served = self._served.get(job.key.runner)
        if served is None or job.payload is None or job.tenant or job.host_intended:
            return job
        try:
            return attrs.evolve(job, tenant=served.executor.tenant(job.payload))
        except JobRefusedError as refused:
            return attrs.evolve(job, failure=job.failure or refused.failure.masked(job.payload.variables))

    async def _follow(self, job: TrackedJob) -> None:
        served = self._served.get(job.key.runner)
        if served is None:
            log.warning(
                "a tracked job belongs to a runner that the configuration no longer has: "
                "put the runner back and restart, or remove the host by hand",
                runner=job.key.runner,
                job=job.key.job_id,
                host=job.host.ref if job.host else job.host_name,
            )
            return
        loop = JobLoop(
            job,
            served,
            journal=self._journal,
            clock=self._clock,
            rng=self._rng,
            stopping=self._stopping,
        )
        await loop.run()
