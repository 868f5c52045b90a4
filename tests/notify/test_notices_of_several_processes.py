"""Two services with one store: what is told is told by one of them, and at a takeover nothing is lost."""

import asyncio
import random
from datetime import datetime, timedelta

import attrs
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from paas_runner.config.notify import Receiver
from paas_runner.dispatch.registry import Backoff
from paas_runner.dispatch.view import DispatchView
from paas_runner.http import Http
from paas_runner.job.capacity import Load
from paas_runner.job.limits import Limits
from paas_runner.job.notice import NoticeKind
from paas_runner.notify.book import Book, Incident, Reading
from paas_runner.notify.center import Center
from paas_runner.notify.document import Sender
from paas_runner.notify.inheritance import LAST_WORDS, Estates, key_of, owner_of
from paas_runner.sandbox.faults import Answer, FaultInjector, FaultPlan
from paas_runner.status.reach import Reach
from paas_runner.testing.memory_store import MemoryStore
from paas_runner.testing.shared_memory import LeaseTable, SharedMemoryStore
from tests.support.notified_world import NotifiedWorld
from tests.support.records import NOW
from tests.support.shared_world import SharedWorld
from tests.support.sharing import holding, standby
from tests.support.views import dispatch_view
from tests.support.watched_world import BUILD

MINUTE = 60
RECEIVER = """
[[notify]]
  name = "ops"
  url = "http://receiver.test/hooks/canary-of-the-address"
"""


@attrs.define
class Viewed:
    """What is watched, as a test changes it."""

    view: DispatchView


class SharedNotifiedWorld(SharedWorld):
    """`told` are the documents in the order in which they came, `faults` what goes wrong at the receiver."""

    told, words, _receive = NotifiedWorld.told, NotifiedWorld.words, NotifiedWorld._receive

    def __init__(self, folder, **options):
        super().__init__(folder, tail=RECEIVER, **options)
        self.requests, self.unwanted = [], None
        self.faults = FaultPlan()
        app = Starlette(routes=[Route("/{path:path}", self._receive, methods=["POST"])])
        self._apps["http://receiver.test"] = FaultInjector(app, self.faults)

    def of_kind(self, kind):
        return [told for told in self.told if told["kind"] == kind]


@pytest.fixture
def play(tmp_path):
    """A story of `first`, which works, and `second`, which stands by or has its share."""

    def play(story, **options):
        async def paired(world):
            first = world.process("first")
            await world.held_by(first, *range(len(world.runners)))
            second = world.process("second")
            await asyncio.sleep(10)
            await story(world, first, second)
            for life in (first, second):
                if not life.serving.done():
                    await life.stop()

        SharedNotifiedWorld.play(tmp_path, paired, **options)

    return play


def test_an_outage_that_both_could_see_is_told_once_by_whoever_works(play):
    async def story(world, _first, _second):
        outage = world.coordinator_faults.add(Answer(502))
        await asyncio.sleep(10 * MINUTE)
        world.coordinator_faults.remove(outage)
        await asyncio.sleep(10 * MINUTE)
        assert world.words == [("coordinator_failing", "begun"), ("coordinator_failing", "over")]
        assert {told["service"]["machine"] for told in world.told} == {"first"}

    play(story)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_trouble_that_was_told_by_a_process_that_is_gone_is_told_to_be_over_by_the_other(play, end):
    async def story(world, first, _second):
        outage = world.coordinator_faults.add(Answer(502))
        await asyncio.sleep(10 * MINUTE)
        await getattr(first, end)()
        await asyncio.sleep(10 * MINUTE)
        world.coordinator_faults.remove(outage)
        await asyncio.sleep(10 * MINUTE)
        failing = [
            (told["state"], told["service"]["machine"]) for told in world.of_kind("coordinator_failing")
        ]
        assert failing == [("begun", "first"), ("over", "second")]

    play(story)


def test_what_a_dead_process_had_not_told_or_not_delivered_yet_the_other_does(play):
    async def story(world, first, second):
        refusing = world.faults.add(Answer(503))
        outage = world.coordinator_faults.add(Answer(502))
        await asyncio.sleep(5 * MINUTE)
        world.coordinator_faults.remove(outage)
        world.cloud_faults.add(Answer(400), method="POST", path="**/applications")
        job = world.submit()
        while job.status not in ("failed", "success"):
            await asyncio.sleep(1)
        await asyncio.sleep(10)
        assert world.told == []
        kept = await world.store.notices()
        assert "launch_failed" in kept[f"ops@{first.holder}"].book
        assert len(kept[f"ops@{first.holder}"].pending) == 1
        await first.kill()
        world.faults.remove(refusing)
        await asyncio.sleep(20 * MINUTE)
        told = [(each["kind"], each["state"], each["count"]) for each in world.told]
        assert sorted(told) == [
            ("coordinator_failing", "begun", 1),
            ("coordinator_failing", "over", 1),
            ("launch_failed", "happened", 1),
            ("no_standby", "begun", 1),
            ("taken_over", "happened", 1),
        ]
        assert set(await world.store.notices()) == {f"ops@{second.holder}"}

    play(story)


def test_an_orderly_handover_and_a_restart_within_two_minutes_wake_nobody(play):
    async def story(world, first, second):
        await first.stop()
        await asyncio.sleep(MINUTE)
        again = world.process("first")
        await asyncio.sleep(10 * MINUTE)
        await second.stop()
        await asyncio.sleep(MINUTE)
        await again.stop()
        assert world.told == []

    play(story)


def test_a_takeover_by_necessity_and_a_missing_standby_are_told_and_its_return(play):
    async def story(world, first, _second):
        await first.kill()
        await asyncio.sleep(10 * MINUTE)
        assert sorted(world.words) == [("no_standby", "begun"), ("taken_over", "happened")]
        [taken] = world.of_kind("taken_over")
        assert taken["subject"] == "second"
        assert "which first had" in taken["why"]
        again = world.process("first")
        await asyncio.sleep(10 * MINUTE)
        assert world.words[2:] == [("no_standby", "over")]
        await again.stop()

    play(story)


def test_a_database_that_is_away_from_both_is_told_by_each_of_itself_and_nothing_else(play):
    async def story(world, first, second):
        first.store.away = second.store.away = "connection refused"
        await asyncio.sleep(10 * MINUTE)
        begun = [(told["kind"], told["state"], told["subject"]) for told in world.told]
        assert sorted(begun) == [
            ("store_unreachable", "begun", "first"),
            ("store_unreachable", "begun", "second"),
        ]
        first.store.away = second.store.away = ""
        await asyncio.sleep(10 * MINUTE)
        assert sorted(told["subject"] for told in world.of_kind("store_unreachable")[2:]) == [
            "first",
            "second",
        ]
        others = {told["kind"] for told in world.told} - {"store_unreachable"}
        assert others <= {"taken_over"}, "whoever comes back first takes over"

    play(story)


def test_what_was_taken_over_from_a_process_that_comes_back_it_does_not_tell_again(play):
    async def story(world, first, _second):
        refusing = world.faults.add(Answer(503))
        outage = world.coordinator_faults.add(Answer(502))
        await asyncio.sleep(10 * MINUTE)
        world.coordinator_faults.remove(outage)
        world.cloud_faults.add(Answer(400), method="POST", path="**/applications")
        job = world.submit()
        while job.status not in ("failed", "success"):
            await asyncio.sleep(1)
        await asyncio.sleep(10)
        first.store.away = "connection refused"
        await asyncio.sleep(5 * MINUTE)
        first.store.away = ""
        world.faults.remove(refusing)
        await asyncio.sleep(25 * MINUTE)
        told = sorted((each["kind"], each["state"], each["count"]) for each in world.told)
        assert told == [
            ("coordinator_failing", "begun", 1),
            ("coordinator_failing", "over", 1),
            ("launch_failed", "happened", 1),
            ("no_standby", "begun", 1),
            ("no_standby", "over", 1),
            ("store_unreachable", "begun", 1),
            ("store_unreachable", "over", 1),
            ("taken_over", "happened", 1),
        ]

    play(story)


def test_whoever_has_lost_his_runners_tells_nothing_more_of_them(play):
    async def story(world, first, second):
        outage = world.coordinator_faults.add(Answer(502))
        await asyncio.sleep(10 * MINUTE)
        first.store.away = "connection refused"
        await world.held_by(second, 0)
        await asyncio.sleep(MINUTE)
        first.store.away = ""
        await asyncio.sleep(10 * MINUTE)
        world.coordinator_faults.remove(outage)
        await asyncio.sleep(10 * MINUTE)
        failing = [
            (told["state"], told["service"]["machine"]) for told in world.of_kind("coordinator_failing")
        ]
        assert failing == [("begun", "first"), ("over", "second")]

    play(story)


def test_spread_processes_tell_each_of_their_own_runners(play):
    async def story(world, first, second):
        await asyncio.sleep(2 * MINUTE)  # until the sections are divided
        assert set(world.holders) == {first.holder, second.holder}
        outage = world.coordinator_faults.add(Answer(502))
        await asyncio.sleep(10 * MINUTE)
        world.coordinator_faults.remove(outage)
        await asyncio.sleep(10 * MINUTE)
        failing = [(told["subject"], told["state"]) for told in world.of_kind("coordinator_failing")]
        assert sorted(failing) == [("r0", "begun"), ("r0", "over"), ("r1", "begun"), ("r1", "over")]
        assert len({told["service"]["machine"] for told in world.told}) == 2

    play(story, sections=2, mode="spread")


def test_a_book_is_left_once_its_process_can_write_no_more():
    estates = Estates()
    assert estates.look({"a", "b"}, NOW), "of former lives"
    assert estates.is_left("earlier", NOW)
    estates.taken_over(NOW)
    assert not estates.look({"a", "b"}, NOW)
    gone = NOW + timedelta(seconds=5)
    assert estates.look({"b"}, gone)
    assert not estates.is_left("a", gone)
    estates.taken_over(gone)
    assert not estates.look({"b"}, gone + LAST_WORDS / 2)
    later = gone + LAST_WORDS
    assert estates.look({"b"}, later)
    assert estates.is_left("a", later)
    assert not estates.is_left("b", later)


def test_a_receivers_key_is_read_as_it_was_written_whatever_is_in_its_name():
    for receiver in ("ops", "ops@night"):
        assert owner_of(key_of(receiver, "h1"), {"ops", "ops@night"}) == (receiver, "h1")
        assert owner_of(key_of(receiver, ""), {"ops", "ops@night"}) == (receiver, "")


def test_of_two_books_events_are_added_up_and_a_trouble_is_known_once():
    def book(at: datetime, count: int) -> Book:
        made = Book().read([Reading(kind=NoticeKind.CLOUD_FAILING, subject="c", trouble=True)], at)
        for _ in range(count):
            made = made.happened(Incident(kind=NoticeKind.HOST_LOST, subject="r"), at)
        return made

    both = book(NOW, 2).joined(book(NOW - timedelta(seconds=9), 3))
    lasting, event = sorted(both.matters, key=lambda matter: not matter.lasting)
    earlier = NOW - timedelta(seconds=9)
    assert (lasting.since, event.count, event.since) == (earlier, 5, earlier)


async def test_a_process_that_hands_over_keeps_what_it_has_told_in_its_book_until_another_goes_on_with_it():
    now = NOW
    reports = iter([holding()] * 3 + [standby()] * 3)
    troubled = {"backoffs": {BUILD: Backoff(until=NOW, why="answered 502")}, "runners": {BUILD: "build"}}
    load = Load.of([], Limits(concurrent=1, provisioning=1))
    world = Viewed(dispatch_view(load=load, **troubled))
    store = SharedMemoryStore(MemoryStore(), LeaseTable(lambda: 0.0))
    center = Center(
        world,
        reach=Reach(lambda: now),
        connect=Http(),
        store=store,
        clock=lambda: now,
        rng=random.Random(1),
        sender=Sender(installation="i", machine="alpha", version="1"),
        sharing=lambda: next(reports),
    )
    center.configure([Receiver(name="ops", command=("/bin/true",))])
    await center._begin()

    async def looked(**more):
        nonlocal now
        now += timedelta(seconds=121 if not more else 5)
        world.view = dispatch_view(load=load, **(troubled | more))
        await center._look()
        return (await store.notices())[f"ops@{store.holder}"]

    await looked()
    told = await looked()
    assert [each for each in told.pending.values() if "coordinator_failing" in each]
    await looked()
    for _ in range(2):
        assert "coordinator_failing" in (await looked(elsewhere=frozenset({BUILD}))).book
    now += 2 * LAST_WORDS
    assert "coordinator_failing" not in (await looked(elsewhere=frozenset({BUILD}))).book
