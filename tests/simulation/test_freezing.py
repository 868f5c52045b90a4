"""A process that is stopped in any instruction: what the simulated one has in common with a real one."""

import asyncio

import pytest

from tests.simulation.freezing import Freezable, FreezableLoop


@pytest.fixture
def play():
    def played(story):
        with asyncio.Runner(loop_factory=FreezableLoop) as runner:
            return runner.run(story())

    return played


def now():
    return asyncio.get_running_loop().time()


async def ticking(ticks):
    while True:
        await asyncio.sleep(1)
        ticks.append(now())


def test_nothing_of_a_frozen_process_runs_and_its_timers_fire_late(play):
    async def story():
        frozen, other = [], []
        process = Freezable()
        tasks = [process.begin(ticking(frozen)), Freezable().begin(ticking(other))]
        await asyncio.sleep(1.5)
        process.freeze()
        await asyncio.sleep(9)
        assert (frozen, len(other)) == ([1.0], 10)
        process.thaw()
        await asyncio.sleep(1.7)
        assert frozen == [1.0, 10.5, 11.5]
        for task in tasks:
            task.cancel()

    play(story)


@pytest.mark.parametrize(("timers_first", "expected"), [(False, "answered"), (True, "timed out")])
def test_an_answer_that_came_meanwhile_and_its_deadline_are_both_due(play, timers_first, expected):
    async def story():
        answer = asyncio.get_running_loop().create_future()

        async def ask():
            try:
                async with asyncio.timeout(5):
                    return await answer
            except TimeoutError:
                return "timed out"

        process = Freezable()
        asking = process.begin(ask())
        await asyncio.sleep(1)
        process.freeze()
        answer.set_result("answered")
        await asyncio.sleep(60)
        process.thaw(timers_first=timers_first)
        assert await asking == expected

    play(story)


def test_what_a_process_begins_is_frozen_with_it(play):
    async def story():
        ticks = []

        async def parent():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(ticking(ticks))

        process = Freezable()
        task = process.begin(parent())
        await asyncio.sleep(2.5)
        process.freeze()
        await asyncio.sleep(5)
        assert ticks == [1.0, 2.0]
        process.thaw()
        task.cancel()

    play(story)
