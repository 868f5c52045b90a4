"""Nothing of an earlier tenure goes on under a later one, whatever stands in flight."""

import asyncio

import pytest

from paas_runner.job.lease import LEASE_SECONDS, Mode, Tending, Word
from paas_runner.job.lifecycle import acquired
from paas_runner.store import StaleLeaseError
from paas_runner.testing.memory_store import MemoryStore
from paas_runner.testing.shared_memory import LeaseTable, SharedMemoryStore
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.records import payload
from tests.support.shared_world import SharedWorld

LINGERING_SECONDS = 30

TAKING = Tending(name="here", version="1", mode=Mode.STANDBY, serves=frozenset({"r"}), take=frozenset({"r"}))


def test_a_section_that_was_lost_is_taken_again_only_after_its_loops_have_ended(tmp_path):
    async def story(world):
        pushing = asyncio.Event()

        async def push(*_tree_and_url, **_more):
            pushing.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(LINGERING_SECONDS)

        world.push = push
        process = world.process("first")
        world.submit("true")
        await pushing.wait()
        row = world.table.rows[world.keys[0]]
        row.holder, row.epoch = "another", row.epoch + 1
        await asyncio.sleep(6)
        lost_at, row.holder = world.seconds(), ""
        assert await world.held_by(process, 0) >= LINGERING_SECONDS - 7
        assert world.seconds() <= lost_at + LINGERING_SECONDS
        await process.stop()

    SharedWorld.play(tmp_path, story)


def test_a_job_that_arrives_after_a_fail_over_to_records_of_before_is_found(tmp_path):
    async def story(world):
        process = world.process("first")
        await world.held_by(process, 0)
        row = world.table.rows[world.keys[0]]
        row.arrivals = 5
        await asyncio.sleep(6)
        row.arrivals = 3
        another = SharedMemoryStore(world.store, world.table)
        await another.add(acquired(world.keys[0], payload(77), virtual_now()))
        assert await world.store.jobs()
        await asyncio.sleep(60)
        assert not await world.store.jobs(), "its coordinator does not know it: it is over"
        await process.stop()

    SharedWorld.play(tmp_path, story)


def test_a_record_of_before_that_a_fail_over_brings_back_is_looked_after(tmp_path):
    async def story(world):
        process = world.process("first")
        await world.held_by(process, 0)
        await asyncio.sleep(10)
        await world.store.save(acquired(world.keys[0], payload(77), virtual_now()))
        world.table.listeners[process.holder].put_nowait(Word.ANEW)
        await asyncio.sleep(60)
        assert not await world.store.jobs(), "its coordinator does not know it: it is over"
        await process.stop()

    SharedWorld.play(tmp_path, story)


class Slow(SharedMemoryStore):
    """A store whose writes are long on their way."""

    seconds = 0.0

    async def _asked(self, work):
        await asyncio.sleep(self.seconds)
        return await super()._asked(work)


def test_a_write_that_was_on_its_way_while_others_had_the_section_is_refused():
    async def story():
        disk, table = MemoryStore(), LeaseTable(lambda: asyncio.get_running_loop().time())
        one, other = Slow(disk, table), SharedMemoryStore(disk, table)
        await one.tend(TAKING)
        one.seconds = 3 * LEASE_SECONDS
        writing = asyncio.ensure_future(one.save(acquired("r", payload(1), virtual_now())))
        await asyncio.sleep(LEASE_SECONDS + 1)
        one.seconds = 0.0
        await other.tend(TAKING)
        await other.leave()
        await one.tend(TAKING)
        with pytest.raises(StaleLeaseError):
            await writing
        assert not await disk.jobs()
        await one.save(acquired("r", payload(2), virtual_now()))
        assert len(await disk.jobs()) == 1

    run_virtual(story())
