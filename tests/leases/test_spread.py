"""Sections divided between two services: each serves its own, the bounds hold for both together."""

import asyncio
from collections import Counter

from structlog.testing import capture_logs

from tests.support.shared_world import SharedWorld


async def divided(world):
    """Two processes, once each of them has two of four sections."""
    lives = [world.process("first"), world.process("second")]
    while sorted(Counter(world.holders).values()) != [2, 2]:
        await asyncio.sleep(1)
    await asyncio.sleep(15)  # what is idle is lent
    return lives


def test_sections_are_divided_and_all_jobs_run_once(tmp_path):
    async def story(world):
        lives = await divided(world)
        jobs = [world.submit("sleep 20") for _ in range(12)]
        await asyncio.sleep(20)
        assert all(life.jobs for life in lives)
        await world.settled(*jobs)
        await asyncio.gather(*(life.stop() for life in lives))
        assert set(world.launches.values()) == {1}

    SharedWorld.play(tmp_path, story, sections=4, mode="spread")


def test_concurrent_holds_for_both_together_and_nobody_goes_without(tmp_path):
    async def story(world):
        lives = await divided(world)
        watching = asyncio.ensure_future(world.watch())
        jobs = [world.submit("sleep 30") for _ in range(30)]
        served = set()
        while any(job.status == "pending" for job in jobs):
            served |= {(life.name, job) for life in lives for job in life.jobs}
            await asyncio.sleep(1)
        await world.settled(*jobs)
        watching.cancel()
        assert world.most_alive <= 5
        assert min(Counter(name for name, _ in served).values()) >= 5
        await asyncio.gather(*(life.stop() for life in lives))

    SharedWorld.play(tmp_path, story, sections=4, mode="spread", concurrent=5)


def test_a_single_place_goes_to_the_one_that_has_a_job_for_it(tmp_path):
    async def story(world):
        lives = await divided(world)
        watching = asyncio.ensure_future(world.watch())
        jobs = [world.submit("sleep 10") for _ in range(4)]
        await world.settled(*jobs)
        watching.cancel()
        assert world.most_alive == 1
        await asyncio.gather(*(life.stop() for life in lives))

    SharedWorld.play(tmp_path, story, sections=4, mode="spread", concurrent=1)


def test_who_dies_leaves_its_sections_to_the_other_and_gets_some_again_when_it_is_back(tmp_path):
    async def story(world):
        first, second = await divided(world)
        jobs = [world.submit("sleep 60") for _ in range(8)]
        await asyncio.sleep(15)
        await first.kill()
        assert await world.held_by(second, 0, 1, 2, 3) <= 20
        again = world.process("first")
        with capture_logs() as logs:
            while sorted(Counter(world.holders).values()) != [2, 2]:
                await asyncio.sleep(1)
        await asyncio.sleep(1)
        moved = [line["event"] for line in logs if line["event"].startswith("section_")]
        assert sorted(moved)[:2] == ["section_handed_over", "section_handed_over"]
        await world.settled(*jobs)
        assert set(world.launches.values()) == {1}
        await asyncio.gather(again.stop(), second.stop())

    SharedWorld.play(tmp_path, story, sections=4, mode="spread")


def test_a_section_that_a_reload_adds_or_takes_away_is_followed(tmp_path):
    async def story(world):
        life = world.process("first", sections=[0])
        await world.held_by(life, 0)
        life.write(sections=[0, 1])
        await life.operations.reload()
        assert await world.held_by(life, 1) <= 1
        job = world.submit("sleep 30")
        await asyncio.sleep(5)
        life.write(sections=[0] if job.job_id else [])
        await life.operations.reload()
        await world.settled(job)
        await asyncio.sleep(10)
        assert world.holders == [life.holder, ""]
        await life.stop()

    SharedWorld.play(tmp_path, story, sections=2)


def test_a_change_of_the_mode_one_after_the_other_comes_to_rest(tmp_path):
    async def story(world):
        first, second = await divided(world)
        jobs = [world.submit("sleep 100") for _ in range(6)]
        await asyncio.sleep(15)
        await first.stop()
        third = world.process("first", mode="standby")
        await asyncio.sleep(20)
        assert set(world.holders) == {second.holder}
        await second.stop()
        fourth = world.process("second", mode="standby")
        await asyncio.sleep(20)
        assert set(world.holders) == {third.holder}
        await world.settled(*jobs)
        assert set(world.launches.values()) == {1}
        await asyncio.gather(third.stop(), fourth.stop())

    SharedWorld.play(tmp_path, story, sections=4, mode="spread")


def test_bounds_hold_while_sections_with_jobs_change_hands(tmp_path):
    async def story(world):
        lives = [world.process("first"), world.process("second")]
        watching = asyncio.ensure_future(world.watch())
        jobs = [world.submit("sleep 30") for _ in range(8)]
        for number in range(6):
            await asyncio.sleep(45)  # now and then a section moves to the one that came last
            await (lives[0].kill() if number % 3 == 2 else lives[0].stop())
            lives = [lives[1], world.process(f"process {number}")]
        await world.settled(*jobs)
        watching.cancel()
        assert world.most_alive == 1
        await asyncio.gather(*(life.stop() for life in lives))

    SharedWorld.play(tmp_path, story, sections=4, mode="spread", concurrent=1)
