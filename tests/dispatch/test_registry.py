"""Turns to ask for a job: fair, bounded, given back whatever happens, and given anew when bounds change."""

import asyncio

import attrs
import pytest

from paas_runner.dispatch.registry import Registry
from paas_runner.job.capacity import Bound
from paas_runner.job.limits import Limits
from paas_runner.job.tracked import Phase
from tests.support.records import job, job_in

LIMITS = Limits(concurrent=1, provisioning=10, per_runner={"a": 0, "b": 0})


def new_registry(concurrent=1, runners=("a", "b"), jobs=()):
    limits = Limits(concurrent=concurrent, provisioning=10, per_runner=dict.fromkeys(runners, 0))
    return Registry(limits, jobs)


async def started(coroutine):
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


async def take(registry, runner, log, hold):
    async with registry.turn(runner) as reservation:
        log.append((runner, reservation is not None))
        await hold.wait()


async def test_turns_are_given_in_the_order_of_asking():
    registry, log, hold = new_registry(), [], asyncio.Event()
    hold.set()
    await asyncio.gather(*(take(registry, runner, log, hold) for runner in "abab"))
    assert log == [("a", True), ("b", True), ("a", True), ("b", True)]


async def test_a_place_is_kept_while_a_request_is_in_flight():
    registry, log, hold = new_registry(), [], asyncio.Event()
    first = await started(take(registry, "a", log, hold))
    second = await started(take(registry, "b", log, hold))
    assert log == [("a", True)]
    hold.set()
    await asyncio.gather(first, second)
    assert log == [("a", True), ("b", True)]


async def test_a_job_that_is_gone_makes_room():
    record = job(1, runner="a")
    registry, log, hold = new_registry(jobs=[record]), [], asyncio.Event()
    hold.set()
    waiting = await started(take(registry, "b", log, hold))
    assert log == []
    registry.remove(record.key)
    await waiting
    assert log == [("b", True)]


@pytest.mark.parametrize("moment", ["while waiting", "when the turn comes", "inside"])
async def test_a_canceled_turn_is_given_to_the_next(moment):
    registry, log, hold = new_registry(), [], asyncio.Event()
    first = await started(take(registry, "a", log, hold))
    second = await started(take(registry, "b", log, hold))
    if moment == "while waiting":
        second.cancel()
        hold.set()
        await first
    else:
        if moment == "when the turn comes":
            hold.set()
            await first
        else:
            first.cancel()
            await asyncio.sleep(0)
        second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    hold.set()
    await asyncio.wait_for(take(registry, "a", log, hold), 1)
    assert log[-1] == ("a", True)


async def test_a_closed_registry_sends_every_runner_away():
    registry, log, hold = new_registry(), [], asyncio.Event()
    inside = await started(take(registry, "a", log, hold))
    waiting = await started(take(registry, "b", log, hold))
    registry.close()
    hold.set()
    await asyncio.gather(inside, waiting)
    await take(registry, "a", log, hold)
    assert log == [("a", True), ("b", False), ("a", False)]


async def test_a_request_may_be_held_only_while_the_other_runners_could_ask_too():
    spacious, tight = new_registry(concurrent=2), new_registry(concurrent=1)
    async with spacious.turn("a"), tight.turn("a"):
        assert spacious.has_spare_room
        assert not tight.has_spare_room
    alone = new_registry(concurrent=1, runners=("a",))
    async with alone.turn("a"):
        assert alone.has_spare_room


async def test_a_job_that_runs_gives_its_place_among_the_preparing_to_the_next():
    limits = Limits(concurrent=5, provisioning=1, per_runner={"a": 0})
    preparing = job_in(Phase.LAUNCHED)
    registry, log, hold = Registry(limits, [preparing]), [], asyncio.Event()
    hold.set()
    waiting = await started(take(registry, "a", log, hold))
    assert log == []
    registry.put(job_in(Phase.RUNNING))
    await waiting
    assert log == [("a", True)]


async def waiting(registry, runner, log):
    async def take():
        async with registry.turn(runner) as reservation:
            log.append((runner, reservation is not None))

    task = asyncio.ensure_future(take())
    await asyncio.sleep(0)
    return task


async def test_a_raised_limit_gives_turns_at_once():
    registry, log = Registry(LIMITS, [job()]), []
    task = await waiting(registry, "a", log)
    registry.limit(attrs.evolve(LIMITS, concurrent=2))
    await task
    assert log == [("a", True)]


async def test_a_paused_runner_lets_the_others_pass_and_says_why_it_waits():
    paused = attrs.evolve(LIMITS, paused=frozenset({"a"}))
    registry, log = Registry(paused), []
    first = await waiting(registry, "a", log)
    await (await waiting(registry, "b", log))
    assert log == [("b", True)]
    assert registry.load.obstacle("a").bound is Bound.PAUSED
    registry.limit(LIMITS)
    await first
    assert log == [("b", True), ("a", True)]


async def test_a_paused_runner_needs_no_room():
    registry = Registry(attrs.evolve(LIMITS, paused=frozenset({"b"})))
    async with registry.turn("a"):
        assert registry.has_spare_room
        registry.limit(LIMITS)
        assert not registry.has_spare_room


async def test_only_the_dismissed_runner_is_sent_away_and_may_come_back():
    registry, log = Registry(LIMITS, [job()]), []
    first, second = await waiting(registry, "a", log), await waiting(registry, "b", log)
    registry.dismiss("a")
    await first
    assert log == [("a", False)]
    third = await waiting(registry, "a", log)
    registry.remove(job().key)
    await asyncio.gather(second, third)
    assert sorted(log) == [("a", False), ("a", True), ("b", True)]


async def test_a_turn_that_is_not_given_is_noticed():
    limits = Limits(concurrent=0, provisioning=1, per_runner={"a": 0})
    registry = Registry(limits)

    async def ask():
        async with registry.turn("a"):
            pass

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    assert not registry.owes_a_turn
    registry._limits = attrs.evolve(limits, concurrent=1)  # and no turn is given
    assert registry.owes_a_turn
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
