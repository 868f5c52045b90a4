"""Turns while bounds change: nobody waits for what he may have, nobody asks who was sent away."""

import asyncio

import attrs

from paas_runner.dispatch.registry import Registry
from paas_runner.job.capacity import Bound, Limits
from tests.support.records import job

LIMITS = Limits(concurrent=1, provisioning=10, per_runner={"a": 0, "b": 0})


async def waiting(registry, runner, log):
    async def take():
        async with registry.turn(runner) as asking:
            log.append((runner, asking is not None))

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
