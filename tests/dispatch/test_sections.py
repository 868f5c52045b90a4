"""Sections that change hands: taken over, handed over, lost, while a store is shared by several processes."""

import asyncio
import random
from datetime import timedelta

import attrs
import pytest
from structlog.testing import capture_logs

from paas_runner.dispatch import Dispatcher
from paas_runner.dispatch.counters import Costs, Counters
from paas_runner.dispatch.records import Ledger
from paas_runner.dispatch.served import ActiveRunner, ServedConfig
from paas_runner.dispatch.tenure import Tenure
from paas_runner.dispatch.view import Observer
from paas_runner.job.decision import Policy
from paas_runner.job.lease import Allotment, Mode, Tending
from paas_runner.job.lifecycle import acquired, resumed
from paas_runner.job.limits import Limits
from paas_runner.store import StoreError
from paas_runner.testing.memory_store import MemoryStore
from paas_runner.testing.shared_memory import LeaseTable, SharedMemoryStore
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.asking import body
from tests.support.outside_world import RHYTHM, RUNNER, HostsInMemory, Journal, OneJobCoordinator
from tests.support.records import payload

PATIENCE = timedelta(seconds=4)
TENDING = Tending(name="here", version="1", mode=Mode.STANDBY, serves=frozenset({RUNNER}))


@attrs.define
class Held(Tenure):
    """Ours as long as a test says so; a refused write is noted."""

    store: SharedMemoryStore
    ours: bool = True
    losses: list[str] = attrs.field(factory=list)
    arrivals: list[str] = attrs.field(factory=list)

    def holds(self, runner):
        return self.ours

    async def confirm(self, runner):
        await self.store.confirm(runner)

    def lost(self, runner):
        self.losses.append(runner)

    def arrived(self, runner):
        self.arrivals.append(runner)


@attrs.define
class Departures(Observer):
    """Jobs that another process has from then on."""

    noted: list[tuple[str, list[int]]]
    refused: int = 0

    def record_written(self, seconds, *, refused):
        self.refused += refused

    def left(self, runner, jobs):
        self.noted.append((runner, [job.key.job_id for job in jobs]))


class Pair:
    """Two processes on one store, and the world outside them."""

    def __init__(self):
        self.journal = Journal()
        self.disk = MemoryStore()
        self.disk.phases = []
        self.table = LeaseTable(lambda: asyncio.get_running_loop().time())
        self.executor = HostsInMemory(self.journal, self.disk)
        self.coordinator = OneJobCoordinator(self.journal, self.disk, self.executor)
        self.tasks = []

    def process(self):
        return Process(self)

    async def end(self):
        for process in self.tasks:
            process.stopping.set()
            await process.running


class Process:
    """A dispatcher without sections, until it is given some."""

    def __init__(self, pair):
        self.pair = pair
        self.store = SharedMemoryStore(pair.disk, pair.table)
        self.tenure = Held(self.store)
        self.stopping = asyncio.Event()
        runner = ActiveRunner(
            key=RUNNER,
            name="model",
            coordinator=pair.coordinator,
            executor=pair.executor,
            policy=Policy(),
            rhythm=RHYTHM,
            counters=Counters(),
        )
        limits = Limits(concurrent=9, provisioning=9, per_runner={RUNNER: 0})
        self.dispatcher = Dispatcher(
            ServedConfig(runners={RUNNER: runner}, limits=limits),
            jobs=(),
            store=self.store,
            ledger=Ledger(self.store, Costs(), keep_days=9),
            clock=virtual_now,
            rng=random.Random(1),
            stopping=self.stopping,
            tenure=self.tenure,
            held=(),
        )
        self.departures = []
        self.observer = Departures(self.departures)
        self.dispatcher.observe(self.observer)
        self.running = asyncio.ensure_future(self.dispatcher.run())
        pair.tasks.append(self)

    async def take(self):
        """The section, with its jobs."""
        await self.dispatcher.running.wait()
        await self.store.tend(attrs.evolve(TENDING, take=frozenset({RUNNER})))
        jobs = [resumed(job, virtual_now()) for job in await self.store.jobs_of({RUNNER})]
        self.dispatcher.take_over(RUNNER, jobs)

    async def hand_over(self):
        await self.dispatcher.hand_over(RUNNER, patience=PATIENCE)
        await self.store.tend(attrs.evolve(TENDING, release=frozenset({RUNNER})))

    @property
    def jobs(self):
        return [job.key.job_id for job in self.dispatcher.view.jobs]


@pytest.fixture
def play():
    def played(story):
        async def main():
            pair = Pair()
            try:
                return await asyncio.wait_for(story(pair), 24 * 3600)
            finally:
                await pair.end()

        return run_virtual(main())

    return played


async def recorded(pair, job_id=1):
    job = acquired(RUNNER, payload(job_id), virtual_now())
    await pair.disk.save(job)
    return job


async def provisioning_for_ever(pair):
    """A process whose provider never answers the request for the host of its one job."""
    await recorded(pair)

    async def for_ever(_request):
        await asyncio.Event().wait()

    pair.executor.provision = for_ever
    process = pair.process()
    await process.take()
    await asyncio.sleep(5)
    return process


def test_who_has_no_section_asks_for_nothing_and_touches_no_job(play):
    async def story(pair):
        await recorded(pair)
        process = pair.process()
        await asyncio.sleep(300)
        assert (pair.journal.entries, process.jobs) == ([], [])
        assert process.dispatcher.view.elsewhere == {RUNNER}
        await process.take()
        assert process.dispatcher.view.elsewhere == frozenset()

    play(story)


def test_a_section_that_is_taken_over_goes_on_where_its_records_are(play):
    async def story(pair):
        await recorded(pair)
        await pair.process().take()
        await asyncio.sleep(300)
        assert pair.executor.created == [f"hpd-job-{RUNNER}-1"]
        assert not pair.executor.alive
        assert not await pair.disk.jobs()
        assert "request" in pair.journal.entries

    play(story)


def test_a_job_that_is_over_is_not_begun_once_more_while_its_record_goes(play):
    async def story(pair):
        job = await recorded(pair)
        process = pair.process()
        forget, process.store.forget = process.store.forget, refuse
        await process.take()
        await asyncio.sleep(300)
        [found] = await process.store.jobs_of({RUNNER})
        before = [verb for verb in pair.journal.entries if verb != "request"]
        assert job.key in process.dispatcher.known
        process.dispatcher.take_in(resumed(found, virtual_now()))
        await asyncio.sleep(60)
        assert process.jobs == []
        process.store.forget = forget
        await asyncio.sleep(60)
        assert not await pair.disk.jobs()
        assert not process.dispatcher.known
        assert [verb for verb in pair.journal.entries if verb != "request"] == before

    async def refuse(*_key, **_more):
        raise StoreError("no room")

    play(story)


def test_a_section_is_handed_over_in_the_middle_of_a_job_and_nothing_is_done_twice(play):
    async def story(pair):
        await recorded(pair)
        first, second = pair.process(), pair.process()
        await first.take()
        await asyncio.sleep(20)
        await first.hand_over()
        assert (first.jobs, first.tenure.losses, first.departures) == ([], [], [(RUNNER, [1])])
        before = len(pair.journal.entries)
        await asyncio.sleep(60)
        assert len(pair.journal.entries) == before, "nobody has it"
        await second.take()
        await asyncio.sleep(300)
        assert [pair.journal.entries.count(verb) for verb in ("provision", "launch")] == [1, 1]
        assert not await pair.disk.jobs()

    play(story)


def test_what_does_not_end_by_itself_is_cut_off_at_a_handover(play):
    async def story(pair):
        process = await provisioning_for_ever(pair)
        began = asyncio.get_running_loop().time()
        await process.hand_over()
        assert asyncio.get_running_loop().time() - began == pytest.approx(PATIENCE.total_seconds())
        assert process.jobs == []

    play(story)


def test_a_handover_in_which_all_is_cut_off_ends_without_a_word(play):
    async def story(pair):
        process = await provisioning_for_ever(pair)
        handing_over = asyncio.ensure_future(process.hand_over())
        await asyncio.sleep(1)
        process.running.cancel()
        await handing_over
        assert process.jobs == []
        await process.dispatcher.aclose()
        pair.tasks.clear()

    play(story)


def test_a_process_that_slept_through_its_lease_writes_nothing_any_more(play):
    async def story(pair):
        await recorded(pair)
        sleeper, other = pair.process(), pair.process()
        await sleeper.take()
        await asyncio.sleep(20)  # the job runs, and is looked at; no record is due
        await asyncio.sleep(15)
        await other.take()  # the lease is not renewed by anybody here
        await asyncio.sleep(300)
        assert sleeper.tenure.losses, "its next record was refused"
        assert sleeper.observer.refused == 0, "by no disk"
        assert pair.journal.entries.count("launch") == 1
        assert not await pair.disk.jobs()
        await sleeper.dispatcher.give_up(RUNNER)
        assert sleeper.jobs == []

    play(story)


def test_while_it_is_unsure_a_process_only_looks(play):
    async def story(pair):
        await recorded(pair)
        process = pair.process()
        await process.take()
        await asyncio.sleep(20)
        process.tenure.ours = False
        await asyncio.sleep(300)  # the job is over meanwhile
        assert "decommission" not in pair.journal.entries
        assert process.jobs == [1]
        process.tenure.ours = True
        await asyncio.sleep(10)
        assert "decommission" in pair.journal.entries

    play(story)


def test_a_job_that_comes_too_late_is_left_to_the_holder(play):
    async def story(pair):
        first, second = pair.process(), pair.process()
        await first.take()
        await asyncio.sleep(1)
        await asyncio.sleep(15)
        await second.take()
        late = acquired(RUNNER, payload(7), virtual_now())
        assert not await first.store.add(late)
        assert pair.table.rows[RUNNER].arrivals == 1
        [found] = await second.store.jobs_of({RUNNER})
        for _ in range(2):  # it may be told of more than once
            second.dispatcher.take_in(found)
        assert second.jobs == [7]
        first.dispatcher.take_in(found)
        await asyncio.sleep(300)
        assert pair.executor.created == [f"hpd-job-{RUNNER}-7"]

    play(story)


def test_while_the_store_is_away_nobody_asks_for_jobs(play):
    async def story(pair):
        process = pair.process()
        await process.take()
        await asyncio.sleep(10)
        process.dispatcher.suspend("the database cannot be reached")
        await asyncio.sleep(60)
        before = pair.journal.entries.count("request")
        await asyncio.sleep(300)
        assert pair.journal.entries.count("request") == before
        obstacle = process.dispatcher.view.load.obstacle(RUNNER)
        assert (obstacle.bound, obstacle.text) == ("store", "the database cannot be reached")
        process.dispatcher.resume()
        await asyncio.sleep(60)
        assert pair.journal.entries.count("request") > before

    play(story)


def test_what_others_may_use_of_the_bounds_is_not_used_here(play):
    async def story(pair):
        process = pair.process()
        await process.take()
        process.dispatcher.allot(Allotment(jobs=1, provisioning=7))
        assert process.dispatcher.total == Allotment(jobs=9, provisioning=9)
        await asyncio.sleep(1)
        assert process.dispatcher.in_use == Allotment(jobs=1, provisioning=1), "a request in flight"
        obstacle = process.dispatcher.view.load.obstacle(RUNNER)
        assert obstacle.text == "`concurrent` = 9 is reached; 8 of it may be used by other processes"

    play(story)


def test_a_job_and_the_request_that_has_brought_it_take_one_place(play):
    """While it is being recorded, too: what is told to the store comes off what others may use."""

    async def story(pair):
        pair.coordinator.bodies = [body(7)]
        process = pair.process()
        add, seen = process.store.add, []

        async def slowly(job):
            await asyncio.sleep(1)
            seen.append(process.dispatcher.in_use)
            return await add(job)

        process.store.add = slowly
        await process.take()
        await asyncio.sleep(10)
        assert seen == [Allotment(jobs=1, provisioning=1)]

    play(story)


class SlowCoordinator(OneJobCoordinator):
    """It answers a request when the coordinator has been long at it."""

    seconds = 8

    async def request_job(self, *, seen=""):
        await asyncio.sleep(self.seconds)
        return await super().request_job(seen=seen)


@pytest.mark.parametrize("how", ["hand_over", "give_up"])
@pytest.mark.parametrize("again", [False, True])
def test_what_a_request_in_flight_brings_later_is_gone_on_with_by_whoever_has_the_section(play, how, again):
    async def story(pair):
        pair.coordinator = SlowCoordinator(pair.journal, pair.disk, pair.executor)
        pair.coordinator.bodies = [body(7)]
        first, second = pair.process(), pair.process()
        await first.take()
        await asyncio.sleep(3)  # the request is on its way
        if how == "hand_over":
            await first.hand_over()
        else:
            await first.dispatcher.give_up(RUNNER)
            await first.store.tend(attrs.evolve(TENDING, release=frozenset({RUNNER})))
        present = first if again else second
        await present.take()
        assert present.jobs == []
        await asyncio.sleep(6)
        if not again:
            assert pair.table.rows[RUNNER].arrivals == 1
            [found] = await second.store.jobs_of({RUNNER})
            second.dispatcher.take_in(found)
        assert (present.jobs, (second if again else first).jobs) == ([7], [])
        await asyncio.sleep(300)
        assert pair.executor.created == [f"hpd-job-{RUNNER}-7"]
        assert not await pair.disk.jobs()

    play(story)


@pytest.mark.parametrize("answer_takes", [0, 5])
def test_a_late_job_that_is_loaded_before_or_after_its_request_has_ended_is_cared_for_once(
    play, answer_takes
):
    async def story(pair):
        pair.coordinator = SlowCoordinator(pair.journal, pair.disk, pair.executor)
        pair.coordinator.bodies = [body(7)]
        process = pair.process()
        add = process.store.add

        async def answered_later(job):
            ours = await add(job)
            await asyncio.sleep(answer_takes)
            return ours

        process.store.add = answered_later
        await process.take()
        await asyncio.sleep(3)  # the request is on its way
        await process.dispatcher.give_up(RUNNER)
        await process.store.tend(attrs.evolve(TENDING, release=frozenset({RUNNER})))
        await process.store.tend(attrs.evolve(TENDING, take=frozenset({RUNNER})))
        await asyncio.sleep(6)  # the section is taken, its jobs are yet to be loaded
        assert process.tenure.arrivals == ([] if answer_takes else [RUNNER])
        await process.take()
        await asyncio.sleep(6)
        caring = [task for task in asyncio.all_tasks() if task.get_name() == f"job {RUNNER}/7"]
        assert (process.jobs, len(caring)) == ([7], 1)
        await asyncio.sleep(300)
        assert [pair.journal.entries.count(verb) for verb in ("provision", "launch")] == [1, 1]
        assert not await pair.disk.jobs()

    play(story)


def test_what_a_section_uses_of_the_bounds_leaves_with_it(play):
    async def story(pair):
        await recorded(pair)
        process = pair.process()
        process.dispatcher.allot(Allotment(jobs=1, provisioning=1))
        await process.take()
        await asyncio.sleep(20)
        assert process.dispatcher.in_use.jobs == 1
        await process.hand_over()
        assert process.dispatcher.allotted == Allotment()

    play(story)


def test_an_intent_that_took_longer_to_record_than_the_lease_was_good_is_not_acted_on(play):
    async def story(pair):
        await recorded(pair)
        process = pair.process()
        save = process.store.save

        async def slowly(job):
            await save(job)
            process.tenure.ours = False

        process.store.save = slowly
        await process.take()
        await asyncio.sleep(300)
        assert "provision" not in pair.journal.entries

    play(story)


def test_a_runner_that_was_removed_and_then_lost_is_closed_once(play):
    async def story(pair):
        pair.coordinator = SlowCoordinator(pair.journal, pair.disk, pair.executor)
        process = pair.process()
        await process.take()
        await asyncio.sleep(3)  # the request is on its way
        limits = process.dispatcher.config.limits
        with capture_logs() as logs:
            process.dispatcher.reload(ServedConfig(runners={}, limits=limits))
            await process.dispatcher.give_up(RUNNER)
            await asyncio.sleep(300)
        assert [line["event"] for line in logs].count("runner_removed") == 1

    play(story)


def test_settings_that_two_tenures_have_in_common_are_closed_after_the_last_job_of_either(play):
    async def story(pair):
        pair.coordinator = SlowCoordinator(pair.journal, pair.disk, pair.executor)
        await recorded(pair)
        process = pair.process()
        closed = []

        async def aclose():
            closed.append(list(process.jobs))

        pair.coordinator.aclose = aclose
        await process.take()
        await asyncio.sleep(3)  # the request is on its way
        await process.dispatcher.give_up(RUNNER)
        await process.take()
        config = process.dispatcher.config
        changed = attrs.evolve(config.runners[RUNNER], name="changed")
        process.dispatcher.reload(ServedConfig(runners={RUNNER: changed}, limits=config.limits))
        await asyncio.sleep(300)
        assert closed == [[]]

    play(story)


def test_what_is_left_is_looked_for_with_all_runners_whoever_has_them(play):
    async def story(pair):
        process = pair.process()
        for _ in range(2):
            with process.dispatcher.held() as runners:
                assert [runner.key for runner in runners] == [RUNNER]
            await process.take()

    play(story)
