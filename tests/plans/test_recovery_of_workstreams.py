"""Plans that were running go on in the next workstream, as if the first had been killed there."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import attrs
import pytest
from paas_plans.errors import PlanRunningError, StoreError
from paas_plans.plan import Action, Plan, Reason, Status
from paas_plans.stores.memory import MemoryStore
from paas_plans.stores.protocol import Changes
from paas_plans.walk import items

from tests.plans.plugins import Works, in_virtual_time, raising, taking
from tests.plans.small_plans import block, checks, plan, sequence
from tests.plans.worlds_of_plans import FailingStore, seconds, workstream

HOUR = timedelta(hours=1)


async def left(store: MemoryStore, submitted: Plan, after: float, *plugins: Works) -> UUID:
    """The id of a plan whose workstream was left after so many seconds."""
    async with workstream(store, *plugins) as ws:
        await ws.start(plan_id := await ws.submit(submitted))
        await asyncio.sleep(after)
    return plan_id


def works(*names: str, **others: Any) -> Plan:
    return plan(block(sequence(*names, **others)))


@in_virtual_time
async def test_a_plan_goes_on_where_it_was_and_what_was_in_progress_is_called_again():
    store, plugins = MemoryStore(), [Works(name, taking(10)) for name in "abc"]
    plan_id = await left(store, works("a", "b", "c"), 15, *plugins)
    async with workstream(store, *plugins) as ws:
        done = await ws.wait(plan_id)
    assert (done.state.status, seconds()) == (Status.COMPLETED, 35)
    assert [len(each.calls) for each in plugins] == [1, 2, 1]
    first, again = plugins[1].calls
    assert (first.attempt, again.attempt, first.action_id) == (1, 1, again.action_id)


@in_virtual_time
async def test_a_workstream_is_ready_when_all_that_ran_has_been_taken_over():
    store, plugins = FailingStore(), [Works("work", taking(10))]
    async with workstream(store, *plugins) as ws:
        plans = [await ws.submit(works("work")) for _ in range(3)]
        for plan_id in plans:
            await ws.start(plan_id)
    async with workstream(store, *plugins) as ws:
        assert len(plugins[0].calls) == 3 + 3
        assert [(await ws.wait(one)).state.status for one in plans] == [Status.COMPLETED] * 3


@in_virtual_time
async def test_a_wait_is_not_begun_again_by_a_restart():
    store, plugin = MemoryStore(), Works("work")
    delayed = plan(block(sequence("work"), entrance_delay=timedelta(seconds=100)))
    plan_id = await left(store, delayed, 60, plugin)
    async with workstream(store, plugin) as ws:
        await ws.wait(plan_id)
    assert seconds() == 100


@in_virtual_time
async def test_attempts_that_were_made_count_after_a_restart():
    store, plugin = MemoryStore(), Works("work", raising(ValueError()))
    plan_id = await left(store, works("work", retries=2), 0.5, plugin)
    async with workstream(store, plugin) as ws:
        done = await ws.wait(plan_id)
    assert len(plugin.calls) == 3
    assert [len(each.attempts) for each in items(done, Action)] == [3]


@in_virtual_time
async def test_checks_that_were_interrupted_are_run_again_whole():
    store, plugins = (
        MemoryStore(),
        [
            Works("fast", taking(1), is_check=True),
            Works("slow", taking(10), is_check=True),
            Works("work"),
        ],
    )
    checked = attrs.evolve(works("work"), pre_checks=checks("fast", "slow"))
    plan_id = await left(store, checked, 5, *plugins)
    async with workstream(store, *plugins) as ws:
        assert (await ws.wait(plan_id)).state.status is Status.COMPLETED
    assert [len(each.calls) for each in plugins] == [2, 2, 1]


@in_virtual_time
async def test_a_plan_that_was_not_heard_of_for_long_fails_with_all_that_ran(
    caplog: pytest.LogCaptureFixture,
):
    store, plugin = MemoryStore(), Works("work", taking(10))
    plan_id = await left(store, works("work", "work"), 15, plugin)
    await asyncio.sleep(1831)
    async with workstream(store, plugin) as ws:
        failed = await ws.plan(plan_id)
        assert (failed.state.status, failed.reason) == (Status.FAILED, Reason.EXCEEDED_RECOVERY)
        assert [each.state.status for each in items(failed, Action)] == [Status.COMPLETED, Status.FAILED]
        assert failed == await ws.wait(plan_id)
        await asyncio.sleep(100)
    assert len(plugin.calls) == 2
    assert str(plan_id) in caplog.text


@pytest.mark.parametrize(("limit", "sleep"), [(timedelta(minutes=30), 1790), (None, 10**9)])
@in_virtual_time
async def test_how_old_a_plan_may_be_is_an_option(limit: timedelta | None, sleep: float):
    store, plugin = MemoryStore(), Works("work", taking(10))
    plan_id = await left(store, works("work"), 5, plugin)
    await asyncio.sleep(sleep)
    async with workstream(store, plugin, oldest_recovered=limit) as ws:
        assert (await ws.wait(plan_id)).state.status is Status.COMPLETED


@in_virtual_time
async def test_heartbeats_keep_a_long_action_young():
    store, plugin = MemoryStore(), Works("work", taking(3600))
    plan_id = await left(store, works("work", timeout=2 * HOUR), 3500, plugin)
    await asyncio.sleep(1200)
    async with workstream(store, plugin) as ws:
        assert (await ws.wait(plan_id)).state.status is Status.COMPLETED


@in_virtual_time
async def test_many_attempts_keep_an_action_young():
    store, plugin = MemoryStore(), Works("work", raising(ValueError()))
    plan_id = await left(store, works("work", retries=1000), 3500, plugin)
    await asyncio.sleep(1200)
    async with workstream(store, plugin) as ws:
        assert (await ws.plan(plan_id)).state.status is Status.RUNNING


@in_virtual_time
async def test_without_recovery_what_ran_is_left_as_it_is():
    store, plugin = MemoryStore(), Works("work", taking(10))
    plan_id = await left(store, works("work"), 5, plugin)
    async with workstream(store, plugin, recovery=False) as ws:
        await ws.start(plan_id)
        await asyncio.sleep(60)
        assert (await ws.plan(plan_id)).state.status is Status.RUNNING
        with pytest.raises(PlanRunningError):
            await ws.delete(plan_id)
    assert len(plugin.calls) == 1


@in_virtual_time
async def test_a_plan_that_cannot_be_read_is_left_alone_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
):
    store, plugin = MemoryStore(), Works("work", taking(10))
    async with workstream(store, plugin) as ws:
        unreadable, good = [await ws.submit(works("work")) for _ in range(2)]
        for plan_id in (unreadable, good):
            await ws.start(plan_id)
        summary = (await store.read(unreadable)).summary
    await store.open(running_plans=False)
    await store.save(Changes(summary=summary, states={unreadable: "no JSON"}))
    await store.close()
    async with workstream(store, plugin) as ws:
        assert (await ws.wait(good)).state.status is Status.COMPLETED
        [left] = ws.health()
        assert f"plan {unreadable} is left as it is" in left
        await ws.delete(unreadable)
        assert ws.health() == ()
    [record] = caplog.records
    assert record.message == left
    assert not record.exc_info


@in_virtual_time
async def test_an_action_whose_plugin_is_gone_fails_for_good():
    store, plugin = MemoryStore(), Works("work", taking(10))
    plan_id = await left(store, works("work", retries=5), 5, plugin)
    async with workstream(store) as ws:
        done = await ws.wait(plan_id)
    [found] = items(done, Action)
    [attempt] = found.attempts
    assert attempt.error
    assert attempt.error.permanent
    assert attempt.error.message == "no plugin has the name 'work'"
    assert done.reason is Reason.BLOCK


@in_virtual_time
async def test_a_plan_survives_any_number_of_restarts():
    store, plugin = MemoryStore(), Works("work", taking(10))
    plan_id = await left(store, works(*["work"] * 5), 15, plugin)
    for _ in range(3):
        async with workstream(store, plugin):
            await asyncio.sleep(15)
    async with workstream(store, plugin) as ws:
        done = await ws.wait(plan_id)
    assert done.state.status is Status.COMPLETED
    assert len(plugin.calls) == 5 + 4


@in_virtual_time
async def test_a_store_that_cannot_be_read_as_a_workstream_begins_is_told_and_let_go():
    class Unreadable(MemoryStore):
        is_broken = True

        async def read(self, plan_id: UUID) -> Any:
            if self.is_broken:
                raise StoreError("no connection")
            return await super().read(plan_id)

    store, plugin = Unreadable(), Works("work", taking(10))
    store.is_broken = False
    plan_id = await left(store, works("work"), 5, plugin)
    store.is_broken = True
    with pytest.raises(StoreError, match="no connection"):
        async with workstream(store, plugin):
            pass
    store.is_broken = False
    async with workstream(store, plugin) as ws:
        assert (await ws.wait(plan_id)).state.status is Status.COMPLETED
