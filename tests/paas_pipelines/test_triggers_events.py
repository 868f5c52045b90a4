"""Events: their ids, what of them outlives the server, for how long, and what becomes of those that fail."""

import asyncio
import uuid
from datetime import timedelta

import pytest
import structlog
from paas_pipelines.definitions.automation import TriggerType
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.triggers import event_book
from paas_pipelines.triggers import feed as feeding
from paas_pipelines.triggers.event import MOST_ATTEMPTS, Event, EventState, Identity, event_ids
from paas_pipelines.triggers.event_book import EventBook, TooManyWaitError, UnknownEventError
from paas_pipelines.triggers.feed import Feed, NotDeadError, UnknownTriggerError

from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.memory_journal import MemoryJournal
from tests.support.triggered import KnownSecrets, after, hook, pipeline, pushed, schedule, signed

DAY = timedelta(days=1)


def virtual(main):
    def test():
        run_virtual(main())

    test.__name__, test.__doc__ = main.__name__, main.__doc__
    return test


async def fed(journal, *definitions, clock=virtual_now):
    engine = Engine(clock, RunBook(), {each.name: each for each in definitions})
    return await Feed.opened(engine, journal, clock, secrets=KnownSecrets()), engine


async def delivered(feed, number=1):
    body = pushed(n=number)
    answer = await feed.deliver("ci/push", signed(body, delivery=f"{number}").items(), body)
    assert answer.status == 202
    return answer.body["event"]


def test_ids_are_of_version_7_and_only_grow_also_when_the_clock_is_set_back():
    moment = [1_000_000]
    made = event_ids(milliseconds=lambda: moment[0])
    ids = []
    for step in (0, 0, 5, -100_000, 0, 200_000):
        moment[0] += step
        ids.append(made())
    assert ids == sorted(set(ids))
    assert {uuid.UUID(each).version for each in ids} == {7}
    assert {uuid.UUID(each).variant for each in ids} == {uuid.RFC_4122}
    assert event_ids(ids[-1], milliseconds=lambda: 0)() > ids[-1]
    assert uuid.UUID(ids[-1]).int >> 80 == 1_100_005


@virtual
async def test_claims_of_an_earlier_life_are_void_and_the_fifth_attempt_is_the_last():
    journal = MemoryJournal()
    feed, _ = await fed(journal, pipeline("ci", hook()))
    event_id = await delivered(feed)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        feed._claimed(feed.event(event_id))
        feed, engine = await fed(journal, pipeline("ci", hook()))  # it was killed
        assert feed.event(event_id).attempts == attempt
    assert feed.event(event_id).state is EventState.DEAD
    assert len(engine.book) == 0
    with pytest.raises(UnknownEventError):
        feed.retry("none")
    feed.retry(event_id)
    running = asyncio.create_task(feed.run())
    await asyncio.sleep(1)
    assert feed.event(event_id).state is EventState.DONE
    with pytest.raises(NotDeadError):
        feed.retry(event_id)
    running.cancel()


@virtual
async def test_what_may_have_killed_the_server_is_claimed_alone():
    """So what came with it does not die of its attempts."""
    journal = MemoryJournal()
    feed, _ = await fed(journal, pipeline("ci", hook(), concurrency=9))
    ids = [await delivered(feed, number) for number in range(4)]
    for event_id in ids[:3]:
        feed._claimed(feed.event(event_id))
    feed, _ = await fed(journal, pipeline("ci", hook(), concurrency=9))
    claims = []
    flushed = journal.flushed

    async def looked():
        claims.append([event.event_id for event in feed.events() if event.state is EventState.CLAIMED])
        await flushed()

    journal.flushed = looked
    await feed._turn()
    assert claims == [[ids[3]], [ids[0]], [ids[1]], [ids[2]]]


@virtual
async def test_what_nobody_foresaw_is_tried_five_times_and_a_run_that_was_started_is_not_started_again():
    feed, engine = await fed(MemoryJournal(), pipeline("ci", hook()), pipeline("no", hook(path="ci/push")))
    schedule = engine.schedule

    def breaks(name, **more):
        if name == "no":
            raise RuntimeError("canary")
        return schedule(name, **more)

    engine.schedule = breaks
    event_id = await delivered(feed)
    with structlog.testing.capture_logs() as told:
        running = asyncio.create_task(feed.run())
        await asyncio.sleep(600)
    assert [line["event"] for line in told if line["log_level"] == "error"].count("event_failed") == 5
    event = feed.event(event_id)
    assert (event.state, event.attempts) == (EventState.DEAD, MOST_ATTEMPTS)
    assert event.error == "unexpected error: RuntimeError"
    assert [outcome.pipeline for outcome in event.outcomes] == ["ci"]
    assert len(engine.book) == 1
    running.cancel()


@virtual
async def test_events_are_kept_for_thirty_days_and_keys_for_ninety():
    journal = MemoryJournal()
    passed = timedelta()
    never = pipeline("ci", hook(condition="false"))
    feed, _ = await fed(journal, never, clock=lambda: virtual_now() + passed)
    running = asyncio.create_task(feed.run())
    event_id = await delivered(feed)
    for days, kept in ((29, True), (2, False)):
        await asyncio.sleep(60)
        passed += days * DAY
        await asyncio.sleep(60)
        assert bool(feed.events()) is kept
    assert {kind for kind, _ in journal.texts} == {"event_key"}
    body = pushed(n=1)
    answer = await feed.deliver("ci/push", signed(body, delivery="1").items(), body)
    assert answer.body == {"event": event_id, "duplicate": True}
    passed += 60 * DAY
    await asyncio.sleep(60)
    assert journal.texts == {}
    await delivered(feed)
    running.cancel()


@virtual
async def test_of_events_that_are_over_no_more_than_a_bound_are_kept():
    book = EventBook(MemoryJournal(), new_id=event_ids())
    identity = Identity(trigger="p/t", type=TriggerType.SCHEDULE)
    for _ in range(event_book.MOST_KEPT + 50):
        event = Event(event_id=book.next_id(), identity=identity, created=virtual_now())
        book.save(event)
        book.save(
            Event(event_id=event.event_id, identity=identity, created=event.created, state=EventState.DONE)
        )
    book.forget_old(virtual_now())
    assert len(book.events()) == event_book.MOST_KEPT
    assert book.unended() == []


@virtual
async def test_what_waits_is_bounded_and_then_deliveries_are_to_come_later():
    feed, _ = await fed(MemoryJournal(), pipeline("ci", hook()))
    event = Event(
        event_id=feed.book.next_id(),
        identity=Identity(trigger="x", type=TriggerType.WEBHOOK),
        created=virtual_now(),
    )
    feed.book.add(event, "x" * (event_book.MOST_WAITING_BYTES - 10))
    with pytest.raises(TooManyWaitError):
        feed.book.add(event, "x" * 100)
    body = pushed()
    answer = await feed.deliver("ci/push", signed(body).items(), body)
    assert (answer.status, answer.headers) == (503, {"Retry-After": "5"})


@virtual
async def test_however_many_deliveries_wait_what_is_our_own_is_kept_and_comes_first():
    """Ends of runs, moments, and what somebody fires."""
    number = 2 * feeding.MOST_AT_ONCE + 10
    feed, engine = await fed(
        MemoryJournal(),
        pipeline("ci", hook(), schedule(every=timedelta(seconds=60)), concurrency=9),
        pipeline("then", after("ci"), concurrency=9),
        pipeline("never", hook(path="x", condition="false")),
    )
    run = engine.schedule("ci", variables={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_book, "MOST_WAITING", number)
        for n in range(number):
            body = pushed(n=n)
            answer = await feed.deliver("x", signed(body, delivery=f"{n}").items(), body)
            assert answer.status == (202 if n < 60 else 429)
            if n >= 60:  # of which no more come in a minute by one path
                identity = Identity(trigger="x", type=TriggerType.WEBHOOK)
                event = Event(event_id=feed.book.next_id(), identity=identity, created=virtual_now())
                feed.book.add(event, "{}")
        body = pushed()
        assert (await feed.deliver("ci/push", signed(body).items(), body)).status == 503
        feed._scheduler.plan(virtual_now())
        await asyncio.sleep(60)
        engine.task_ended(run.run_id, "first", TaskEnd())
        feed.fire("ci", "push", "ada")
        await feed._turn()
        assert sorted(run.pipeline for run in engine.book.runs()) == ["ci", "ci", "ci", "then"]
        assert len(feed.book.unended()) == number - feeding.MOST_AT_ONCE
        running = asyncio.create_task(feed.run())
        await asyncio.sleep(1)
        running.cancel()
    assert feed.book.unended() == []


@virtual
async def test_while_the_server_ends_deliveries_are_kept_for_the_next_one():
    journal = MemoryJournal()
    feed, engine = await fed(journal, pipeline("ci", hook()))
    running = asyncio.create_task(feed.run())
    engine.close()
    event_id = await delivered(feed)
    await asyncio.sleep(100)
    assert feed.event(event_id).state is EventState.NEW
    running.cancel()
    feed, engine = await fed(journal, pipeline("ci", hook()))
    running = asyncio.create_task(feed.run())
    await asyncio.sleep(1)
    assert len(engine.book) == 1
    running.cancel()


@virtual
async def test_a_trigger_that_is_not_there_is_told():
    feed, _ = await fed(MemoryJournal(), pipeline("ci", hook()))
    for verb in (feed.pause, feed.fire):
        with pytest.raises(UnknownTriggerError):
            verb("ci", "none", "ada")
    with pytest.raises(UnknownTriggerError):
        feed.resume("ci", "none")
    with pytest.raises(UnknownTriggerError):
        feed.next_times("none", "push", 1)
    assert feed.next_times("ci", "push", 1) == ()
