"""What nobody foresaw ends one turn of one loop: it is logged and counted, and everything goes on."""

import asyncio
import json
import random
from datetime import timedelta
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from paas_runner.dispatch.acquisition import PollCycles
from paas_runner.dispatch.flavors import FlavorRefresh
from paas_runner.dispatch.sweep import Sweep
from paas_runner.dispatch.view import Observer
from paas_runner.errors import Transient
from paas_runner.job.limits import Flavors
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.logged_events import events_in
from tests.support.outside_world import RUNNER, OutsideWorld

MINUTE = timedelta(minutes=1)
JOB = json.dumps({"id": 1, "token": "t", "variables": []}).encode()
UNREADABLE = [b"", b"null", b"{}", b"<html>", b"[" * 100_000, b'{"id": 9223372036854775808, "token": "t"}']


@pytest.fixture
def logs():
    with capture_logs() as lines:
        yield lines


async def asking(world, *, seconds=600, **more):
    async with world.acquisition(**more):
        await asyncio.sleep(seconds)


def test_an_exception_while_asking_ends_neither_the_loop_nor_the_service(logs):
    world = OutsideWorld()
    world.coordinator.failures["request"] = [ValueError("odd"), RecursionError(), KeyError("x")]
    world.coordinator.bodies = [JOB]
    run_virtual(asking(world))
    assert [job.key.job_id for job in world.started] == [1]
    assert len(events_in(logs, "acquisition_error")) == 3
    assert world.counters.numbers["unforeseen_errors"] == 3


@pytest.mark.parametrize("body", UNREADABLE)
def test_what_is_no_job_is_asked_for_again_more_and_more_rarely(body):
    world = OutsideWorld()
    world.coordinator.bodies = [body] * 1000
    run_virtual(asking(world))
    assert 10 <= world.entries.count("request") < 30
    assert world.started == []


def test_a_job_that_is_tracked_already_is_asked_for_again_more_and_more_rarely():
    world = OutsideWorld()
    world.coordinator.bodies = [JOB] * 1000
    run_virtual(asking(world))
    assert 10 <= world.entries.count("request") < 30
    assert len(world.started) == 1


def test_after_a_job_that_can_be_read_the_next_one_is_asked_for_at_once():
    world = OutsideWorld()
    world.coordinator.bodies = [b"{}", b"{}", JOB, JOB.replace(b"1", b"2")]
    run_virtual(asking(world, seconds=20))
    assert [job.key.job_id for job in world.started] == [1, 2]


def test_a_job_that_cannot_be_recorded_is_recorded_to_be_failed():
    world = OutsideWorld()
    world.store.refuses = _unforeseen_with_a_payload
    world.coordinator.bodies = [JOB]
    run_virtual(asking(world))
    [job] = world.started
    assert job.payload is None
    assert job.failure is not None
    assert [stored.key for stored in run_virtual(world.store.jobs())] == [job.key]


def _unforeseen_with_a_payload(job):
    if job.payload:
        raise OverflowError("too large for the store")
    return False


@pytest.mark.parametrize("cycles", [1, 2, 5])
def test_with_poll_cycles_it_is_asked_exactly_so_often(cycles):
    world = OutsideWorld()
    observer = PollCycles(cycles, runners=[RUNNER], stopping=world.stopping)
    run_virtual(asking(world, observer=observer))
    assert world.entries.count("request") == cycles


def test_with_poll_cycles_a_quick_runner_asks_no_oftener_than_a_slow_one():
    """H027: not N + 1 times, either, while another coordinator still holds its request."""
    world = OutsideWorld()
    observer = PollCycles(3, runners=[RUNNER, "slow"], stopping=world.stopping)
    run_virtual(asking(world, observer=observer))
    assert world.entries.count("request") == 3
    assert not world.stopping.is_set()
    for _ in range(3):
        observer.no_job("slow")
    assert world.stopping.is_set()


def test_weights_that_cannot_be_made_out_are_asked_for_again(logs):
    world = OutsideWorld()
    readings = [
        TypeError("mem is a text"),
        AttributeError("variant"),
        Flavors(weights={"M": 1.0}, most_weight=1.0),
    ]

    async def flavors():
        reading = readings.pop(0)
        if isinstance(reading, Exception):
            raise reading
        return reading

    world.executor.flavors = flavors
    world.executor.weigh = lambda _payload, *, most: most

    async def weighing():
        runner, registry, _ = world.parts()
        refresh = FlavorRefresh(runner, registry=registry, rng=random.Random(1))
        running = asyncio.ensure_future(refresh.run())
        await asyncio.sleep(300)
        running.cancel()
        return registry.load

    assert run_virtual(weighing()).flavors == {RUNNER: Flavors(weights={"M": 1.0}, most_weight=1.0)}
    assert len(events_in(logs, "flavors_error")) == 2
    assert world.counters.numbers["unforeseen_errors"] == 2


def test_a_search_for_orphans_that_fails_is_followed_by_the_next(logs):
    world = OutsideWorld()

    async def searching():
        runner, registry, _ = world.parts()
        searches = []

        def tenants_among(_known):
            searches.append(virtual_now())
            raise AttributeError("tenant")

        world.executor.tenants_among = tenants_among
        world.executor.tenant = lambda _payload: ""
        sweep = Sweep(
            runner, every=MINUTE, registry=registry, store=world.store, clock=virtual_now, observer=Observer()
        )
        running = asyncio.ensure_future(sweep.run())
        await asyncio.sleep(200)
        running.cancel()
        return len(searches)

    assert run_virtual(searching()) == 4
    assert len(events_in(logs, "sweep_error")) == 4
    assert world.counters.numbers["unforeseen_errors"] == 4


def test_keep_alives_that_are_refused_become_rarer():
    world = OutsideWorld()
    at = []
    touch = world.coordinator.touch

    async def limited(job_id, token):
        at.append(virtual_now())
        if len(at) <= 8:
            raise Transient("answered 429", service="coordinator", op="keep alive", status=429)
        return await touch(job_id, token)

    world.coordinator.touch = limited
    run_virtual(world.life())
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(at)]
    assert gaps[0] <= 2
    assert min(gaps[4:8]) >= 15
    assert world.coordinator.failed is None
