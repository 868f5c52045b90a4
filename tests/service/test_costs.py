"""What hosts cost, in virtual hours: our ledger against the cloud's own, whatever crashes and refuses."""

import asyncio
from datetime import timedelta

import attrs
import pytest

from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import DropBefore
from paas_runner.server.waiting import settled
from paas_runner.store import StoreError
from paas_runner.testing.memory_store import MemoryStore
from paas_runner.testing.virtual_time import run_virtual
from tests.support.logged_events import events_in
from tests.support.virtual_world import VirtualWorld

SLOW = CloudOptions(
    repository_delay=timedelta(seconds=3),
    boot_delay=timedelta(seconds=20),
    deployment_delay=timedelta(seconds=2),
)
UNITS_PER_HOUR = 3.6
DOWNTIME = 1000


class Disk(MemoryStore):
    """One that refuses charges for a while, or takes the whole process with it at a certain write."""

    def __init__(self):
        super().__init__()
        self.last_words = ""
        self.refusing = False
        self.died = asyncio.Event()

    async def charge(self, charge, *, keep_from):
        await self._survived("charge")
        if self.refusing:
            raise StoreError("the disk is full")
        return await super().charge(charge, keep_from=keep_from)

    async def forget(self, key, *, ended, **more):
        await self._survived("forget")
        await super().forget(key, ended=ended, **more)

    async def _survived(self, write):
        if self.last_words == write:
            self.died.set()
            await asyncio.get_running_loop().create_future()


class PricedWorld(VirtualWorld):
    """Every host has a price."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.store = Disk()

    @property
    def executors(self):
        return {name: lambda kind=kind: _Priced(kind()) for name, kind in super().executors.items()}

    def books(self):
        """For each host that has gone, from when until when it was there, as the cloud says."""
        return {
            entry.app_id: (entry.created_at, entry.deleted_at)
            for entry in self.cloud.ledger.created
            if not entry.alive
        }

    def charges(self):
        """The same, as our ledger says; each host once."""
        found = {charge.host: (charge.since, charge.until) for charge in self.store.charges}
        assert len(found) == len(self.store.charges)
        return found


class _Priced:
    def __init__(self, kind):
        self.settings = kind.settings
        self._kind = kind

    def build(self, settings, section, connect):
        executor = self._kind.build(settings, section, connect)
        provision = executor.provision

        async def provision_at_a_price(order):
            return attrs.evolve(await provision(order), price=UNITS_PER_HOUR)

        executor.provision = provision_at_a_price
        return executor


@pytest.fixture
def play(tmp_path):
    """Run a story in a world of prices."""

    def run(story, **world_options):
        async def main():
            world = PricedWorld(tmp_path, **world_options)
            try:
                return await asyncio.wait_for(story(world), 48 * 3600)
            finally:
                await world.aclose()

        return run_virtual(main())

    return run


async def crash(world, serving):
    await world.store.died.wait()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    world.store.last_words = ""
    await asyncio.sleep(DOWNTIME)


def test_the_ledger_has_the_time_of_each_host_and_the_log_what_it_cost(play, logs):
    async def story(world):
        async with world.service():
            jobs = [world.submit(f"sleep {seconds}") for seconds in (1, 100, 1000)]
            await world.settled(*jobs)
        assert world.charges() == world.books()
        assert len(world.charges()) == 3
        for charge in world.store.charges:
            assert charge.cost == pytest.approx(charge.seconds / 1000)
            assert (
                charge.seconds >= world.cloud.ledger.entry(charge.host).billed(charge.until).total_seconds()
            )
        assert (charge.key.runner, charge.tenant) == (world.key, "")
        assert charge.flavor == world.cloud.ledger.entry(charge.host).flavor.removeprefix("heptapod-runner-")
        return sum(charge.seconds for charge in world.store.charges)

    seconds = play(story, cloud=SLOW)
    gone = events_in(logs, "job_gone")
    assert sum(line["host_seconds"] for line in gone) == pytest.approx(seconds, abs=0.02)  # rounded there
    assert all(
        line["estimated_cost"] == pytest.approx(line["host_seconds"] / 1000, abs=1e-5) for line in gone
    )
    [line] = events_in(logs, "costs_since_start")
    assert line["tenants"][""]["jobs"] == 3
    assert line["tenants"][""]["estimated_cost"] == pytest.approx(seconds / 1000)


def test_killed_between_the_charge_and_the_record_each_host_is_charged_once_and_exactly(play, logs):
    async def story(world):
        jobs = [world.submit(f"sleep {seconds}") for seconds in (10, 40, 100, 3000)]
        world.store.last_words = "forget"
        serving, _ = world.start()
        await crash(world, serving)
        charged = world.charges()
        assert charged
        async with world.service():
            await world.settled(*jobs)
        assert world.charges() == world.books()
        assert charged.items() <= world.charges().items()
        return len(charged)

    before = play(story, cloud=SLOW)
    [line] = events_in(logs, "costs_since_start")
    assert line["tenants"][""]["jobs"] == 4 - before, "what was in the ledger is not counted again"


def test_killed_between_the_removal_and_the_charge_no_host_is_free_of_charge(play):
    async def story(world):
        jobs = [world.submit(f"sleep {seconds}") for seconds in (10, 3000)]
        world.store.last_words = "charge"
        serving, _ = world.start()
        await crash(world, serving)
        [(gone, (_, end))] = world.books().items()
        assert not world.store.charges
        async with world.service():
            await world.settled(*jobs)
        books, charges = world.books(), world.charges()
        assert charges.keys() == books.keys()
        assert charges[gone][0] == books[gone][0]
        assert timedelta(seconds=DOWNTIME) <= charges[gone][1] - end <= timedelta(seconds=DOWNTIME + 60)
        del charges[gone], books[gone]
        assert charges == books

    play(story, cloud=SLOW)


def test_a_host_that_is_still_there_at_a_stop_is_charged_when_it_goes(play):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 3000")
            await asyncio.sleep(500)
        assert not world.store.charges
        await asyncio.sleep(100)
        async with world.service():
            await world.settled(job)
        assert world.charges() == world.books()

    play(story, cloud=SLOW)


def test_a_disk_that_refuses_charges_holds_up_nobody_and_gets_them_all(play):
    async def story(world):
        async with world.service():
            world.store.refusing = True
            jobs = [world.submit("sleep 10") for _ in range(3)]
            await world.settled(*jobs)
            assert len(await world.store.jobs()) == 3, "a record stays until its host's charge is there"
            world.store.refusing = False
            while await world.store.jobs():
                await asyncio.sleep(1)
        assert world.charges() == world.books()
        assert len(world.charges()) == 3

    play(story, cloud=SLOW, concurrent=1)


def test_a_host_that_goes_before_its_failure_could_be_reported_is_charged_once(play):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 3000")
            while not world.alive:
                await asyncio.sleep(1)
            await asyncio.sleep(100)
            outage = world.coordinator_faults.add(DropBefore())
            [entry] = world.alive
            await world.cloud.delete(world.organisation, entry.app_id)
            while not world.store.charges:
                await asyncio.sleep(1)
            charged = world.charges()
            world.coordinator_faults.remove(outage)
            await world.settled(job)
            while await world.store.jobs():
                await asyncio.sleep(1)
        assert world.charges() == charged

    play(story, cloud=SLOW)


def test_a_host_that_is_left_in_place_is_charged_until_then(play, logs):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 100")
            await settled(world.gitlab, [job.job_id])
            while await world.store.jobs():
                await asyncio.sleep(1)
        [charge] = world.store.charges
        [entry] = world.alive
        assert (charge.host, charge.since) == (entry.app_id, entry.created_at)
        assert 100 <= charge.seconds <= 200
        await world.cloud.delete(world.organisation, entry.app_id)

    play(story, cloud=SLOW, more="paas_finished_jobs_keep_resources = true")
    [line] = events_in(logs, "host_left_in_place")
    assert line["host_seconds"] >= 100


@pytest.mark.parametrize(("days", "kept"), [("1", 1), ("36500", 2)])
def test_the_ledger_forgets_after_as_many_days_as_configured(play, days, kept):
    async def story(world):
        async with world.service():
            await world.settled(world.submit())
            await asyncio.sleep(25 * 3600)
            await world.settled(world.submit())
        assert len(world.store.charges) == kept

    play(story, more=f"paas_costs_keep_days = {days}", check_interval=300)
