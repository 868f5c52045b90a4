"""The budget of looks: what is within it waits for nothing, beyond it all wait in the same proportion."""

import asyncio
from contextlib import closing
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from paas_runner.dispatch.look_budget import LOOKS_OF_EACH_JOB, LookBudget, Rank
from paas_runner.testing.virtual_time import run_virtual
from tests.support.logged_events import events_in

MINUTE = 60.0


def time():
    return asyncio.get_running_loop().time()


async def watching(budget, pauses, *, seconds):
    """One watcher for each pause; the moments of the looks of each."""
    looks = [[] for _ in pauses]

    async def watch(pause, moments):
        with closing(budget.watcher()) as watcher:
            while True:
                await asyncio.sleep(pause)
                assert await watcher.turn()
                moments.append(time())

    tasks = [asyncio.ensure_future(watch(*each)) for each in zip(pauses, looks, strict=True)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return looks


def between(moments, begin, end):
    return sum(begin <= moment < end for moment in moments)


def longest_pause(moments):
    return max(later - earlier for earlier, later in pairwise(moments))


def test_looks_within_the_budget_wait_for_nothing():
    async def main():
        budget = LookBudget("here", a_minute=600)
        looks = await watching(budget, [10.0] * 90, seconds=600)
        assert budget.stretch == 1
        return looks

    assert all(len(moments) in (59, 60) for moments in run_virtual(main()))


def test_what_was_not_used_is_kept_for_a_minute():
    async def main():
        budget = LookBudget("here", a_minute=600)
        await asyncio.sleep(3600)
        begun = time()
        with closing(budget.watcher()) as watcher:
            for _ in range(600):
                await watcher.turn()
            assert time() == begun
            await watcher.turn()
            assert time() - begun == pytest.approx(0.25)  # looks that are due until then are made together

    run_virtual(main())


def test_beyond_the_budget_every_pause_is_stretched_by_the_same_factor_and_nobody_starves():
    pauses = [1.0] * 60 + [3.0] * 60 + [30.0] * 60
    wanted = sum(MINUTE / pause for pause in pauses)
    allowed = 600
    factor = wanted / allowed

    async def main():
        budget = LookBudget("here", a_minute=allowed)
        looks = await watching(budget, pauses, seconds=1800)
        assert budget.stretch == pytest.approx(factor, rel=0.2)
        return looks

    looks = run_virtual(main())
    assert sum(between(moments, 600, 1800) for moments in looks) == pytest.approx(20 * allowed, rel=0.01)
    for pause, moments in zip(pauses, looks, strict=True):
        assert between(moments, 600, 1800) == pytest.approx(1200 / (pause * factor), rel=0.1, abs=1)
        assert longest_pause([moment for moment in moments if moment > 600]) <= 3 * factor * pause


def test_each_job_is_looked_at_as_often_as_at_the_default_pause_however_many_there_are():
    async def main():
        budget = LookBudget("here", a_minute=60)
        looks = await watching(budget, [1.0] * 300, seconds=600)
        assert budget.jobs == 0
        return looks

    looks = run_virtual(main())
    assert sum(between(moments, 300, 600) for moments in looks) == pytest.approx(
        5 * LOOKS_OF_EACH_JOB * 300, rel=0.01
    )


def test_after_a_start_thousands_of_jobs_are_looked_at_at_once():
    async def main():
        budget = LookBudget("here", a_minute=60)
        watchers = [budget.watcher() for _ in range(3000)]
        for watcher in watchers:
            assert await watcher.turn()
            assert await watcher.turn(Rank.FOLLOWS)
        assert time() == 0

    run_virtual(main())


def test_that_looks_are_rarer_is_told_once_and_that_they_are_not_once():
    async def main():
        budget = LookBudget("here", a_minute=600)
        await watching(budget, [10.0] * 50, seconds=300)
        await watching(budget, [1.0] * 100, seconds=600)
        assert budget.stretch == pytest.approx(10, rel=0.2)
        await watching(budget, [10.0] * 50, seconds=600)

    with capture_logs() as logs:
        run_virtual(main())
    [begun], [ended] = events_in(logs, "looks_stretched"), events_in(logs, "looks_on_time")
    assert (begun["coordinator"], begun["jobs"], begun["looks_a_minute"]) == ("here", 100, 600)
    assert ended["coordinator"] == "here"


def test_who_waits_at_the_end_of_the_service_is_sent_away():
    async def main():
        budget = LookBudget("here", a_minute=60)
        watchers = [budget.watcher() for _ in range(200)]
        for _ in range(1000):
            await watchers[0].turn(Rank.FOLLOWS)
        waiting = [asyncio.ensure_future(watcher.turn()) for watcher in watchers]
        await asyncio.sleep(1)
        budget.close()
        assert await asyncio.gather(*waiting) == [False] * 200
        assert time() == 1
        assert not await watchers[0].turn()

    run_virtual(main())


def test_what_frees_a_place_goes_before_the_rest_without_keeping_it_from_being_made():
    async def main():
        budget, made = LookBudget("here", a_minute=60), []

        async def look(rank):
            with closing(budget.watcher()) as watcher:
                while len(made) < 300:
                    await asyncio.sleep(1)
                    await watcher.turn(rank)
                    made.append(rank)

        await asyncio.gather(*(look(rank) for rank in (Rank.USUAL, Rank.URGENT) for _ in range(10)))
        return made[60:]

    made = run_virtual(main())
    assert made.count(Rank.URGENT) > 2 * made.count(Rank.USUAL) > 40


def test_a_look_that_follows_another_waits_for_nothing_and_is_counted_all_the_same():
    async def main():
        budget, made = LookBudget("here", a_minute=60), 0
        with closing(budget.watcher()) as watcher:
            begun = time()
            while time() - begun < 600:
                await watcher.turn()
                before = time()
                await watcher.turn(Rank.FOLLOWS)
                assert time() == before
                made += 2
        return made

    assert run_virtual(main()) == pytest.approx(60 + 600, abs=3)


def test_a_higher_budget_holds_at_once():
    async def main():
        budget = LookBudget("here", a_minute=60)
        with closing(budget.watcher()) as watcher:
            for _ in range(60):
                await watcher.turn()
            waiting = asyncio.ensure_future(watcher.turn())
            await asyncio.sleep(0.1)
            budget.allow(6000)
            await asyncio.sleep(0.3)
            assert waiting.done()

    run_virtual(main())
