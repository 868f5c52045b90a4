"""Two services on one store, one of them in charge: when it goes, in whatever way, the other goes on."""

import asyncio

from structlog.testing import capture_logs

from tests.support.shared_world import SharedWorld


def test_the_standby_asks_for_nothing_and_touches_no_job(tmp_path):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second")
        jobs = [world.submit("sleep 30") for _ in range(3)]
        await asyncio.sleep(20)
        assert (len(first.jobs), second.jobs) == (3, set())
        await world.settled(*jobs)
        await asyncio.sleep(60)
        assert world.holders == [first.holder]
        await asyncio.gather(first.stop(), second.stop())
        assert set(world.launches.values()) == {1}

    SharedWorld.play(tmp_path, story)


def test_when_one_is_killed_the_other_goes_on_within_twenty_seconds(tmp_path):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second")
        jobs = [world.submit("sleep 60") for _ in range(4)]
        await asyncio.sleep(10)
        await first.kill()
        with capture_logs() as logs:
            assert await world.held_by(second, 0) <= 20
            await asyncio.sleep(1)
        assert len(second.jobs) == 4
        [taken] = [line for line in logs if line["event"] == "section_taken"]
        assert taken["taken_from"] == "first"
        assert taken["free_seconds"] <= 0.5
        await world.settled(*jobs)
        await second.stop()
        assert set(world.launches.values()) == {1}
        assert not await world.store.jobs()

    SharedWorld.play(tmp_path, story)


def test_at_an_orderly_stop_the_other_goes_on_within_five_seconds(tmp_path):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second")
        jobs = [world.submit("sleep 60") for _ in range(4)]
        await asyncio.sleep(10)
        first.begin_to_stop()
        assert await world.held_by(second, 0) <= 5
        await first.serving
        assert not first.read().state_file.exists()
        await world.settled(*jobs)
        await second.stop()
        assert set(world.launches.values()) == {1}

    SharedWorld.play(tmp_path, story)


def test_one_after_the_other_is_stopped_or_killed_and_no_job_is_lost(tmp_path):
    async def story(world):
        present = world.process("0")
        await world.held_by(present, 0)
        jobs = []
        for life in range(1, 9):
            jobs += [world.submit("sleep 20") for _ in range(3)]
            following = world.process(str(life))
            await asyncio.sleep(world.rng.uniform(3, 12))
            await (present.kill() if life % 2 else present.stop())
            assert await world.held_by(following, 0) <= 20
            present = following
        await world.settled(*jobs)
        await present.stop()
        assert all(job.status == "success" for job in jobs)
        assert set(world.launches.values()) == {1}

    SharedWorld.play(tmp_path, story)


def test_both_are_known_by_one_system_id_and_one_mark(tmp_path):
    async def story(world):
        first, second = world.process("first"), world.process("second")
        await asyncio.sleep(10)
        marks = {life.read().installation_path.read_text() for life in (first, second)}
        assert len(marks) == 1
        assert world.table.system_id
        await asyncio.gather(first.stop(), second.stop())

    SharedWorld.play(tmp_path, story)
