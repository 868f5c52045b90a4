"""Schedules in virtual time: what comes, what is caught up, and what a clock that is set does to them."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_pipelines.definitions.automation import CatchUp, Overlap, Schedule
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.triggers.feed import Feed
from paas_pipelines.triggers.planning import MOST_CAUGHT_UP, planned

from paas_runner.testing.virtual_time import EPOCH, run_virtual, virtual_now
from tests.support.memory_journal import MemoryJournal
from tests.support.often import often
from tests.support.triggered import pipeline, schedule

MINUTES = timedelta(minutes=1)
QUICK = {"tasks": {"nothing": TaskDefinition()}, "concurrency": 99}


class Scheduled:
    """A server with schedules; `clock` is what it takes for the time."""

    def __init__(self, *definitions, journal=None):
        self.journal = journal or MemoryJournal()
        self.skew = timedelta()
        self.engine = Engine(self.clock, RunBook(), {each.name: each for each in definitions})

    def clock(self):
        return virtual_now() + self.skew

    @contextlib.asynccontextmanager
    async def living(self):
        self.feed = await Feed.opened(self.engine, self.journal, self.clock)
        task = asyncio.create_task(self.feed.run())
        await asyncio.sleep(0.1)
        try:
            yield self
        finally:
            task.cancel()

    def outcomes(self):
        """Of all events that were handled, oldest first: the planned minute, and what came of it."""
        return [
            (self._planned(event), *(each.refusal or "run" for each in event.outcomes))
            for event in reversed(self.feed.events())
            if not event.reason
        ]

    def dropped(self):
        """Of all others the same, and why."""
        return [(self._planned(event), event.reason) for event in self.feed.events() if event.reason]

    def _planned(self, event):
        return (datetime.fromisoformat(event.meta["planned"]) - EPOCH) / MINUTES


def virtual(main):
    def test():
        run_virtual(main())

    test.__name__, test.__doc__ = main.__name__, main.__doc__
    return test


@virtual
async def test_every_ten_minutes_a_run():
    async with Scheduled(pipeline("p", schedule(), **QUICK)).living() as world:
        await asyncio.sleep(3600)
        assert world.outcomes() == [(minute, "run") for minute in range(10, 61, 10)]
        run = next(world.engine.book.runs())
        assert (run.user, run.origin.trigger) == ("trigger/p/often", "p/often")
        assert world.feed.next_times("p", "often", 2) == [EPOCH + 70 * MINUTES, EPOCH + 80 * MINUTES]


@virtual
async def test_moments_come_on_time_although_the_loop_looks_every_half_minute_only():
    world = Scheduled(pipeline("p", schedule(every=timedelta(seconds=7)), **QUICK))
    async with world.living():
        await asyncio.sleep(60)
        late = [
            event.created - datetime.fromisoformat(event.meta["planned"]) for event in world.feed.events()
        ]
        assert len(late) == 8
        assert max(late) < timedelta(seconds=0.1)


@pytest.mark.parametrize(
    ("how", "minutes", "dropped"),
    [
        ({"catch_up": CatchUp.LAST}, [20, 60, 70], []),
        ({"catch_up": CatchUp.NONE}, [20, 70], ["catch_up"]),
        ({"catch_up": CatchUp.ALL}, [20, 30, 40, 50, 60, 70], []),
        ({"catch_up_window": 2 * MINUTES}, [20, 70], ["catch_up_window"]),
    ],
)
def test_what_was_missed_while_the_server_was_down(how, minutes, dropped):
    async def main():
        trigger = schedule(**how)
        world = Scheduled(pipeline("p", trigger, **QUICK))
        async with world.living():
            await asyncio.sleep(25 * 60)
            assert [minute for minute, _ in world.outcomes()] == [10, 20]
        await asyncio.sleep(40 * 60)
        world.engine = Engine(world.clock, RunBook(), world.engine.definitions)
        async with world.living():
            await asyncio.sleep(6 * 60)
            assert [minute for minute, _ in world.outcomes()][1:] == minutes
            assert world.dropped() == [
                (60, f"missed 5 min ago, which is too long ago for its {key}") for key in dropped
            ]

    run_virtual(main())


@virtual
async def test_a_clock_set_back_repeats_nothing_and_one_set_forward_is_a_miss():
    async with Scheduled(pipeline("p", schedule(), **QUICK)).living() as world:
        await asyncio.sleep(31 * 60)
        world.skew = timedelta(minutes=-25)
        await asyncio.sleep(25 * 60)
        assert [minute for minute, _ in world.outcomes()] == [10, 20, 30]
        world.skew = timedelta(minutes=10)  # 66, and 40 to 60 have been missed
        await asyncio.sleep(60)
        assert [minute for minute, _ in world.outcomes()] == [10, 20, 30, 60]


@virtual
async def test_a_schedule_that_changes_begins_now():
    world = Scheduled(pipeline("p", schedule(), **QUICK))
    async with world.living():
        await asyncio.sleep(15 * 60)
        changed = schedule(every=timedelta(minutes=1))
        world.engine.replace_definitions({"p": pipeline("p", changed, **QUICK)})
        await asyncio.sleep(150)
        assert [minute for minute, _ in world.outcomes()] == [10, 16, 17]
        world.engine.replace_definitions({})
        await asyncio.sleep(300)
        assert world.feed.book.states() == []
        world.engine.replace_definitions({"p": pipeline("p", changed, **QUICK)})
        await asyncio.sleep(60)
        assert [minute for minute, _ in world.outcomes()][3:] == [23]


@virtual
async def test_what_was_paused_is_not_caught_up():
    async with Scheduled(pipeline("p", schedule(), **QUICK)).living() as world:
        world.feed.pause("p", "often", "ada")
        assert world.feed.next_times("p", "often", 1) == ()
        await asyncio.sleep(25 * 60)
        assert world.outcomes() == []
        world.feed.resume("p", "often")
        await asyncio.sleep(10 * 60)
        assert world.outcomes() == [(30, "run")]


@pytest.mark.parametrize(
    ("overlap", "told", "canceled"),
    [("skip", "skipped: overlap", []), ("queue", "run", []), ("replace", "run", [True, False])],
)
def test_a_run_that_is_not_over_when_the_next_one_comes(overlap, told, canceled):
    async def main():
        world = Scheduled(pipeline("p", schedule(overlap=Overlap(overlap)), concurrency=2))
        async with world.living():
            other = world.engine.schedule("p", variables={})  # of somebody: it is in nobody's way
            await asyncio.sleep(25 * 60)
            assert world.outcomes() == [(10, "run"), (20, told)]
            runs = [run for run in world.engine.book.runs() if run.run_id != other.run_id]
            assert [run.canceled for run in reversed(runs)] == (canceled or [False] * len(runs))

    run_virtual(main())


@virtual
async def test_one_that_waits_is_replaced_although_there_is_no_other_place_to_wait():
    world = Scheduled(pipeline("p", schedule(overlap=Overlap.REPLACE), queue_limit=1))
    async with world.living():
        world.engine.schedule("p", variables={})  # of somebody, who has the slot
        await asyncio.sleep(25 * 60)
        assert world.outcomes() == [(10, "run"), (20, "run")]
        assert [(run.waiting, run.canceled) for run in world.engine.book.runs()] == [
            (True, False),
            (False, True),
            (False, False),
        ]


@virtual
async def test_after_the_end_of_a_run_nothing_overlaps():
    world = Scheduled(pipeline("p", schedule()))
    async with world.living():
        await asyncio.sleep(15 * 60)
        world.engine.task_ended(next(world.engine.book.runs()).run_id, "first", TaskEnd())
        await asyncio.sleep(10 * 60)
        assert world.outcomes() == [(10, "run"), (20, "run")]


@virtual
async def test_one_that_is_wrong_is_told_and_harms_no_other():
    wrong = schedule("wrong", cron="0 0 31 2 *")
    async with Scheduled(pipeline("p", wrong, schedule(), **QUICK)).living() as world:
        await asyncio.sleep(11 * 60)
        assert world.outcomes() == [(10, "run")]


@virtual
async def test_jitter_delays_all_moments_alike():
    trigger = schedule(jitter=timedelta(minutes=5))
    async with Scheduled(pipeline("p", trigger, **QUICK)).living() as world:
        shown = world.feed.next_times("p", "often", 3)
        await asyncio.sleep(36 * 60)
        made = [event.created for event in reversed(world.feed.events())]
        assert all(abs(one - other) < timedelta(seconds=0.1) for one, other in zip(shown, made, strict=True))


@settings(max_examples=often(80), deadline=None)
@given(
    every=st.integers(1, 4000),
    behind=st.integers(0, 10**5),
    window=st.integers(0, 10**5),
    catch_up=st.sampled_from(CatchUp),
)
def test_a_plan_is_what_the_rule_says(every, behind, window, catch_up):
    given = Schedule(
        every=timedelta(seconds=every), catch_up=catch_up, catch_up_window=timedelta(seconds=window)
    )
    now = datetime(2026, 3, 1, 7, 31, 23, tzinfo=UTC)
    cursor = now - timedelta(seconds=behind)
    first = (int(cursor.timestamp()) // every + 1) * every
    due = [datetime.fromtimestamp(n, UTC) for n in range(first, int(now.timestamp()) + 1, every)]
    late = [each for each in due if timedelta(seconds=60) < now - each <= timedelta(seconds=window)]
    punctual = [each for each in due if now - each <= timedelta(seconds=60)]
    wanted = {
        CatchUp.NONE: punctual,
        CatchUp.LAST: punctual or late[-1:],
        CatchUp.ALL: (late + punctual)[-MOST_CAUGHT_UP:],
    }[catch_up]
    plan = planned(given, "p/t", cursor, now)
    assert list(plan.starts) == wanted
    assert plan.cursor >= cursor
    assert not planned(given, "p/t", plan.cursor, now).starts
    if wanted:
        assert plan.cursor >= wanted[-1]
