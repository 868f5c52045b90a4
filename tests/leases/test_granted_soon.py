"""What a process may use of the bounds of all grows as soon as it is wanted, not at a renewal alone."""

import asyncio

from tests.support.shared_world import SharedWorld


async def created(world, count):
    """After how many seconds there were so many hosts."""
    began = world.seconds()
    while len(world.cloud.ledger.created) < count:
        await asyncio.sleep(0.1)
    return world.seconds() - began


def test_a_burst_at_one_of_two_processes_does_not_wait_for_renewals(tmp_path):
    async def story(world):
        lives = [world.process("first"), world.process("second")]
        while len(set(world.holders)) < 2:
            await asyncio.sleep(1)
        await asyncio.sleep(15)
        jobs = [world.submit("sleep 5") for _ in range(40)]
        assert await created(world, 40) < 5
        await world.settled(*jobs)
        await asyncio.gather(*(life.stop() for life in lives))

    SharedWorld.play(tmp_path, story, sections=2, mode="spread", concurrent=60)
