"""What one event of one job costs does not depend on how many jobs there are."""

import asyncio
from functools import partial

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.dispatch.registry import Registry
from paas_runner.job import events as ev
from paas_runner.job.lifecycle import apply
from paas_runner.job.limits import Flavors, Limits, QuotaRule
from paas_runner.job.shares import shares_of
from paas_runner.job.tracked import JobKey, Phase
from paas_runner.loop.timing import Stop
from paas_runner.service.watchdog import status_line
from paas_runner.testing.virtual_time import run_virtual
from tests.support.effort import calls
from tests.support.records import FAILURE, HOST, NOW, job_in
from tests.support.views import dispatch_view

FEW, MANY = 10, 1000
QUOTA = QuotaRule(reference_runner="abc123xyz", reference_flavor="M", reference_jobs=2 * MANY)
LIMITS = Limits(concurrent=2 * MANY, provisioning=2 * MANY, per_runner={"abc123xyz": 0}, quota=QUOTA)


def numbered(number, phase=Phase.RUNNING, **changes):
    key = JobKey("abc123xyz", number)
    return attrs.evolve(job_in(phase, host=attrs.evolve(HOST, weight=2.0)), key=key, **changes)


def registry(count):
    tracking = Registry(LIMITS, map(numbered, range(count)))
    tracking.offer("abc123xyz", Flavors(weights={"M": 2.0}, most_weight=2.0))
    return tracking


def view(tracking):
    return dispatch_view(load=tracking.load, jobs=tracking.jobs)


@pytest.mark.parametrize(
    "event",
    [
        lambda tracking: tracking.put(apply(numbered(5), ev.Checked(), NOW)),
        lambda tracking: tracking.put(apply(numbered(5), ev.Ended(), NOW)),
        lambda tracking: tracking.put(numbered(MANY + 1, Phase.ACQUIRED)),
        lambda tracking: tracking.remove(JobKey("abc123xyz", 5)),
        lambda tracking: tracking.load.obstacle("abc123xyz"),
        lambda tracking: tracking.has_spare_room,
        lambda tracking: tracking.owes_a_turn,
        lambda tracking: status_line(view(tracking)),
    ],
    ids=["look", "end", "acquisition", "removal", "obstacle", "spare room", "watchdog", "status line"],
)
def test_an_event_costs_the_same_with_a_thousand_jobs_as_with_ten(event):
    few, many = (calls(partial(event, registry(count))) for count in (FEW, MANY))
    assert many == few


def test_a_turn_is_given_at_the_same_cost_with_a_thousand_jobs_as_with_ten():
    async def given(count):
        tracking = registry(count)
        tracking.limit(attrs.evolve(LIMITS, concurrent=count))

        async def ask():
            async with tracking.turn("abc123xyz") as reservation:
                return reservation

        asking = asyncio.ensure_future(ask())
        await asyncio.sleep(0)
        cost = calls(lambda: tracking.remove(JobKey("abc123xyz", 5)))
        assert await asking
        return cost

    assert run_virtual(given(MANY)) == run_virtual(given(FEW))


phases = st.sampled_from([phase for phase in Phase if phase is not Phase.GONE])
weights = st.sampled_from([None, 0.1, 0.7, 2.0])
failures = st.sampled_from([None, FAILURE])
changes = st.tuples(st.integers(0, 5), st.none() | st.tuples(phases, weights, failures, st.booleans()))


@given(st.lists(changes, max_size=40))
def test_the_shares_are_always_those_of_the_present_jobs(history):
    tracking = Registry(LIMITS)
    for number, change in history:
        if change is None:
            tracking.remove(JobKey("abc123xyz", number))
            continue
        phase, weight, failure, intended = change
        host = attrs.evolve(HOST, weight=weight)
        job = numbered(number, phase, host=host, failure=failure, host_intended=intended)
        tracking.put(attrs.evolve(job, host=host))
        assert tracking.load.shares == shares_of(tracking.jobs)
    assert tracking.load.shares == shares_of(tracking.jobs)


def test_a_sleep_among_thousands_costs_the_same_and_all_end_at_the_stop():
    async def slept(count):
        stop = Stop()
        others = [asyncio.ensure_future(stop.sleep(100)) for _ in range(count)]
        await asyncio.sleep(1)
        before = asyncio.get_running_loop().time()
        await stop.sleep(5)
        assert asyncio.get_running_loop().time() == before + 5
        stop.set()
        await asyncio.gather(*others)
        assert asyncio.get_running_loop().time() == before + 5
        await stop.sleep(100)
        assert asyncio.get_running_loop().time() == before + 5
        assert not stop._sleepers

    run_virtual(slept(MANY))
