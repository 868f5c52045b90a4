"""What an operator asks of one process all with the same store do, and the answer says which."""

import asyncio

import pytest

from paas_runner.service.operations import handlers
from paas_runner.status.report import RunnerState
from tests.support.shared_world import SharedWorld


@pytest.fixture
def play(tmp_path):
    def play(story, **options):
        SharedWorld.play(tmp_path, story, **options)

    return play


async def paired(world):
    first = world.process("first")
    await world.held_by(first, 0)
    second = world.process("second")
    await asyncio.sleep(10)
    return first, second


async def asked(life, **request):
    return [part async for part in handlers(life.operations)[request["ask"]](request)]


def test_a_pause_holds_wherever_the_runner_is(play):
    async def story(world):
        first, second = await paired(world)
        [answer] = await asked(second, ask="pause", runner="r0")
        assert answer == {"runner": "r0", "told": ["first"]}
        await asyncio.sleep(1)
        assert first.status.runners[0].state is RunnerState.PAUSED
        await first.stop()
        await asyncio.sleep(10)
        assert second.status.runners[0].state is RunnerState.PAUSED
        [answer] = await asked(second, ask="resume", runner="r0")
        assert answer == {"runner": "r0"}, "nobody else is there"
        await second.stop()

    play(story)


def test_a_reload_is_done_by_all_each_with_its_own_file(play):
    async def story(world):
        first, second = await paired(world)
        first.write(concurrent=7)
        second.write(concurrent=7)
        [answer] = await asked(second, ask="reload")
        assert (answer["changes"], answer["told"]) == (["concurrent: 10 → 7"], ["first"])
        await asyncio.sleep(1)
        assert first.status.capacity.concurrent.limit == 7
        for life in (first, second):
            await life.stop()

    play(story)


def test_a_drain_asked_of_one_ends_all_after_the_last_job(play):
    async def story(world):
        first, second = await paired(world)
        job = world.submit("sleep 60")
        await asyncio.sleep(20)
        [answer] = await asked(second, ask="drain")
        assert answer == {"told": ["first"]}
        await asyncio.sleep(1)
        late = world.submit("true")
        certificates = await asyncio.gather(first.serving, second.serving)
        assert [certificate.clean for certificate in certificates] == [True, True]
        assert job.status == "success"
        assert late.status == "pending"

    play(story)
