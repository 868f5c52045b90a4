"""What a workstream promises to those who use it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from paas_plans.clone import clone
from paas_plans.errors import (
    ClosedError,
    NoSuchPlanError,
    NotStartedError,
    PlanRefusedError,
    PlanRunningError,
    PluginUnusableError,
    StalePlanError,
    StoreInUseError,
)
from paas_plans.ids import fresh_id
from paas_plans.plan import Plan, Reason, Status, When
from paas_plans.registry import Registry
from paas_plans.stores.memory import MemoryStore
from paas_plans.stores.protocol import Filter
from paas_plans.workstream import Workstream

from paas_runner.testing.virtual_time import virtual_now
from tests.plans.plugins import Works, in_virtual_time, taking
from tests.plans.small_plans import batch, block, plan, sequence
from tests.plans.worlds_of_plans import FailingStore, ended, seconds, workstream

MINUTE = timedelta(minutes=1)


def work(takes: float = 10) -> Works:
    return Works("work", taking(takes))


def works(*, times: int = 1) -> Plan:
    return plan(block(sequence(*["work"] * times)))


@in_virtual_time
async def test_a_plan_that_is_submitted_is_stored_and_does_not_run():
    async with workstream(MemoryStore(), plugin := work()) as ws:
        plan_id = await ws.submit(works())
        await asyncio.sleep(60)
        stored = await ws.plan(plan_id)
    assert (stored.id, stored.state.status, plugin.calls) == (plan_id, Status.NOT_STARTED, [])
    assert (virtual_now() - (stored.submitted or virtual_now())).total_seconds() == 60


@in_virtual_time
async def test_a_plan_that_is_started_runs_in_the_background_and_is_waited_for():
    async with workstream(MemoryStore(), work()) as ws:
        plan_id = await ws.submit(works())
        await ws.start(plan_id)
        assert seconds() == 0
        assert (await ws.plan(plan_id)).state.status is Status.RUNNING, "what returned is recorded"
        done = await ws.wait(plan_id)
        assert seconds() == 10
        assert done == await ws.plan(plan_id) == await ws.wait(plan_id)
        assert (done.state.status, done.reason) == (Status.COMPLETED, Reason.UNKNOWN)


@in_virtual_time
async def test_run_is_all_of_it():
    async with workstream(MemoryStore(), work()) as ws:
        assert (await ws.run(works(times=3))).state.status is Status.COMPLETED
    assert seconds() == 30


@in_virtual_time
async def test_a_plan_that_is_started_many_times_at_once_runs_once_and_is_recorded_as_running_once():
    async with workstream(store := FailingStore(), plugin := work()) as ws:
        plan_id = await ws.submit(works())
        await asyncio.gather(*(ws.start(plan_id) for _ in range(10)))
        assert len(store.saved) == 1
        assert len(plugin.calls) == 1


@in_virtual_time
async def test_to_start_a_plan_that_runs_or_has_ended_changes_nothing():
    async with workstream(store := FailingStore(), plugin := work()) as ws:
        plan_id = await ws.submit(works())
        await ws.start(plan_id)
        await ws.start(plan_id)
        await ws.wait(plan_id)
        writes = len(store.saved)
        await ws.start(plan_id)
        await asyncio.sleep(60)
    assert (len(plugin.calls), len(store.saved)) == (1, writes)


@in_virtual_time
async def test_a_plan_that_has_run_is_refused_in_one_sentence():
    async with workstream(MemoryStore(), work()) as ws:
        done = await ws.run(works(times=3))
        for plan_again in (done, await ws.plan(done.id)):
            with pytest.raises(PlanRefusedError) as caught:
                await ws.run(plan_again)
            assert caught.value.complaints == ("plan was submitted before: submit a clone of it",)
        assert (await ws.run(clone(done))).state.status is Status.COMPLETED


@in_virtual_time
async def test_whoever_starts_or_waits_may_be_canceled_and_the_plan_runs_on():
    async with workstream(store := FailingStore(), work()) as ws:
        plan_id = await ws.submit(works())
        store.is_fast.clear()
        starting = asyncio.create_task(ws.start(plan_id))
        await asyncio.sleep(1)
        starting.cancel()
        store.is_fast.set()
        await asyncio.sleep(1)
        waiting = asyncio.create_task(ws.wait(plan_id))
        await asyncio.sleep(1)
        waiting.cancel()
        assert (await ws.wait(plan_id)).state.status is Status.COMPLETED
    assert starting.cancelled()
    assert waiting.cancelled()


@in_virtual_time
async def test_who_waits_for_a_plan_that_is_just_being_started_waits_for_its_end():
    async with workstream(MemoryStore(), work()) as ws:
        plan_id = await ws.submit(works())
        _, done = await asyncio.gather(ws.start(plan_id), ws.wait(plan_id))
        assert done.state.status is Status.COMPLETED


@in_virtual_time
async def test_a_plan_that_was_submitted_long_ago_is_not_started():
    async with workstream(MemoryStore(), work()) as ws:
        in_time, late = await ws.submit(works()), await ws.submit(works())
        await asyncio.sleep(1800)
        await ws.start(in_time)
        await asyncio.sleep(1)
        with pytest.raises(StalePlanError, match=f"{late} was submitted 2026-01-01"):
            await ws.start(late)
        assert (await ws.plan(late)).state.status is Status.NOT_STARTED


@in_virtual_time
async def test_for_how_long_a_plan_may_wait_for_its_start_is_an_option():
    async with workstream(MemoryStore(), work(), oldest_started=None) as ws:
        plan_id = await ws.submit(works())
        await asyncio.sleep(3 * 3600)
        await ws.start(plan_id)
        assert (await ws.wait(plan_id)).state.status is Status.COMPLETED


@in_virtual_time
async def test_the_longest_time_there_is_is_for_ever(caplog: pytest.LogCaptureFixture):
    ever = timedelta.max
    options: dict[str, Any] = {"oldest_started": ever, "oldest_recovered": ever, "keep_ended": ever}
    store = MemoryStore()
    async with workstream(store, work(), **options) as ws:
        await ws.start(plan_id := await ws.submit(works()))
        await asyncio.sleep(1)
    async with workstream(store, work(), **options) as ws:
        assert (await ws.wait(plan_id)).state.status is Status.COMPLETED
    assert not caplog.records


@in_virtual_time
async def test_a_plan_whose_plugin_is_gone_is_not_started():
    store = MemoryStore()
    async with workstream(store, work()) as ws:
        plan_id = await ws.submit(works())
    async with workstream(store) as ws:
        with pytest.raises(PlanRefusedError, match="work"):
            await ws.start(plan_id)
        assert (await ws.plan(plan_id)).state.status is Status.NOT_STARTED


@in_virtual_time
async def test_an_id_in_text_is_no_id():
    async with workstream(MemoryStore(), work()) as ws:
        plan_id: Any = str(await ws.submit(works()))
        for ask in (ws.start, ws.plan, ws.wait, ws.stop):
            with pytest.raises(TypeError, match="an id is a UUID, not of the type str"):
                await ask(plan_id)
        with pytest.raises(TypeError, match="'ids' must be"):
            Filter(ids=frozenset({plan_id}))
    with pytest.raises(TypeError, match="'statuses' must be"):
        Filter(statuses={"running"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("plans.db", Registry()), {}),
        ((Registry(), MemoryStore()), {}),
        ((MemoryStore(), [work()]), {}),
        *(((MemoryStore(), Registry()), {each: 30}) for each in ("oldest_started", "keep_ended")),
    ],
)
def test_a_workstream_is_not_made_of_what_it_cannot_use(arguments: Any, options: Any):
    with pytest.raises(TypeError, match="30 is no time" if options else "say Workstream"):
        Workstream(*arguments, **options)


@in_virtual_time
async def test_an_invalid_plan_is_refused_and_not_stored():
    async with workstream(MemoryStore()) as ws:
        with pytest.raises(PlanRefusedError):
            await ws.submit(works())
        assert not [one async for one in ws.search()]


@pytest.mark.parametrize(
    "ask", [Workstream.start, Workstream.wait, Workstream.plan, Workstream.stop, Workstream.delete]
)
@in_virtual_time
async def test_an_unknown_id_is_told(ask: Callable[[Workstream, UUID], Awaitable[object]]):
    async with workstream(MemoryStore()) as ws:
        with pytest.raises(NoSuchPlanError, match="no plan has the id"):
            await ask(ws, fresh_id())


@in_virtual_time
async def test_a_plan_that_is_not_started_is_not_waited_for():
    async with workstream(MemoryStore(), work()) as ws:
        with pytest.raises(NotStartedError, match="not started"):
            await ws.wait(await ws.submit(works()))


@in_virtual_time
async def test_a_plan_that_runs_elsewhere_is_not_waited_for():
    store = MemoryStore()
    async with workstream(store, work()) as ws:
        await ws.start(plan_id := await ws.submit(works()))
    async with workstream(store, work(), recovery=False) as ws:
        with pytest.raises(NotStartedError, match="is running, and is not run here"):
            await ws.wait(plan_id)


# --- status -------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_status_is_given_at_once_and_after_every_interval_up_to_the_first_that_has_ended():
    async with workstream(MemoryStore(), work()) as ws:
        plan_id = await ws.submit(works(times=2))
        seen = []
        async for one in ws.status(plan_id, timedelta(seconds=8)):
            seen.append((seconds(), one.state.status))
            if len(seen) == 2:
                await ws.start(plan_id)
    running = [(at, Status.RUNNING) for at in (16, 24)]
    not_started = [(at, Status.NOT_STARTED) for at in (0, 8)]
    assert seen == [*not_started, *running, (32, Status.COMPLETED)]


@in_virtual_time
async def test_status_of_a_plan_that_has_ended_is_given_once():
    async with workstream(MemoryStore(), work()) as ws:
        done = await ws.run(works())
        assert [one async for one in ws.status(done.id, MINUTE)] == [done]


@in_virtual_time
async def test_status_ends_with_an_error_where_there_is_no_such_plan_any_more():
    async with workstream(store := MemoryStore(), work()) as ws:
        told = ws.status(plan_id := await ws.submit(works()), MINUTE)
        await anext(told)
        await store.delete(plan_id)
        with pytest.raises(NoSuchPlanError):
            await anext(told)


# --- stop ---------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_plan_that_is_stopped_ends_what_runs_and_does_what_is_deferred():
    plugins = [Works(name, taking(10)) for name in ("a", "b", "always", "on success")]
    async with workstream(MemoryStore(), *plugins) as ws:
        plan_id = await ws.submit(
            plan(
                block(sequence("a", "b")),
                batches=(batch(When.ALWAYS, "always"), batch(When.ON_SUCCESS, "on success")),
            )
        )
        await ws.start(plan_id)
        await asyncio.sleep(4)
        await ws.stop(plan_id)
        await ws.stop(plan_id)
        done = await ws.wait(plan_id)
        assert seconds() == 20
        await ws.stop(plan_id)
        assert await ws.plan(plan_id) == done
    assert (done.state.status, done.reason) == (Status.STOPPED, Reason.STOPPED)
    assert ended(done) == {
        "a": Status.COMPLETED,
        "b": Status.NOT_STARTED,
        "always": Status.COMPLETED,
        "on success": Status.NOT_STARTED,
    }


@in_virtual_time
async def test_a_stop_that_another_process_asks_for_is_seen_within_a_second():
    async with workstream(store := MemoryStore(), work()) as ws:
        await ws.start(plan_id := await ws.submit(works(times=2)))
        await asyncio.sleep(8.5)
        await store.ask_to_stop(plan_id)
        done = await ws.wait(plan_id)
    assert (seconds(), done.state.status) == (10, Status.STOPPED)


@in_virtual_time
async def test_a_stop_that_was_asked_for_before_a_restart_is_seen_after_it():
    store = MemoryStore()
    async with workstream(store, work()) as ws:
        await ws.start(plan_id := await ws.submit(works(times=2)))
    await store.open(running_plans=False)
    await store.ask_to_stop(plan_id)
    await store.close()
    async with workstream(store, work()) as ws:
        assert (await ws.wait(plan_id)).state.status is Status.STOPPED


@in_virtual_time
async def test_what_is_not_started_cannot_be_stopped():
    async with workstream(MemoryStore(), work()) as ws:
        with pytest.raises(NotStartedError, match="nothing to stop"):
            await ws.stop(await ws.submit(works()))


# --- what is stored -----------------------------------------------------------------------------------------


@in_virtual_time
async def test_plans_are_searched_newest_first():
    async with workstream(MemoryStore(), work()) as ws:
        first = (await ws.run(works())).id
        second = await ws.submit(works())
        assert [one.id async for one in ws.search()] == [second, first]
        assert [one.id async for one in ws.search(limit=1)] == [second]
        completed = Filter(statuses=frozenset({Status.COMPLETED}))
        assert [one.id async for one in ws.search(completed)] == [first]


@in_virtual_time
async def test_a_plan_that_runs_is_not_deleted():
    async with workstream(MemoryStore(), work()) as ws:
        plan_id = await ws.submit(works())
        starting = asyncio.create_task(ws.start(plan_id))
        await asyncio.sleep(0)
        with pytest.raises(PlanRunningError, match="stop it"):
            await ws.delete(plan_id)
        await starting
        with pytest.raises(PlanRunningError, match="stop it"):
            await ws.delete(plan_id)
        await ws.wait(plan_id)
        await ws.delete(plan_id)
        with pytest.raises(NoSuchPlanError):
            await ws.plan(plan_id)


@in_virtual_time
async def test_plans_that_ended_long_ago_are_deleted_if_that_is_wanted():
    async with workstream(store := MemoryStore(), work(), keep_ended=timedelta(days=1)) as ws:
        done, waits = (await ws.run(works())).id, await ws.submit(works())
        await asyncio.sleep(timedelta(hours=23).total_seconds())
        assert (await ws.plan(done)).id == done
        await asyncio.sleep(timedelta(hours=2).total_seconds())
        assert [one.id async for one in ws.search()] == [waits]
        await ws.run(works())
    await asyncio.sleep(timedelta(days=2).total_seconds())
    async with workstream(store, keep_ended=timedelta(days=1)) as ws:
        await asyncio.sleep(1)
        assert [one.id async for one in ws.search()] == [waits]


# --- opened and closed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [Workstream.start, Workstream.wait, Workstream.plan, Workstream.stop, Workstream.delete],
)
@in_virtual_time
async def test_a_workstream_that_is_closed_says_so(ask: Callable[[Workstream, UUID], Awaitable[object]]):
    ws = workstream(MemoryStore(), work())
    for _ in range(2):
        with pytest.raises(ClosedError, match="async with"):
            await ask(ws, fresh_id())
        with pytest.raises(ClosedError):
            await ws.submit(works())
        with pytest.raises(ClosedError):
            ws.search()
        async with ws:
            pass


@in_virtual_time
async def test_who_waits_as_the_workstream_is_closed_is_told():
    async with workstream(store := FailingStore(), work()) as ws:
        await ws.start(plan_id := await ws.submit(works()))
        store.is_broken = True
        late = await ws.submit(works())
        asked: list[Awaitable[Any]] = [ws.wait(plan_id), ws.start(late)]
        waiting = [asyncio.ensure_future(one) for one in asked]
        await asyncio.sleep(1)
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in told] == [ClosedError, ClosedError]


@in_virtual_time
async def test_no_workstream_begins_with_a_plugin_that_cannot_work_here():
    class Unusable(Works):
        def init(self) -> None:
            raise FileNotFoundError("git is not installed")

    store = MemoryStore()
    with pytest.raises(PluginUnusableError, match="git is not installed"):
        async with workstream(store, Unusable("git")):
            pass
    async with workstream(store):
        pass  # the store was let go


@in_virtual_time
async def test_two_workstreams_do_not_run_the_plans_of_one_store():
    async with workstream(store := MemoryStore()):
        with pytest.raises(StoreInUseError):
            async with workstream(store):
                pass
        assert not await store.exists(fresh_id()), "the first goes on"


def test_a_workstream_needs_no_more_than_a_store_and_a_registry():
    async def story() -> Status:
        async with Workstream(MemoryStore(), Registry(work(0))) as ws:
            return (await ws.run(works())).state.status

    assert asyncio.run(story()) is Status.COMPLETED
