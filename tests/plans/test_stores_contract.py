"""What every store of plans promises: one suite, run on each of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import attrs
import pytest
from paas_plans.errors import NoSuchPlanError, PlanExistsError, StoreError, StoreInUseError
from paas_plans.ids import fresh_id
from paas_plans.plan import Reason, Status
from paas_plans.stores.memory import MemoryStore
from paas_plans.stores.postgres import PostgresStore
from paas_plans.stores.protocol import Changes, Document, Filter, Store, Summary
from paas_plans.stores.sqlite import SQLiteStore

from tests.plans.documents import MORNING, document, running

Make: TypeAlias = Callable[[], Store]
"""One more store, not open, on the same place."""


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    match request.param:
        case "sqlite":
            return lambda: SQLiteStore(tmp_path / "folder" / "plans.db")
        case "postgres":
            place, _ = request.getfixturevalue("database_of_this_process")
            schema = f'a "contract" {fresh_id().hex}'
            return lambda: PostgresStore(place.url.reveal(), schema=schema)
        case _:
            memory = MemoryStore()
            return lambda: memory


@pytest.fixture
async def store(make: Make) -> AsyncIterator[Store]:
    store = make()
    await store.open(running_plans=True)
    yield store
    await store.close()


async def all_created(store: Store, plans: Iterable[Document]) -> None:
    await asyncio.gather(*map(store.create, plans))


async def found(store: Store, limit: int | None = None, **wanted: object) -> list[Summary]:
    return [one async for one in store.search(Filter(**wanted), limit=limit)]  # type: ignore[arg-type]


async def ids(store: Store, **wanted: object) -> set[UUID]:
    return {one.id for one in await found(store, **wanted)}


# --- one plan -----------------------------------------------------------------------------------------------


async def test_what_was_created_is_read_back_as_it_was(store: Store):
    whole = document(
        states={fresh_id(): "{}", fresh_id(): '{"status": 100}'},
        name="Ünï % _ 'quoted' \"twice\" \\ 漢字 🚀",
        description="",
        group_id=fresh_id(),
        status=Status.STOPPED,
        reason=Reason.EXCEEDED_RECOVERY,
        start=MORNING + timedelta(microseconds=1),
        end=datetime(2126, 1, 1, 0, 0, 0, 999_999, UTC),
    )
    await store.create(whole)
    assert await store.read(whole.summary.id) == whole


@pytest.mark.parametrize("name", ["\x00", "a\x00b", "\ud800", "x" * 100_000, " ", "\r\n"])
async def test_any_name_is_kept(store: Store, name: str):
    whole = document(name=name, description=name)
    await store.create(whole)
    assert (await store.read(whole.summary.id)).summary.name == name
    assert [one.description for one in await found(store, name_has=name)] == [name]


async def test_times_of_other_zones_are_kept_as_the_same_instant(store: Store):
    berlin = MORNING.astimezone(timezone(timedelta(hours=2)))
    whole = document(start=berlin)
    await store.create(whole)
    assert (await store.read(whole.summary.id)).summary.start == MORNING


async def test_a_plan_exists_from_its_creation_to_its_deletion(store: Store):
    whole = document(states={fresh_id(): "{}"})
    assert not await store.exists(whole.summary.id)
    await store.create(whole)
    assert await store.exists(whole.summary.id)
    await store.delete(whole.summary.id)
    assert not await store.exists(whole.summary.id)
    await store.create(whole)
    assert await store.read(whole.summary.id) == whole


async def test_a_plan_is_created_once_and_the_first_one_stays(store: Store):
    first = document(name="first", states={fresh_id(): "{}"})
    await store.create(first)
    with pytest.raises(PlanExistsError):
        await store.create(attrs.evolve(document(), summary=attrs.evolve(first.summary, name="second")))
    assert await store.read(first.summary.id) == first


async def test_what_is_saved_replaces_what_it_names_and_leaves_the_rest(store: Store):
    one, two, three = fresh_id(), fresh_id(), fresh_id()
    whole = document(states={one: '{"n": 1}', two: '{"n": 2}'})
    other = document(states={one: "{}"})
    await store.create(whole)
    await store.create(other)
    changes = running(whole, {two: '{"n": 20}', three: '{"n": 3}'}, start=MORNING)
    await store.save(changes)
    kept = await store.read(whole.summary.id)
    assert kept.states == {one: '{"n": 1}', two: '{"n": 20}', three: '{"n": 3}'}
    assert (kept.summary, kept.definition) == (changes.summary, whole.definition)
    assert await store.read(other.summary.id) == other


async def test_a_save_of_the_summary_alone_is_kept(store: Store):
    whole = document()
    await store.create(whole)
    changes = running(whole, {})
    await store.save(changes)
    assert await found(store) == [changes.summary]


async def test_a_plan_that_is_not_there_is_named(store: Store):
    gone = document()
    for call in (
        store.read(gone.summary.id),
        store.delete(gone.summary.id),
        store.save(running(gone, {fresh_id(): "{}"})),
        store.ask_to_stop(gone.summary.id),
    ):
        with pytest.raises(NoSuchPlanError, match=str(gone.summary.id)):
            await call
    assert await found(store) == []


# --- many ---------------------------------------------------------------------------------------------------


async def test_lists_begin_with_the_newest_submission(store: Store):
    plans = [document(minute) for minute in (3, 1, 2, 2, 0)]
    for plan in plans:
        await store.create(plan)
    expected = sorted((plan.summary for plan in plans), key=lambda one: (one.submitted, one.id), reverse=True)
    assert await found(store) == expected
    assert await found(store, limit=2) == expected[:2]
    assert await found(store, limit=0) == []
    assert await found(store, limit=1000) == expected


async def test_each_filter_that_is_given_must_hold(store: Store):
    group, other = fresh_id(), fresh_id()
    early = document(0, group_id=group, status=Status.RUNNING, name="Roll out")
    late = document(9, group_id=group, status=Status.FAILED, name="Roll back")
    alone = document(5, status=Status.RUNNING, name="Rest")
    elsewhere = document(5, group_id=other, status=Status.COMPLETED, name="ROLL")
    for plan in (early, late, alone, elsewhere):
        await store.create(plan)
    a, b, c, d = (plan.summary.id for plan in (early, late, alone, elsewhere))

    assert await ids(store) == {a, b, c, d}
    assert await ids(store, ids=frozenset({a, c, fresh_id()})) == {a, c}
    assert await ids(store, group_ids=frozenset({group})) == {a, b}
    assert await ids(store, group_ids=frozenset({group, other})) == {a, b, d}
    assert await ids(store, statuses=frozenset({Status.RUNNING})) == {a, c}
    assert await ids(store, statuses=frozenset({Status.FAILED, Status.COMPLETED})) == {b, d}
    assert await ids(store, submitted_after=MORNING) == {b, c, d}
    assert await ids(store, submitted_before=MORNING + timedelta(minutes=5)) == {a}
    instant = timedelta(microseconds=1)
    assert await ids(store, submitted_after=MORNING - instant, submitted_before=MORNING + instant) == {a}
    assert await ids(store, name_has="roll") == {a, b, d}
    assert await ids(store, name_has="") == {a, b, c, d}

    # a status is asked for beside the others, not instead of them
    both = frozenset({Status.RUNNING, Status.FAILED})
    assert await ids(store, ids=frozenset({b, d}), statuses=both) == {b}
    assert await ids(store, group_ids=frozenset({group}), statuses=frozenset({Status.RUNNING})) == {a}
    assert await ids(store, group_ids=frozenset({group}), name_has="BACK", submitted_after=MORNING) == {b}
    assert await ids(store, ids=frozenset({a}), group_ids=frozenset({other})) == set()


@pytest.mark.parametrize("field", ["ids", "group_ids", "statuses"])
async def test_an_empty_filter_holds_for_no_plan(store: Store, field: str):
    await store.create(document(group_id=fresh_id()))
    await store.create(document())
    assert await found(store, **{field: frozenset()}) == []


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("%", "100% sure"),
        ("_", "snake_case"),
        ("'", "Peter's"),
        ('"', 'the "best"'),
        ("\\", "C:\\"),
        ("\\%", "a\\%b"),
        ("\x00", "a\x00b"),
        ("straße", "HAUPTSTRASSE"),
        ("ÉCLAIR", "one éclair"),
        ("漢", "some 漢字"),
        ("*", "all * of it"),
        ("'; DROP TABLE plans; --", "x'; drop table plans; --"),
    ],
)
async def test_a_part_of_a_name_is_taken_as_it_is_in_any_case(store: Store, part: str, name: str):
    await store.create(document(name=name))
    await store.create(document(name="Deploy nothing of the kind"))
    assert [one.name for one in await found(store, name_has=part)] == [name]


async def test_thousands_of_ids_can_be_asked_for(store: Store):
    plan = document()
    await store.create(plan)
    many = frozenset([plan.summary.id, *(fresh_id() for _ in range(40_000))])
    assert await ids(store, ids=many, group_ids=None) == {plan.summary.id}


async def test_a_search_goes_on_while_plans_are_written_and_deleted(store: Store):
    """Each that is there from its beginning to its end is told once."""
    plans = [document(minute) for minute in range(450)]
    await all_created(store, plans)
    told: list[UUID] = []
    async for one in store.search(Filter()):
        told.append(one.id)
        if len(told) == 10:
            for plan in plans[:20]:  # the last of the list
                await store.delete(plan.summary.id)
            await all_created(store, [document(minute) for minute in range(1000, 1100)])
            await asyncio.gather(*(store.save(running(plan, {fresh_id(): "{}"})) for plan in plans[20:]))
    assert len(told) == len(set(told))
    assert set(told) >= {plan.summary.id for plan in plans[20:]}


async def test_a_search_that_is_left_early_is_over(store: Store):
    await all_created(store, [document(minute) for minute in range(300)])
    async for one in store.search(Filter()):
        await store.delete(one.id)
        break
    assert len(await found(store)) == 299


async def test_retention_deletes_what_ended_before_and_nothing_that_has_not(store: Store):
    ended = [
        document(end=MORNING + timedelta(minutes=minute), states={fresh_id(): "{}"}) for minute in (1, 2, 3)
    ]
    unended = document(status=Status.RUNNING)
    for plan in (*ended, unended):
        await store.create(plan)
    assert await store.delete_ended(MORNING + timedelta(minutes=3)) == 2
    assert await ids(store) == {ended[2].summary.id, unended.summary.id}
    assert await store.delete_ended(MORNING + timedelta(minutes=3)) == 0
    with pytest.raises(NoSuchPlanError):
        await store.read(ended[0].summary.id)


async def test_retention_deletes_any_number(store: Store):
    await all_created(store, [document(n, end=MORNING, states={fresh_id(): "{}"}) for n in range(700)])
    assert await store.delete_ended(MORNING + timedelta(microseconds=1)) == 700
    assert await found(store) == []


# --- stops --------------------------------------------------------------------------------------------------


async def test_word_to_stop_reaches_who_runs_the_plan_while_it_runs(store: Store, make: Make):
    plan, quiet = document(status=Status.RUNNING), document(status=Status.RUNNING)
    await store.create(plan)
    await store.create(quiet)
    assert await store.asked_to_stop() == frozenset()
    other = make()
    await other.open(running_plans=False)
    await other.ask_to_stop(plan.summary.id)
    await other.ask_to_stop(plan.summary.id)
    if other is not store:
        await other.close()
    assert await store.asked_to_stop() == {plan.summary.id}
    await store.save(running(plan, {}))
    assert await store.asked_to_stop() == {plan.summary.id}
    await store.save(running(plan, {}, status=Status.STOPPED))
    assert await store.asked_to_stop() == frozenset()


async def test_word_that_was_left_before_a_plan_runs_is_kept(store: Store):
    plan = document()
    await store.create(plan)
    await store.ask_to_stop(plan.summary.id)
    assert await store.asked_to_stop() == frozenset()
    await store.save(running(plan, {}))
    assert await store.asked_to_stop() == {plan.summary.id}


async def test_word_for_a_deleted_plan_is_gone_with_it(store: Store):
    plan = document(status=Status.RUNNING)
    await store.create(plan)
    await store.ask_to_stop(plan.summary.id)
    await store.delete(plan.summary.id)
    await store.create(plan)
    assert await store.asked_to_stop() == frozenset()


# --- opened and closed --------------------------------------------------------------------------------------


async def test_what_was_stored_is_there_when_it_is_opened_again(make: Make):
    first = make()
    await first.open(running_plans=True)
    plan = document(states={fresh_id(): "{}"})
    await first.create(plan)
    await first.close()
    second = make()
    await second.open(running_plans=True)
    assert await second.read(plan.summary.id) == plan
    await second.close()


async def test_one_alone_runs_the_plans_and_others_read_beside_it(store: Store, make: Make):
    plan = document(status=Status.RUNNING)
    await store.create(plan)
    other = make()
    with pytest.raises(StoreInUseError):
        await other.open(running_plans=True)
    await other.open(running_plans=False)
    assert await other.read(plan.summary.id) == plan
    await other.delete(plan.summary.id)
    assert not await store.exists(plan.summary.id)
    await other.close()
    await store.close()
    await other.open(running_plans=True)
    await other.close()


async def test_a_store_that_is_open_is_not_opened_again_to_run_its_plans(store: Store, make: Make):
    with pytest.raises(StoreInUseError):
        await store.open(running_plans=True)
    await store.create(plan := document())
    assert await store.exists(plan.summary.id), "it goes on"
    with pytest.raises(StoreInUseError):
        await make().open(running_plans=True)


async def test_a_store_is_of_use_in_the_loop_alone_that_opened_it(store: Store):
    def elsewhere() -> None:
        with pytest.raises(StoreError, match="another event loop"):
            asyncio.run(store.create(document()))

    await asyncio.to_thread(elsewhere)
    await store.create(document())


def test_a_store_that_was_not_closed_before_its_loop_ended_can_be_opened_again(make: Make):
    store = make()

    async def use() -> None:
        await store.open(running_plans=True)
        await store.create(document())

    asyncio.run(use())
    asyncio.run(use())
    asyncio.run(store.close())


async def test_a_closed_store_says_so_and_can_be_closed_again(store: Store):
    plan = document()
    await store.create(plan)
    await store.close()
    await store.close()
    for call in (
        store.create(document()),
        store.save(running(plan, {})),
        store.read(plan.summary.id),
        store.exists(plan.summary.id),
        found(store),
        store.delete(plan.summary.id),
        store.delete_ended(MORNING),
        store.ask_to_stop(plan.summary.id),
        store.asked_to_stop(),
    ):
        with pytest.raises(StoreError, match="not open"):
            await call


async def test_a_store_that_was_never_opened_says_so(make: Make):
    store = make()
    with pytest.raises(StoreError, match="not open"):
        await store.exists(fresh_id())
    await store.close()


async def test_closing_finishes_what_was_asked_for(store: Store, make: Make):
    plans = [document(states={fresh_id(): "{}"}) for _ in range(50)]
    async with asyncio.TaskGroup() as tasks:
        for plan in plans:
            tasks.create_task(store.create(plan))
        await asyncio.sleep(0)
        tasks.create_task(store.close())
    again = make()
    await again.open(running_plans=False)
    assert await ids(again) == {plan.summary.id for plan in plans}
    await again.close()


# --- many at once -------------------------------------------------------------------------------------------


async def test_sixty_four_savers_keep_what_each_saved_last(store: Store):
    plans = [document() for _ in range(64)]
    last: dict[UUID, Changes] = {}

    async def lives(plan: Document) -> None:
        await store.create(plan)
        objects = [fresh_id() for _ in range(3)]
        for turn in range(10):
            changes = running(plan, dict.fromkeys(objects, f'{{"turn": {turn}}}'), reason=Reason.BLOCK)
            await store.save(changes)
            last[plan.summary.id] = changes

    async with asyncio.TaskGroup() as tasks:
        for plan in plans:
            tasks.create_task(lives(plan))
    for plan_id, changes in last.items():
        kept = await store.read(plan_id)
        assert (kept.summary, kept.states) == (changes.summary, changes.states)


async def test_two_saves_of_one_plan_at_once_are_kept_in_their_order(store: Store):
    plan, thing = document(), fresh_id()
    await store.create(plan)
    first, second = running(plan, {thing: "1", fresh_id(): "x"}), running(plan, {thing: "2"}, start=MORNING)
    await asyncio.gather(store.save(first), store.save(second))
    kept = await store.read(plan.summary.id)
    assert (kept.summary, kept.states) == (second.summary, {**first.states, thing: "2"})


async def test_who_fails_does_not_fail_who_waits_beside(store: Store):
    there, gone = document(), document()
    await store.create(there)
    new, objects = document(), {fresh_id(): "{}"}
    results = await asyncio.gather(
        store.save(running(there, objects)),
        store.save(running(gone, objects)),
        store.create(there),
        store.create(new),
        store.create(new),
        store.save(running(there, {}, status=Status.FAILED)),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [
        type(None),
        NoSuchPlanError,
        PlanExistsError,
        type(None),
        PlanExistsError,
        type(None),
    ]
    kept = await store.read(there.summary.id)
    assert (kept.summary.status, kept.states) == (Status.FAILED, objects)
    assert await ids(store) == {there.summary.id, new.summary.id}


async def test_a_canceled_save_is_kept_whole_or_not_at_all(store: Store):
    before = {fresh_id(): "old" for _ in range(50)}
    after = dict.fromkeys(before, "new")
    plans = [document(states=before) for _ in range(20)]
    for plan in plans:
        await store.create(plan)
    for turn, plan in enumerate(plans):
        saving = asyncio.create_task(store.save(running(plan, after)))
        beside = asyncio.create_task(store.save(running(plans[0], {})))
        for _ in range(turn % 4):
            await asyncio.sleep(0)
        saving.cancel()
        await asyncio.gather(saving, return_exceptions=True)
        await beside
    for plan in plans:
        kept = await store.read(plan.summary.id)
        assert kept.states in (before, after)
        if plan is not plans[0]:
            assert (kept.summary.status is Status.RUNNING) == (kept.states == after)


async def test_a_canceled_creation_is_kept_whole_or_not_at_all(store: Store):
    for turn in range(12):
        plan = document(states={fresh_id(): "{}" for _ in range(50)})
        creating = asyncio.create_task(store.create(plan))
        for _ in range(turn % 4):
            await asyncio.sleep(0)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        if await store.exists(plan.summary.id):
            assert await store.read(plan.summary.id) == plan
