"""In which order the loop of leases does things: a section is wanted, served, handed over, lost."""

import asyncio
from types import SimpleNamespace

import attrs
import pytest

from paas_runner.job.capacity import Load
from paas_runner.job.lease import LEASE_SECONDS, Allotment, Mode, Tending
from paas_runner.job.lifecycle import acquired
from paas_runner.job.limits import Limits, QuotaRule
from paas_runner.leases.keeper import Keeper
from paas_runner.leases.validity import Validity
from paas_runner.testing.memory_store import MemoryStore
from paas_runner.testing.shared_memory import LeaseTable, SharedMemoryStore
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.records import payload


class Served:
    """A dispatcher that has nothing to do: it notes what it is told, and ends a section when it may."""

    def __init__(self, *sections):
        self.running = asyncio.Event()
        self.running.set()
        names = {section: section for section in sections}
        self.config = SimpleNamespace(runners=names, names=names)
        self.total = Allotment(jobs=10, provisioning=10)
        self.in_use = Allotment()
        self.load = Load(limits=Limits(concurrent=10, provisioning=10))
        self.told = []
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.allotments = [Allotment()]

    @property
    def known(self):
        return frozenset()

    @property
    def view(self):
        return SimpleNamespace(load=self.load, jobs=(), runners=self.config.names, leaving={})

    @property
    def allotted(self):
        return self.allotments[-1]

    def take_over(self, runner, jobs):
        self.told.append(("take over", runner))

    def take_in(self, job):
        self.told.append(("take in", job.key))

    async def hand_over(self, runner, *, patience):
        self.told.append(("hand over", runner))
        await self.may_end.wait()

    async def give_up(self, runner):
        self.told.append(("give up", runner))
        await self.may_end.wait()
        self.told.append(("given up", runner))

    def suspend(self, why):
        self.told.append("suspend")

    def resume(self):
        self.told.append("resume")

    def allot(self, allotted):
        self.allotments.append(allotted)


class World:
    """A keeper, and the table that others use, too."""

    def __init__(self, *sections):
        self.elapsed = asyncio.get_running_loop().time
        self.table = LeaseTable(self.elapsed)
        self.store = SharedMemoryStore(MemoryStore(), self.table)
        self.served = Served(*sections)
        self.validity = Validity(self.store, self.elapsed)
        self.stopping = asyncio.Event()
        keeper = Keeper(
            self.store,
            self.served,
            self.validity,
            name="here",
            version="1",
            mode=lambda: Mode.STANDBY,
            clock=virtual_now,
        )
        self.running = asyncio.ensure_future(keeper.run(self.stopping))

    def other(self, *sections, **asked):
        """Somebody else tends, who serves the same."""
        process = SharedMemoryStore(MemoryStore(), self.table)
        tending = Tending(name="there", version="1", mode=Mode.STANDBY, serves=frozenset(sections))
        return lambda **more: process.tend(attrs.evolve(tending, **{**asked, **more}))

    def steal(self, runner, holder="another"):
        """The section is another's, as after a long silence."""
        row = self.table.rows[runner]
        row.holder, row.epoch = holder, row.epoch + 1


@pytest.fixture
def play():
    def played(story, *sections):
        async def main():
            world = World(*sections)
            await asyncio.wait_for(story(world), 3600)
            world.stopping.set()
            await world.running

        run_virtual(main())

    return played


def test_a_lease_is_good_from_before_its_request_was_sent(play):
    async def story(world):
        await asyncio.sleep(1)
        assert world.validity.holds("a")
        tend = world.store.tend
        sent = []

        async def slow(tending):
            sent.append(world.elapsed())
            await asyncio.sleep(3)
            answer = await tend(tending)
            world.store.tend = never
            return answer

        async def never(_tending):
            await asyncio.Event().wait()

        world.store.tend = slow
        while not sent:
            await asyncio.sleep(0.1)
        end = sent[0] + LEASE_SECONDS
        await asyncio.sleep(end - world.elapsed() - 0.1)
        assert world.validity.holds("a")
        await asyncio.sleep(0.2)
        assert not world.validity.holds("a")

    play(story, "a")


def test_a_section_that_was_lost_is_wanted_again_only_after_everything_of_it_has_ended(play):
    async def story(world):
        await asyncio.sleep(1)
        world.served.may_end.clear()
        world.steal("a")
        await asyncio.sleep(6)
        assert not world.validity.holds("a")
        world.table.rows["a"].holder = ""
        await asyncio.sleep(60)
        assert world.table.rows["a"].holder == "", "an old loop would write with the new epoch"
        world.served.may_end.set()
        await asyncio.sleep(1)
        assert world.table.rows["a"].holder == world.store.holder
        assert world.served.told == [
            ("take over", "a"),
            ("give up", "a"),
            ("given up", "a"),
            ("take over", "a"),
        ]

    play(story, "a")


def test_a_refused_write_ends_what_is_ours_at_once(play):
    async def story(world):
        await asyncio.sleep(1)
        world.steal("a")
        world.validity.lost("a")
        assert not world.validity.holds("a")
        await asyncio.sleep(0.1)
        assert world.served.told[-1] == ("given up", "a")

    play(story, "a")


def test_a_section_is_released_only_after_it_was_handed_over(play):
    async def story(world):
        await asyncio.sleep(1)
        world.served.may_end.clear()
        tend = world.other("a", "b")
        await tend()
        world.served.config.runners.pop("a")  # as by a reload: the other alone serves it now
        await asyncio.sleep(20)
        assert world.table.rows["a"].holder == world.store.holder
        world.served.may_end.set()
        await asyncio.sleep(1)
        assert world.table.rows["a"].holder == ""

    play(story, "a", "b")


def test_a_section_that_is_lost_as_its_handing_over_ends_is_lost(play):
    async def story(world):
        await asyncio.sleep(1)
        world.served.may_end.clear()
        await world.other("a", "b")()
        world.served.config.runners.pop("a")
        await asyncio.sleep(20)
        assert world.served.told[-1] == ("hand over", "a")
        world.steal("a")
        world.served.may_end.set()
        world.served.may_end.clear()
        world.validity.lost("a")  # in the same moment
        await asyncio.sleep(20)
        assert world.served.told[-1] == ("give up", "a")
        world.served.may_end.set()
        await asyncio.sleep(20)
        assert not world.running.done(), "the service goes on"
        assert world.served.told[-1] == ("given up", "a")

    play(story, "a", "b")


def test_what_a_request_of_an_earlier_tenure_brings_while_jobs_are_loaded_is_loaded_after_them(play):
    async def story(world):
        jobs_of = world.store.jobs_of

        async def slowly(runners):
            jobs = await jobs_of(runners)
            await asyncio.sleep(5)
            return jobs

        world.store.jobs_of = slowly
        await asyncio.sleep(2)
        late = acquired("a", payload(7), virtual_now())
        assert await world.store.add(late)
        world.validity.arrived("a")
        await asyncio.sleep(20)
        assert world.served.told == [("take over", "a"), ("take in", late.key)]

    play(story, "a")


def test_less_is_used_before_the_store_hears_of_it_and_more_after_it_was_given(play):
    async def story(world):
        await asyncio.sleep(1)
        assert world.served.allotted.jobs == 10
        heard = []
        tend = world.store.tend

        async def listen(tending):
            heard.append((world.served.allotted.jobs, tending.wanted.jobs))
            return await tend(tending)

        world.store.tend = listen
        other = world.other("b", take=frozenset("b"), total=world.served.total)
        for _ in range(10):
            await other(wanted=Allotment(jobs=5, provisioning=5))
            await asyncio.sleep(5)
        assert all(used <= wanted for used, wanted in heard)
        assert world.served.allotted.jobs < 10

    play(story, "a")


def test_who_takes_a_section_without_knowing_the_quota_leaves_no_weight_to_others(play):
    """Else its jobs, whose weight nobody counts before they are read, come on top of the quota."""

    async def story(world):
        quota = QuotaRule(reference_runner="a", reference_flavor="M", reference_jobs=5)
        world.served.load = Load(limits=Limits(concurrent=10, provisioning=10, quota=quota))
        asked = world.store.jobs_of
        reading = asyncio.Event()

        async def slowly(runners):
            await reading.wait()
            return await asked(runners)

        world.store.jobs_of = slowly
        await asyncio.sleep(1)
        other = world.other("a", total=Allotment(jobs=10, provisioning=10, weight=40.0))
        wanted = Allotment(jobs=0, provisioning=0, weight=40.0)
        tenancy = await other(wanted=wanted)
        [granted] = [each.allotment for each in tenancy.members.values() if each.name == "there"]
        assert granted.weight == 0.0
        reading.set()
        await asyncio.sleep(10)
        tenancy = await other(wanted=wanted)
        [granted] = [each.allotment for each in tenancy.members.values() if each.name == "there"]
        assert granted.weight == 40.0

    play(story, "a")
