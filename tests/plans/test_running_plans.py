"""How a plan is run: nothing is done before it is recorded, and what goes wrong with it stays with it."""

import asyncio
import gc
import threading
import time
import weakref
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest
from paas_plans import machine
from paas_plans.errors import NoSuchPlanError, StoreError
from paas_plans.machine.moves import Event
from paas_plans.plan import Action, Plan, Reason, Status, When
from paas_plans.plugin import Context, PluginError
from paas_plans.registry import Registry
from paas_plans.stores.memory import MemoryStore
from paas_plans.stores.sqlite import SQLiteStore
from paas_plans.walk import items
from paas_plans.workstream import Workstream

from paas_runner.testing.virtual_time import virtual_now
from tests.plans.plugins import Blocks, Works, in_virtual_time, raising, taking
from tests.plans.small_plans import batch, block, plan, sequence
from tests.plans.worlds_of_plans import FailingStore, ended, seconds, workstream


def works(*, times: int = 1, **others: Any) -> Plan:
    return plan(block(sequence(*["work"] * times, **others)))


def only(done: Plan) -> Action:
    [found] = items(done, Action)
    return found


# --- attempts -----------------------------------------------------------------------------------------------


@in_virtual_time
async def test_attempts_are_spaced_by_the_policy_of_their_plugin():
    failing = Works("work", raising(ValueError("no")))
    async with workstream(MemoryStore(), failing) as ws:
        done = await ws.run(works(retries=4))
    starts = [(one.start - (done.state.start or one.start)).total_seconds() for one in only(done).attempts]
    assert starts == [0, 1, 3, 7, 15]
    assert (done.state.status, done.reason, seconds()) == (Status.FAILED, Reason.BLOCK, 15)


@in_virtual_time
async def test_an_attempt_that_takes_too_long_is_made_again():
    hangs = Works("work", taking(3600))
    async with workstream(MemoryStore(), hangs) as ws:
        done = await ws.run(works(retries=1, timeout=timedelta(seconds=60)))
    assert [str(one.error and one.error.message) for one in only(done).attempts] == [
        "plugin execution timed out"
    ] * 2
    assert seconds() == 60 + 1 + 60


@in_virtual_time
async def test_after_a_permanent_error_there_is_no_other_attempt():
    failing = Works("work", raising(PluginError("never", code=3, permanent=True)))
    async with workstream(MemoryStore(), failing) as ws:
        done = await ws.run(works(retries=9))
    assert (len(failing.calls), only(done).state.status) == (1, Status.FAILED)


@in_virtual_time
async def test_an_attempt_that_succeeds_after_others_failed_completes_its_action():
    flaky = Works("work", raising(ValueError(), SystemExit(), asyncio.CancelledError(), None))
    async with workstream(MemoryStore(), flaky) as ws:
        done = await ws.run(works(retries=3))
    assert (done.state.status, len(only(done).attempts)) == (Status.COMPLETED, 4)


@in_virtual_time
async def test_a_plugin_sees_the_ids_its_attempt_and_its_deadline():
    flaky = Works("work", raising(ValueError(), None))
    async with workstream(MemoryStore(), flaky) as ws:
        done = await ws.run(works(retries=1, timeout=timedelta(seconds=50)))
    began, second = done.state.start, timedelta(seconds=1)
    assert began
    assert flaky.calls == [
        Context(plan_id=done.id, action_id=only(done).id, attempt=number, deadline=began + wait * second)
        for number, wait in ((1, 50), (2, 51))
    ]


@in_virtual_time
async def test_a_plugin_may_loop_up_to_its_deadline():
    async def polls(request: Any, context: Context) -> str:
        rounds = 0
        while virtual_now() < context.deadline - timedelta(seconds=2):
            await asyncio.sleep(1)
            rounds += 1
        return f"{rounds} rounds"

    async with workstream(MemoryStore(), Works("work", polls)) as ws:
        done = await ws.run(works())
    assert only(done).attempts[0].response == "28 rounds"


# --- what is recorded ---------------------------------------------------------------------------------------


@in_virtual_time
async def test_no_plugin_is_called_before_it_is_recorded_that_it_runs():
    store, plugin = FailingStore(), Works("work", taking(1))
    async with workstream(store, plugin) as ws:
        plan_id = await ws.submit(works(times=2))
        store.is_fast.clear()
        starting = asyncio.create_task(ws.start(plan_id))
        await asyncio.sleep(100)
        assert not plugin.calls
        assert not starting.done()
        store.is_fast.set()
        await ws.wait(plan_id)
        assert seconds() == 102


@in_virtual_time
async def test_all_that_ends_together_is_recorded_together():
    store = FailingStore()
    async with workstream(store, Works("work", taking(1))) as ws:
        await ws.run(plan(block(*(sequence("work") for _ in range(100)), concurrency=100)))
    assert len(store.saved) <= 3


@in_virtual_time
async def test_while_the_store_fails_a_plan_stands_still_and_what_ends_meanwhile_waits(
    caplog: pytest.LogCaptureFixture,
):
    store = FailingStore()
    plugin = Works("work", taking(1))
    async with workstream(store, plugin) as ws:
        plans = [
            await ws.submit(plan(block(sequence("work", "work"), sequence("work"), concurrency=2)))
            for _ in "ab"
        ]
        for plan_id in plans:
            await ws.start(plan_id)
        assert ws.health() == ()
        store.is_broken = True
        await asyncio.sleep(600)
        assert len(plugin.calls) == 4, "what ran was recorded; what follows is not begun"
        assert ws.health() == ("the disk is full",)
        tries = len(store.tries)
        assert 100 < tries < 300, "it is tried again, but not without a pause"
        store.is_broken = False
        for plan_id in plans:
            assert (await ws.wait(plan_id)).state.status is Status.COMPLETED
        assert ws.health() == ()
        assert seconds() < 620
    assert len(plugin.calls) == 6
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "the disk is full" in caplog.text


@in_virtual_time
async def test_whether_the_store_can_say_who_is_to_stop_is_health_too():
    class Unreadable(MemoryStore):
        is_broken = False

        async def asked_to_stop(self) -> Any:
            if self.is_broken:
                raise StoreError("no connection")
            return await super().asked_to_stop()

    store = Unreadable()
    async with workstream(store, Works("work", taking(100))) as ws:
        await ws.start(plan_id := await ws.submit(works(timeout=timedelta(hours=1))))
        store.is_broken = True
        await asyncio.sleep(10)
        assert ws.health() == ("no connection",)
        store.is_broken = False
        await ws.stop(plan_id)
        await ws.wait(plan_id)
        await asyncio.sleep(2)
        assert ws.health() == ()


@in_virtual_time
async def test_a_plan_that_is_deleted_while_it_runs_ends_there(caplog: pytest.LogCaptureFixture):
    canceled: list[float] = []

    async def long(request: Any, context: Context) -> None:
        try:
            await asyncio.sleep(25)
        except asyncio.CancelledError:
            canceled.append(seconds())

    store = MemoryStore()
    async with workstream(store, Works("work", taking(10)), Works("long", long)) as ws:
        await ws.start(
            plan_id := await ws.submit(plan(block(sequence("work"), sequence("long"), concurrency=2)))
        )
        await store.delete(plan_id)
        with pytest.raises(NoSuchPlanError):
            await ws.wait(plan_id)
        assert (seconds(), canceled) == (10, [10])
    [record] = caplog.records
    assert str(plan_id) in record.message
    assert "deleted" in record.message
    assert not record.exc_info


@in_virtual_time
async def test_a_defect_ends_the_plan_that_meets_it_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    right_step = machine.step

    def step(plan: Plan, event: Event, now: datetime) -> Any:
        if plan.name == "odd" and plan.heartbeat:
            raise RuntimeError("an impossible state")
        return right_step(plan, event, now)

    monkeypatch.setattr(machine, "step", step)
    async with workstream(MemoryStore(), Works("work", taking(1000))) as ws:
        day = timedelta(days=1)
        odd = await ws.submit(attrs.evolve(works(timeout=day), name="odd"))
        good = await ws.submit(works(timeout=day))
        await ws.start(odd)
        await ws.start(good)
        failed = await ws.wait(odd)
        assert (failed.state.status, failed.reason) == (Status.FAILED, Reason.UNKNOWN)
        assert only(failed).state.status is Status.FAILED
        assert failed == await ws.plan(odd)
        assert (await ws.wait(good)).state.status is Status.COMPLETED
    [record] = caplog.records
    assert record.exc_info
    assert str(odd) in record.message


@in_virtual_time
async def test_a_clock_that_is_set_while_a_plan_waits_delays_it_by_a_minute_at_most():
    ahead = [timedelta(0)]
    async with workstream(MemoryStore(), Works("work"), now=lambda: virtual_now() + ahead[0]) as ws:
        delayed = plan(block(sequence("work"), entrance_delay=timedelta(hours=5)))
        await ws.start(plan_id := await ws.submit(delayed))
        await asyncio.sleep(5)
        ahead[0] = timedelta(hours=5)
        assert (await ws.wait(plan_id)).state.status is Status.COMPLETED
        assert seconds() <= 65


# --- the heartbeat ------------------------------------------------------------------------------------------


@in_virtual_time
async def test_a_plan_in_which_nothing_changes_is_recorded_as_alive_after_more_than_five_minutes():
    store = FailingStore()
    async with workstream(store, Works("work", taking(700))) as ws:
        await ws.start(plan_id := await ws.submit(works(timeout=timedelta(hours=1))))
        await asyncio.sleep(300)
        assert (await ws.plan(plan_id)).heartbeat is None
        await asyncio.sleep(11)
        beaten = (await ws.plan(plan_id)).heartbeat
        assert beaten
        assert timedelta(0) < virtual_now() - beaten <= timedelta(seconds=10)
        await ws.wait(plan_id)
        assert len(store.saved) == 1 + 2 + 1


@in_virtual_time
async def test_a_plan_in_which_something_changes_needs_no_heartbeat():
    store = FailingStore()
    async with workstream(store, Works("work", taking(250))) as ws:
        done = await ws.run(works(times=4, timeout=timedelta(hours=1)))
    assert done.heartbeat is None


# --- leaving ------------------------------------------------------------------------------------------------


def test_a_workstream_is_left_within_two_seconds_whatever_its_plugins_do(caplog: pytest.LogCaptureFixture):
    go_on = threading.Event()
    ended: list[asyncio.Task[Any]] = []

    async def stubborn(request: Any, context: Context) -> None:
        while not go_on.is_set():
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                ended.append(asyncio.current_task())  # type: ignore[arg-type]

    async def story() -> float:
        plugins = [Blocks(lambda: go_on.wait(60)), Works("stubborn", stubborn)]
        async with Workstream(MemoryStore(), Registry(*plugins)) as ws:
            for name in ("blocks", "stubborn"):
                await ws.start(await ws.submit(plan(block(sequence(name)))))
            await asyncio.sleep(0.1)
            began = time.monotonic()
        took = time.monotonic() - began
        go_on.set()
        await asyncio.wait(ended)
        return took

    assert asyncio.run(story()) < 2
    assert "stubborn" in caplog.text
    for thread in threading.enumerate():
        if thread.name == "blocks":
            thread.join()


@in_virtual_time
async def test_what_has_ended_as_a_workstream_is_left_is_recorded_and_nothing_further_begun():
    store, plugin = FailingStore(), Works("work", taking(10))
    async with workstream(store, plugin) as ws:
        await ws.start(plan_id := await ws.submit(works(times=3)))
        await asyncio.sleep(9.5)
        store.is_fast.clear()
        await asyncio.sleep(1)
        asyncio.get_running_loop().call_later(0.2, store.is_fast.set)
    assert seconds() < 11
    assert len(plugin.calls) == 1
    async with workstream(store, plugin, recovery=False) as ws:
        stored = await ws.plan(plan_id)
    assert stored.state.status is Status.RUNNING
    assert [one.state.status for one in items(stored, Action)] == [
        Status.COMPLETED,
        Status.RUNNING,
        Status.NOT_STARTED,
    ]


@in_virtual_time
async def test_a_workstream_whose_store_fails_is_left_all_the_same():
    store = FailingStore()
    async with workstream(store, Works("work", taking(1))) as ws:
        await ws.start(await ws.submit(works()))
        store.is_broken = True
        await asyncio.sleep(100)
    assert seconds() <= 102


# --- several processes --------------------------------------------------------------------------------------


async def test_another_process_stops_a_plan_by_the_file(tmp_path: Path):
    plugins = [Works("work", taking(0.3)), Works("cleans")]
    mine, other = SQLiteStore(tmp_path / "plans.db"), SQLiteStore(tmp_path / "plans.db")
    async with Workstream(mine, Registry(*plugins)) as ws:
        long = plan(block(sequence(*["work"] * 100)), batches=(batch(When.ON_FAILURE, "cleans"),))
        await ws.start(plan_id := await ws.submit(long))
        await other.open(running_plans=False)
        await other.ask_to_stop(plan_id)
        await other.close()
        done = await asyncio.wait_for(ws.wait(plan_id), 10)
    assert (done.state.status, done.reason) == (Status.STOPPED, Reason.STOPPED)
    assert ended(done)["cleans"] is Status.COMPLETED


async def test_a_workstream_that_is_left_and_entered_again_and_again_loses_nothing(tmp_path: Path):
    plugin = Works("work", taking(0.001))
    plans: list[UUID] = []
    for _ in range(5):
        async with Workstream(SQLiteStore(tmp_path / "plans.db"), Registry(plugin)) as ws:
            plans += [await ws.submit(works(times=20)) for _ in range(10)]
            await asyncio.gather(*map(ws.start, plans[-10:]))
    async with Workstream(SQLiteStore(tmp_path / "plans.db"), Registry(plugin)) as ws:
        done = [await ws.wait(one) for one in plans]
    assert {one.state.status for one in done} == {Status.COMPLETED}
    assert all(len(each.attempts) == 1 for one in done for each in items(one, Action))
    assert len(plugin.calls) <= 50 * 20 + 5 * 50, "at most one of a sequence is repeated by each restart"


@in_virtual_time
async def test_nothing_is_kept_of_plans_that_have_ended():
    async with workstream(MemoryStore(), Works("work", taking(1))) as ws:
        await ws.run(works())
        tasks = len(asyncio.all_tasks())
        ended = [weakref.ref(await ws.run(works(timeout=timedelta(hours=1)))) for _ in range(20)]
        gc.collect()
        assert len(asyncio.all_tasks()) == tasks
        assert [one() for one in ended[:-1] if one()] == []


async def test_a_timeout_may_be_as_good_as_endless():
    async with Workstream(MemoryStore(), Registry(Works("work"))) as ws:
        assert (await ws.run(works(timeout=timedelta(days=36_525)))).state.status is Status.COMPLETED


@in_virtual_time
async def test_a_plugin_that_has_lost_its_policy_ends_its_plan_and_no_other(caplog: pytest.LogCaptureFixture):
    odd = Works("odd", raising(ValueError()))
    async with workstream(MemoryStore(), odd, Works("work", taking(10))) as ws:
        vars(odd)["policy"] = None
        good, bad = await asyncio.gather(ws.run(works()), ws.run(plan(block(sequence("odd")))))
    assert (good.state.status, bad.state.status) == (Status.COMPLETED, Status.FAILED)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
