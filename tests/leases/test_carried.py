"""What an operator asks one process, all that share its store do."""

import asyncio

import pytest
from structlog.testing import capture_logs

from paas_runner.errors import RunnerError
from paas_runner.job.lease import Word
from paas_runner.store import StoreError
from tests.support.shared_world import SharedWorld


def test_a_pause_holds_for_whoever_has_the_section_and_after_a_takeover(tmp_path):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second")
        await asyncio.sleep(6)
        await second.operations.pause("r0")
        await asyncio.sleep(1)
        assert first.status.runners[0].state == "paused"
        job = world.submit()
        await asyncio.sleep(60)
        await first.kill()
        await world.held_by(second, 0)
        await asyncio.sleep(60)
        assert job.status == "pending"
        await second.operations.resume("r0")
        await world.settled(job)
        await second.stop()

    SharedWorld.play(tmp_path, story)


def test_two_pauses_at_the_same_moment_are_both_kept(tmp_path):
    async def story(world):
        first, second = world.process("first"), world.process("second")
        await asyncio.sleep(10)
        for life, seconds in ((first, 1), (second, 2)):
            life.store.slow = seconds
        await asyncio.gather(first.operations.pause("r0"), second.operations.pause("r1"))
        assert [runner.paused for runner in await world.store.runners()] == [True, True]
        await asyncio.gather(first.stop(), second.stop())

    SharedWorld.play(tmp_path, story, sections=2)


def test_a_pause_that_an_outage_has_swallowed_is_heard_of_after_it(tmp_path):
    async def story(world):
        first, second = world.process("first"), world.process("second")
        await asyncio.sleep(10)
        listener = world.table.listeners.pop(second.holder)
        await first.operations.pause("r0")
        world.table.listeners[second.holder] = listener
        listener.put_nowait(Word.CHANGED)
        await asyncio.sleep(1)
        await first.stop()
        await world.held_by(second, 0)
        assert second.status.runners[0].state == "paused"
        await second.stop()

    SharedWorld.play(tmp_path, story)


def test_a_pause_is_followed_as_soon_as_the_store_can_be_read(tmp_path):
    async def story(world):
        first, second = world.process("first"), world.process("second")
        await world.held_by(first, 0)
        await asyncio.sleep(6)
        runners = first.store.runners

        async def away():
            raise StoreError("the database is slow")

        first.store.runners = away
        await second.operations.pause("r0")
        await asyncio.sleep(3)
        first.store.runners = runners
        await asyncio.sleep(2)
        assert first.status.runners[0].state == "paused"
        await asyncio.gather(first.stop(), second.stop())

    SharedWorld.play(tmp_path, story)


def test_a_reload_is_done_by_all_each_with_its_own_file(tmp_path):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second")
        await asyncio.sleep(6)
        for life in (first, second):
            life.write(concurrent=3)
        await second.operations.reload()
        await asyncio.sleep(1)
        assert [life.status.capacity.concurrent.limit for life in (first, second)] == [3, 3]
        await asyncio.gather(first.stop(), second.stop())

    SharedWorld.play(tmp_path, story)


def test_a_file_that_one_of_them_cannot_read_ends_nobody(tmp_path):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second")
        await asyncio.sleep(6)
        (first.folder / "config.toml").write_text("concurrent = many")
        with capture_logs() as logs:
            await second.operations.reload()
            await asyncio.sleep(1)
        assert "configuration_refused" in [line["event"] for line in logs]
        assert world.holders == [first.holder]
        with pytest.raises(RunnerError):
            await first.operations.reload()
        await asyncio.gather(first.stop(), second.stop())

    SharedWorld.play(tmp_path, story)


def test_a_drain_ends_all_after_the_last_job_of_any(tmp_path):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second")
        job = world.submit("sleep 60")
        await asyncio.sleep(10)
        await second.operations.drain()
        await asyncio.sleep(20)
        left_out = world.submit()
        await asyncio.sleep(10)
        assert not second.serving.done(), "the other may yet leave its job to it"
        certificates = await asyncio.gather(first.serving, second.serving)
        assert [certificate.clean for certificate in certificates] == [True, True]
        assert (job.status, left_out.status) == ("success", "pending")

    SharedWorld.play(tmp_path, story)


def test_who_dies_while_all_drain_leaves_its_jobs_to_the_other(tmp_path):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second")
        job = world.submit("sleep 60")
        await asyncio.sleep(10)
        await first.operations.drain()
        await asyncio.sleep(10)
        await first.kill()
        assert (await second.serving).clean
        assert job.status == "success"
        assert set(world.launches.values()) == {1}

    SharedWorld.play(tmp_path, story)


def test_where_others_cannot_be_told_the_operator_reads_so_in_the_log(tmp_path):
    async def story(world):
        life = world.process("first")
        await world.held_by(life, 0)

        async def tell(_word):
            await life.store._reached()

        life.store.tell = tell
        life.store.away = "refuses"
        with capture_logs() as logs:
            await life.operations.reload()
        [line] = [line for line in logs if line["event"] == "others_not_told"]
        assert (line["word"], line["log_level"]) == ("reload", "warning")
        life.store.away = ""
        await life.stop()

    SharedWorld.play(tmp_path, story)
