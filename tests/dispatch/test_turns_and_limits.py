"""Turns while bounds change: nobody waits for what he may have, nobody asks who was sent away."""

import asyncio

import attrs

from paas_runner.dispatch.registry import Roster
from paas_runner.job.capacity import Bound, Limits
from tests.support.records import job

LIMITS = Limits(concurrent=1, provisioning=10, per_runner={"a": 0, "b": 0})


async def waiting(roster, runner, log):
    async def take():
        async with roster.turn(runner) as asking:
            log.append((runner, asking is not None))

    task = asyncio.ensure_future(take())
    await asyncio.sleep(0)
    return task


async def test_a_raised_limit_gives_turns_at_once():
    roster, log = Roster(LIMITS, [job()]), []
    task = await waiting(roster, "a", log)
    roster.limit(attrs.evolve(LIMITS, concurrent=2))
    await task
    assert log == [("a", True)]


async def test_a_paused_runner_lets_the_others_pass_and_says_why_it_waits():
    paused = attrs.evolve(LIMITS, paused=frozenset({"a"}))
    roster, log = Roster(paused), []
    first = await waiting(roster, "a", log)
    await (await waiting(roster, "b", log))
    assert log == [("b", True)]
    assert roster.load.obstacle("a").bound is Bound.PAUSED
    roster.limit(LIMITS)
    await first
    assert log == [("b", True), ("a", True)]


async def test_a_paused_runner_needs_no_room():
    roster = Roster(attrs.evolve(LIMITS, paused=frozenset({"b"})))
    async with roster.turn("a"):
        assert roster.has_spare_room
        roster.limit(LIMITS)
        assert not roster.has_spare_room


async def test_only_the_dismissed_runner_is_sent_away_and_may_come_back():
    roster, log = Roster(LIMITS, [job()]), []
    first, second = await waiting(roster, "a", log), await waiting(roster, "b", log)
    roster.dismiss("a")
    await first
    assert log == [("a", False)]
    third = await waiting(roster, "a", log)
    roster.remove(job().key)
    await asyncio.gather(second, third)
    assert sorted(log) == [("a", False), ("a", True), ("b", True)]
