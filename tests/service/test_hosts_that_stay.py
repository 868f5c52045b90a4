"""The whole service in virtual time, with hosts that stay, whose helpers are the real ones: H140 to H143."""

import asyncio
import contextlib
import functools

import pytest

from paas_runner.job.known_runner import short_token
from paas_runner.job.tracked import Phase
from paas_runner.sandbox.helpers import Cleaning, Manners
from tests.support.operated_world import OperatedWorld

STAYS = """executor = "clever-service-docker"
  paas_keep_resources_for_reuse_seconds = {standby}"""


class StayingWorld(OperatedWorld):
    """Its hosts take one job after the other, and wait for the next one for ten minutes."""

    standby = 600

    def configuration(self):
        text = self.config_file.read_text()
        self.config_file.write_text(
            text.replace('executor = "clever-docker"', STAYS.format(standby=self.standby))
        )
        return super().configuration()

    async def run(self, *jobs):
        """Until they have ended."""
        while not all(job.ended for job in jobs):
            await asyncio.sleep(1)

    async def waiting(self, hosts=1):
        """Until so many hosts are on standby."""
        while [job.phase for job in await self.store.jobs()] != [Phase.STANDBY] * hosts:
            await asyncio.sleep(1)

    async def empty(self):
        while self.alive or await self.store.jobs():
            await asyncio.sleep(1)

    @property
    def turns(self):
        """The jobs that each host has begun."""
        return [[turn.job.job_id for turn in life.turns if turn.begun_at] for life in self.helpers.lives]


@pytest.fixture
def play(tmp_path):
    return functools.partial(StayingWorld.play, tmp_path)


def ids(*jobs):
    return [job.job_id for job in jobs]


def test_jobs_of_one_tenant_have_one_application_after_each_other(play):
    async def story(world):
        async with world.service():
            first = world.submit("sleep 20")
            await world.run(first)
            await world.waiting()
            second = world.submit("sleep 20")
            await world.run(second)
            assert [first.status, second.status] == ["success", "success"]
            began = world.seconds()
            await world.empty()
            assert 500 < world.seconds() - began < 700
        assert world.turns == [ids(first, second)]
        assert len(world.cloud.ledger.created) == 1
        assert all(not turn.met for turn in world.helpers.turns)

    play(story)


def test_a_host_whose_job_has_failed_goes_at_once(play):
    async def story(world):
        async with world.service():
            job = world.submit("false")
            await world.run(job)
            began = world.seconds()
            await world.empty()
            assert job.status == "failed"
            assert world.seconds() - began < 60

    play(story)


def test_a_drain_ends_with_no_host_on_standby(play):
    async def story(world):
        async with world.service() as serving:
            await world.run(world.submit("sleep 20"))
            await world.waiting()
            certificate = (await world.ask("drain", wait=True))[-1]["certificate"]
            await serving
        assert (certificate["drained"], certificate["hosts"], certificate["open_intents"]) == (True, 0, 0)
        assert world.certificate.clean
        assert not world.alive

    play(story)


def test_a_host_on_standby_outlives_a_killed_process_and_has_the_next_job(play):
    async def story(world):
        serving, _ = world.start()
        first = world.submit("sleep 20")
        await world.run(first)
        await world.waiting()
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        async with world.service():
            second = world.submit("sleep 20")
            await world.run(second)
        assert world.turns == [ids(first, second)]

    play(story)


def test_a_process_that_is_killed_while_the_second_job_runs_begins_it_once(play):
    async def story(world):
        serving, _ = world.start()
        first = world.submit("sleep 20")
        await world.run(first)
        await world.waiting()
        second = world.submit("sleep 300")
        while ids(second)[0] not in world.turns[0]:
            await asyncio.sleep(0.1)
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        async with world.service():
            await world.run(second)
            assert second.status == "success"
        assert world.turns == [ids(first, second)]

    play(story)


def test_a_reload_that_keeps_no_hosts_lets_them_go(play):
    async def story(world):
        async with world.service():
            await world.run(world.submit("sleep 20"))
            await world.waiting()
            world.standby = 0
            world.write()
            began = world.seconds()
            await world.reload()
            await world.empty()
            assert world.seconds() - began < 10
            await world.run(world.submit("sleep 20"))
            began = world.seconds()
            await world.empty()
            assert world.seconds() - began < 60

    play(story)


def test_a_runner_that_is_not_configured_any_more_leaves_no_host(play):
    async def story(world):
        world.add_runner("other")
        world.write()
        async with world.service():
            await world.run(world.submit("true"))
            await world.waiting()
            served = await world.store.jobs()
            name = next(
                name for name, runner in world.runners.items() if _key(runner) == served[0].key.runner
            )
            world.write(*(each for each in world.runners if each != name))
            began = world.seconds()
            await world.reload()
            await world.empty()
            assert world.seconds() - began < 10

    play(story)


def _key(runner):
    return short_token(runner.token.reveal())


def test_a_host_of_a_job_that_was_over_before_the_first_look_stays(play):
    """Those gain most by it."""

    async def story(world):
        async with world.service():
            await world.run(world.submit("true"))
            await world.waiting()
            [left] = await world.store.jobs()
            assert Phase.RUNNING not in left.entered

    play(story)


def test_a_stopped_service_leaves_its_host_to_the_next_one(play):
    async def story(world):
        async with world.service():
            first = world.submit("sleep 20")
            await world.run(first)
            await world.waiting()
        assert len(world.alive) == 1
        await asyncio.sleep(60)
        async with world.service():
            second = world.submit("sleep 20")
            await world.run(second)
        assert world.turns == [ids(first, second)]

    play(story)


def test_with_nobody_there_its_helper_ends_by_itself(play):
    """Then what is left is an application that costs nothing, which the next start removes."""

    async def story(world):
        async with world.service():
            await world.run(world.submit("sleep 20"))
            await world.waiting()
        await asyncio.sleep(3600)
        [life] = world.helpers.lives
        assert life.ended_at
        async with world.service():
            job = world.submit("sleep 20")
            await world.run(job)
            await world.empty()
        assert job.status == "success"
        assert world.turns[1:] == [ids(job)]

    play(story)


@pytest.mark.parametrize(
    "manners",
    [Manners(cleaning=Cleaning.SAYS_NO), Manners(dies_after=400), Manners(hangs_after=400)],
    ids=["cannot be cleaned", "dies", "hangs"],
)
def test_the_next_job_has_a_host_of_its_own_where_the_first_takes_none(play, manners):
    async def story(world):
        async with world.service():
            world.manners = manners
            first = world.submit("sleep 20")
            await world.run(first)
            await asyncio.sleep(400)
            world.manners = Manners()
            second = world.submit("sleep 20")
            await world.run(second)
            await world.empty()
        assert [first.status, second.status] == ["success", "success"]
        assert world.turns == [ids(first), ids(second)]

    play(story)
