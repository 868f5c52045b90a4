"""Virtual time passes at once, in order, and refuses what it cannot see."""

import asyncio
import time
from datetime import timedelta

import pytest

from paas_runner.testing import EPOCH, run_virtual, virtual_now


def test_a_year_of_waiting_takes_no_time():
    async def main():
        await asyncio.sleep(timedelta(days=365).total_seconds())
        return virtual_now()

    begun = time.monotonic()
    assert run_virtual(main()) == EPOCH + timedelta(days=365)
    assert time.monotonic() - begun < 60


def test_timers_fire_in_their_order_each_at_its_time():
    async def main():
        fired = []

        async def timer(seconds):
            await asyncio.sleep(seconds)
            fired.append((seconds, (virtual_now() - EPOCH).total_seconds()))

        await asyncio.gather(*map(timer, (3600, 1, 60)))
        return fired

    assert run_virtual(main()) == [(1, 1), (60, 60), (3600, 3600)]


def test_no_time_passes_while_a_task_has_something_to_do():
    async def main():
        async with asyncio.timeout(0.001):
            for _ in range(10_000):
                await asyncio.sleep(0)
        return virtual_now()

    assert run_virtual(main()) == EPOCH


def test_a_thread_is_refused():
    async def main():
        await asyncio.to_thread(print)

    with pytest.raises(RuntimeError, match="needs a thread"):
        run_virtual(main())


def test_tasks_that_wait_for_each_other_are_an_error_and_are_ended():
    ended = []

    async def main():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        run_virtual(main())
    assert ended


def test_an_error_of_the_story_is_the_error_of_the_test():
    async def main():
        await asyncio.sleep(10)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_virtual(main())
