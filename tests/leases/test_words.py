"""What processes tell each other is followed, however often it is said."""

import asyncio

from paas_runner.job.lease import Word
from paas_runner.leases.words import Words
from paas_runner.testing.memory_store import MemoryStore
from paas_runner.testing.shared_memory import LeaseTable, SharedMemoryStore
from paas_runner.testing.virtual_time import run_virtual


def test_a_word_that_is_said_a_thousand_times_a_second_is_followed_a_few_times(caplog):
    done, woken = [], []

    async def reload():
        done.append(None)
        await asyncio.sleep(1)

    async def story():
        table = LeaseTable(lambda: asyncio.get_running_loop().time())
        here, broken = (SharedMemoryStore(MemoryStore(), table) for _ in range(2))
        words = Words(here, wake=lambda: woken.append(None))
        words.heed({Word.RELOAD: reload})
        listening = asyncio.create_task(words.listen())
        for _ in range(3000):
            await broken.tell(Word.RELOAD)
            await broken.tell(Word.CHANGED)
            await asyncio.sleep(0.001)
        assert 2 <= len(done) <= 4, "never two at a time"
        assert len(woken) <= 25
        before = len(done)
        await asyncio.sleep(5)
        assert len(done) == before + 1, "what was said during the last one is done, too"
        await broken.tell(Word.RELOAD)
        await asyncio.sleep(0.1)
        assert len(done) == before + 2, "and a word after the storm at once"
        listening.cancel()

    run_virtual(story())


def test_the_keeper_is_woken_however_long_pauses_take_to_be_looked_up():
    woken = []

    async def slow():
        await asyncio.sleep(10)

    async def story():
        table = LeaseTable(lambda: asyncio.get_running_loop().time())
        here, other = (SharedMemoryStore(MemoryStore(), table) for _ in range(2))
        words = Words(here, wake=lambda: woken.append(asyncio.get_running_loop().time()))
        words.heed({Word.RUNNERS: slow})
        listening = asyncio.create_task(words.listen())
        await asyncio.sleep(0.01)
        for _ in range(3):
            woken.clear()
            await other.tell(Word.CHANGED)
            await asyncio.sleep(0.5)
            assert woken
        listening.cancel()

    run_virtual(story())
