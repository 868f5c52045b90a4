"""Turns to ask for a job: fair, bounded, and given back whatever happens."""

import asyncio

import pytest

from paas_runner.dispatch.registry import Registry
from paas_runner.job.capacity import Limits
from paas_runner.job.tracked import Phase
from tests.support.records import job, job_in


def registry(concurrent=1, runners=("a", "b"), jobs=()):
    limits = Limits(concurrent=concurrent, provisioning=10, per_runner=dict.fromkeys(runners, 0))
    return Registry(limits, jobs)


async def started(coroutine):
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


async def take(book, runner, log, hold):
    async with book.turn(runner) as asking:
        log.append((runner, asking is not None))
        await hold.wait()


async def test_turns_are_given_in_the_order_of_asking():
    book, log, hold = registry(), [], asyncio.Event()
    hold.set()
    await asyncio.gather(*(take(book, runner, log, hold) for runner in "abab"))
    assert log == [("a", True), ("b", True), ("a", True), ("b", True)]


async def test_a_place_is_kept_while_a_request_is_in_flight():
    book, log, hold = registry(), [], asyncio.Event()
    first = await started(take(book, "a", log, hold))
    second = await started(take(book, "b", log, hold))
    assert log == [("a", True)]
    hold.set()
    await asyncio.gather(first, second)
    assert log == [("a", True), ("b", True)]


async def test_a_job_that_is_gone_makes_room():
    record = job(1, runner="a")
    book, log, hold = registry(jobs=[record]), [], asyncio.Event()
    hold.set()
    waiting = await started(take(book, "b", log, hold))
    assert log == []
    book.remove(record.key)
    await waiting
    assert log == [("b", True)]


@pytest.mark.parametrize("moment", ["while waiting", "when the turn comes", "inside"])
async def test_a_cancelled_turn_is_given_to_the_next(moment):
    book, log, hold = registry(), [], asyncio.Event()
    first = await started(take(book, "a", log, hold))
    second = await started(take(book, "b", log, hold))
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
    await asyncio.wait_for(take(book, "a", log, hold), 1)
    assert log[-1] == ("a", True)


async def test_a_closed_roster_sends_everybody_away():
    book, log, hold = registry(), [], asyncio.Event()
    inside = await started(take(book, "a", log, hold))
    waiting = await started(take(book, "b", log, hold))
    book.close()
    hold.set()
    await asyncio.gather(inside, waiting)
    await take(book, "a", log, hold)
    assert log == [("a", True), ("b", False), ("a", False)]


async def test_a_request_may_be_held_only_while_the_other_runners_could_ask_too():
    spacious, tight = registry(concurrent=2), registry(concurrent=1)
    async with spacious.turn("a"), tight.turn("a"):
        assert spacious.has_spare_room
        assert not tight.has_spare_room
    alone = registry(concurrent=1, runners=("a",))
    async with alone.turn("a"):
        assert alone.has_spare_room


async def test_a_job_that_runs_gives_its_place_among_the_preparing_to_the_next():
    limits = Limits(concurrent=5, provisioning=1, per_runner={"a": 0})
    preparing = job_in(Phase.LAUNCHED)
    book, log, hold = Registry(limits, [preparing]), [], asyncio.Event()
    hold.set()
    waiting = await started(take(book, "a", log, hold))
    assert log == []
    book.put(job_in(Phase.RUNNING))
    await waiting
    assert log == [("a", True)]
