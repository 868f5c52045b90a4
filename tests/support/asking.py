"""One runner that asks a small working model of a coordinator for jobs, in virtual time."""

import asyncio
import contextlib
import json
import random

import attrs

from paas_runner.coordinator.protocol import JobAnswer
from paas_runner.dispatch.acquisition import Acquisition
from paas_runner.dispatch.counters import Costs
from paas_runner.dispatch.intake import Intake
from paas_runner.dispatch.pace import Rhythm
from paas_runner.dispatch.records import Ledger, Records
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.view import Observer
from paas_runner.job.limits import Flavors, Limits
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.outside_world import RHYTHM, RUNNER, OutsideWorld


class Coordinator:
    """Gives its answers in turn, then nothing, and knows when it was asked and whether it might have held."""

    def __init__(self, *answers, held=0.0):
        self.answers = list(answers)
        self.held = held
        self.asked = []
        self.holds = []

    async def request_job(self, *, seen=""):
        self.asked.append(virtual_now())
        self.holds.append(bool(seen))
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await asyncio.sleep(self.held)
        return answer if isinstance(answer, JobAnswer) else JobAnswer(payload=answer, last_update="a1")

    @property
    def pauses(self):
        """Seconds between one request and the next."""
        pairs = zip(self.asked, self.asked[1:], strict=False)
        return [(later - earlier).total_seconds() for earlier, later in pairs]


class Queue:
    """A coordinator as GitLab is: an application that hands out jobs, a proxy that may hold requests.

    `latency` is there and back, `works` what the application takes; for `holds_for` the proxy holds a request
    that tells the present value. All in seconds.
    """

    def __init__(self, jobs=0, *, latency=0.1, works=0.0, holds_for=0.0):
        self.latency, self.works, self.holds_for = latency, works, holds_for
        self.errors = []
        self.asked = []
        self.in_vain = 0
        self.held = 0
        self.in_flight = self.most_in_flight = 0
        self.handed_out = {}
        self._value, self._pending, self._last = 0, {}, 0
        self._ticked = asyncio.Event()
        self.submit(jobs)

    def submit(self, count=1):
        """New jobs: what is held is released."""
        for _ in range(count):
            self._last += 1
            self._pending[self._last] = virtual_now()
        self.tick()

    def tick(self):
        self._value += 1
        self._ticked.set()
        self._ticked = asyncio.Event()

    async def request_job(self, *, seen=""):
        self.asked.append(virtual_now())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency / 2)
            answer = await self._answer(seen)
            await asyncio.sleep(self.latency / 2)
        finally:
            self.in_flight -= 1
        return answer

    async def _answer(self, seen):
        if self.errors:
            raise self.errors.pop(0)
        if self.holds_for and seen == str(self._value):
            self.held += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ticked.wait(), self.holds_for)
            return JobAnswer(released=True, holds=True)
        value, holds = str(self._value), self.holds_for > 0
        if seen == value:
            self.in_vain += 1
            return JobAnswer(last_update=value, holds=holds)
        await asyncio.sleep(self.works)
        if not self._pending:
            self.in_vain += 1
            return JobAnswer(last_update=value, holds=holds)
        job_id = next(iter(self._pending))
        waited = virtual_now() - self._pending.pop(job_id)
        self.handed_out[job_id] = waited.total_seconds()
        return JobAnswer(payload=body(job_id), holds=holds)


class Weighing:
    """An executor with flavors, of which a job names one."""

    def __init__(self, weigh=lambda payload, most: min(5.0, most)):
        self._weigh = weigh

    async def flavors(self):
        return Flavors(weights={"M": 5.0, "L": 20.0}, most_weight=20.0)

    def weigh(self, payload, *, most):
        return self._weigh(payload, most)


class Counted(Observer):
    def __init__(self):
        self.in_vain = 0

    def no_job(self, runner):
        assert runner == RUNNER
        self.in_vain += 1


@attrs.define
class Asking:
    """One runner that asks a coordinator, for as long as the test lets it."""

    coordinator: Coordinator
    executor: object = None
    limits: Limits = Limits(concurrent=9, provisioning=9, per_runner={RUNNER: 0})
    repoll: bool = False
    rhythm: Rhythm = RHYTHM
    world: OutsideWorld = attrs.field(factory=OutsideWorld)
    observer: Counted = attrs.field(factory=Counted)
    started: list = attrs.field(factory=list)
    ending: asyncio.Event = attrs.field(factory=asyncio.Event)
    then: object = lambda _job: None
    """What becomes of a job that is started."""

    registry: Registry | None = None
    stopped_after: float | None = None

    def start(self, job):
        self.started.append(job)
        self.then(job)

    async def run(self, seconds):
        """Ask for so long, then stop; how long that took is in `stopped_after`."""
        runner, _, _ = self.world.parts()
        runner = attrs.evolve(
            runner,
            coordinator=self.coordinator,
            executor=self.executor or self.world.executor,
            rhythm=self.rhythm,
            repoll_immediately=self.repoll,
        )
        self.registry = Registry(self.limits)
        if isinstance(self.executor, Weighing):
            self.registry.offer(RUNNER, await self.executor.flavors())
        store = self.world.store
        records = Records(store, self.registry, Ledger(store, Costs(), keep_days=9), self.world.stopping)
        intake = Intake(runner, registry=self.registry, records=records, start=self.start, clock=virtual_now)
        acquisition = Acquisition(
            runner,
            registry=self.registry,
            intake=intake,
            clock=virtual_now,
            rng=random.Random(1),
            ending=self.ending,
            stopping=self.world.stopping,
            observer=self.observer,
        )
        running = asyncio.ensure_future(acquisition.run())
        await asyncio.sleep(seconds)
        self.ending.set()
        self.registry.close()
        begun = virtual_now()
        await running
        self.stopped_after = (virtual_now() - begun).total_seconds()
        return self


def asked(seconds, *answers, held=0.0, **asking):
    async def main():
        return await Asking(Coordinator(*answers, held=held), **asking).run(seconds)

    return run_virtual(main())


def body(job_id, **more):
    return json.dumps({"id": job_id, "token": f"job-token-{job_id}", "variables": [], **more}).encode()
