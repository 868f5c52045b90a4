"""A thousand jobs that run on and on: how often they are asked about, always, at their end, after a start.

The dispatcher alone, in virtual time, with a coordinator and hosts that answer at once.
"""

import asyncio
import random
import statistics
from collections import Counter
from datetime import timedelta

import attrs
import pytest

from paas_runner.coordinator.protocol import JobStatus, TraceState
from paas_runner.dispatch import Dispatcher
from paas_runner.dispatch.counters import Costs
from paas_runner.dispatch.records import Ledger
from paas_runner.dispatch.served import ServedConfig
from paas_runner.job.decision import Policy
from paas_runner.job.lifecycle import resumed
from paas_runner.job.limits import Limits
from paas_runner.job.tracked import JobKey, Phase
from paas_runner.testing.memory_store import MemoryStore
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.outside_world import RUNNER, OutsideWorld
from tests.support.records import job_in

JOBS = 1000
EACH_SECOND = Policy(status_every=timedelta(seconds=1), host_every=timedelta(seconds=10))
A_BUDGET = 2000


class Answering:
    """A coordinator and an executor that count, and note when each job was first and last asked about."""

    let_go_after = None
    ready_every, ready_within = timedelta(seconds=2), timedelta(seconds=20)

    def __init__(self):
        self.looks = Counter()
        self.first = {}
        self.ended = {}
        self.found = {}

    async def request_job(self, *, hold):
        await asyncio.sleep(1e6)

    async def touch(self, job_id, _token):
        self.looks["coordinator"] += 1
        self.first.setdefault(job_id, virtual_now())
        if job_id in self.ended:
            self.found.setdefault(job_id, virtual_now())
            return JobStatus.ENDED
        return JobStatus.RUNNING

    status = touch

    async def trace_state(self, job_id, token):
        return TraceState(size=1, status=await self.touch(job_id, token))

    async def trouble(self, _provisioned):
        self.looks["hosts"] += 1

    async def decommission(self, _removal):
        return None

    async def hosts(self, _tenant):
        return []

    async def aclose(self):
        return None


def records(age):
    begun = virtual_now() - age
    for number in range(1, JOBS + 1):
        phase = Phase.LAUNCHED if number % 10 == 0 else Phase.RUNNING
        job = job_in(phase, key=JobKey(RUNNER, number), entered={Phase.LAUNCHED: begun}, since=begun)
        yield resumed(attrs.evolve(job, acquired_at=begun), virtual_now())


def played(story, policy, *, age=timedelta(minutes=30)):
    async def main():
        outside, store = Answering(), MemoryStore()
        runner, _, _ = OutsideWorld().parts()
        runner = attrs.evolve(runner, coordinator=outside, executor=outside, policy=policy)
        stopping = asyncio.Event()
        dispatcher = Dispatcher(
            ServedConfig(
                runners={RUNNER: runner}, limits=Limits(concurrent=JOBS, provisioning=JOBS, per_runner={})
            ),
            jobs=list(records(age)),
            store=store,
            ledger=Ledger(store, Costs(), keep_days=9),
            clock=virtual_now,
            rng=random.Random(1),
            stopping=stopping,
        )
        running = asyncio.ensure_future(dispatcher.run())
        await story(outside, dispatcher)
        stopping.set()
        await running

    run_virtual(main())


def test_after_a_start_each_job_is_asked_about_at_once_and_no_more_than_the_budget_allows():
    async def story(outside, _dispatcher):
        begun = virtual_now()
        await asyncio.sleep(60)
        assert len(outside.first) == JOBS
        assert max(outside.first.values()) - begun <= timedelta(seconds=2)
        assert outside.looks.total() <= 2 * A_BUDGET + JOBS

    played(story, EACH_SECOND)


def test_a_thousand_jobs_at_a_second_cost_no_more_requests_than_the_budget_and_it_is_told():
    async def story(outside, dispatcher):
        await asyncio.sleep(180)
        outside.looks.clear()
        await asyncio.sleep(120)
        assert outside.looks.total() / 2 <= A_BUDGET * 1.02
        assert outside.looks["hosts"] / outside.looks["coordinator"] < 0.2
        [budget] = dispatcher.view.looks.values()
        assert 20 < budget.stretch < 45
        assert budget.jobs == JOBS

    played(story, EACH_SECOND)


@pytest.mark.soak
@pytest.mark.long
def test_at_the_default_pause_the_end_of_each_of_a_thousand_jobs_is_found_within_a_minute():
    async def story(outside, _dispatcher):
        await asyncio.sleep(300)
        outside.ended = {number: virtual_now() for number in range(1, JOBS, 7)}
        await asyncio.sleep(90)
        late = [(outside.found[job] - at).total_seconds() for job, at in outside.ended.items()]
        assert statistics.median(late) <= 30
        assert max(late) <= 60

    played(story, Policy(host_every=timedelta(seconds=59)))
