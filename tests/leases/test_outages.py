"""The database goes away and comes back: jobs are looked after, none is asked for, nothing is done twice."""

import asyncio

import pytest
from structlog.testing import capture_logs

from tests.support.shared_world import SharedWorld


def events(logs, *names):
    return [line["event"] for line in logs if line["event"] in names]


@pytest.mark.parametrize("away", ["refuses", "hangs"])
def test_fifteen_seconds_after_the_last_renewal_no_job_is_asked_for_and_those_that_run_are_watched(
    tmp_path, away
):
    async def story(world):
        life = world.process("first")
        await world.held_by(life, 0)
        running = world.submit("sleep 120")
        await asyncio.sleep(20)
        with capture_logs() as logs:
            life.store.away = away
            await asyncio.sleep(21)
            late = world.submit("sleep 1")
            await asyncio.sleep(80)
            assert events(logs, "store_unreachable", "leases_run_out") == [
                "store_unreachable",
                "leases_run_out",
            ]
            assert len(life.jobs) == 1
            assert late.status == "pending"
            [runner] = life.status.runners
            assert "whose the sections are is not known" in runner.why
            before = len(world.alive)
            await asyncio.sleep(60)  # the job ends: its host may be another's by now
            assert (before, len(world.alive)) == (1, 1)
            life.store.away = ""
            await world.settled(running, late)
        [back] = [line for line in logs if line["event"] == "store_reachable"]
        assert 150 <= back["seconds"] <= 170
        assert events(logs, "section_lost", "section_taken") == []
        await life.stop()

    SharedWorld.play(tmp_path, story)


def test_an_outage_shorter_than_the_lease_is_not_noticed_by_any_job(tmp_path):
    async def story(world):
        life = world.process("first")
        await world.held_by(life, 0)
        with capture_logs() as logs:
            life.store.away = "restarts"
            await asyncio.sleep(8)
            life.store.away = ""
            job = world.submit()
            await world.settled(job)
        assert events(logs, "store_unreachable", "leases_run_out", "store_reachable") == [
            "store_unreachable",
            "store_reachable",
        ]
        await life.stop()

    SharedWorld.play(tmp_path, story)


@pytest.mark.parametrize("away", ["refuses", "hangs"])
def test_who_is_cut_off_from_the_database_is_replaced_and_then_stands_by(tmp_path, away):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second")
        jobs = [world.submit("sleep 100") for _ in range(3)]
        await asyncio.sleep(10)
        first.store.away = away
        assert await world.held_by(second, 0) <= 20
        await asyncio.sleep(5)
        assert (len(first.jobs), len(second.jobs)) == (3, 3), "both watch, one acts"
        await asyncio.sleep(30)
        with capture_logs() as logs:
            first.store.away = ""
            await asyncio.sleep(10)
        assert events(logs, "section_lost", "store_reachable") == ["section_lost", "store_reachable"]
        assert first.jobs == set()
        await world.settled(*jobs)
        assert set(world.launches.values()) == {1}
        await second.stop()
        assert await world.held_by(first, 0) <= 5
        last = world.submit()
        await world.settled(last)
        await first.stop()

    SharedWorld.play(tmp_path, story)


@pytest.mark.parametrize("away", ["refuses", "hangs"])
def test_a_stop_without_the_database_ends_in_time_and_leaves_the_rest_to_the_other(tmp_path, away):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second")
        jobs = [world.submit("sleep 60") for _ in range(3)]
        await asyncio.sleep(10)
        first.store.away = away
        began = world.seconds()
        await first.stop()
        assert world.seconds() - began <= 30
        assert await world.held_by(second, 0) <= 20
        await world.settled(*jobs)
        assert set(world.launches.values()) == {1}
        await second.stop()

    SharedWorld.play(tmp_path, story)


def test_a_job_that_was_acquired_as_the_lease_was_lost_is_gone_on_with_by_the_other(tmp_path):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second")
        await asyncio.sleep(6)
        first.store.away = "hangs"
        job = world.submit("sleep 5")
        await asyncio.sleep(1)
        assert job.status == "running", "handed out, and on no disk"
        assert await world.held_by(second, 0) <= 20
        assert not await world.store.jobs()
        first.store.away = ""
        await world.settled(job)
        assert job.status == "success"
        assert first.jobs == second.jobs == set()
        await asyncio.gather(first.stop(), second.stop())

    SharedWorld.play(tmp_path, story)
