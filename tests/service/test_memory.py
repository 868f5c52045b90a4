"""What the service keeps in memory of a job that runs."""

import asyncio
import gc

from paas_runner.job.tracked import TrackedJob
from tests.support.virtual_world import VirtualWorld


def records():
    return [each for each in gc.get_objects() if isinstance(each, TrackedJob)]


async def while_it_runs(world):
    """How many records with a payload are in memory when all jobs have been on their hosts for a while."""
    others = {id(each): each for each in records()}
    async with world.service():
        jobs = [world.submit("sleep 600", name=f"job {number}") for number in range(3)]
        await asyncio.sleep(120)
        launched = dict(world.launches)
        gc.collect()
        kept = sum(each.payload is not None for each in records() if id(each) not in others)
        await world.settled(*jobs)
    return launched, kept


def test_a_payload_is_gone_from_memory_once_its_host_has_it(tmp_path):
    launched, kept = VirtualWorld.play(tmp_path, while_it_runs)
    assert list(launched.values()) == [1, 1, 1]
    assert kept == 0
