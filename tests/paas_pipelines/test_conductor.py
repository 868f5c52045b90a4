"""What the conductor promises: each task that runs by the records comes to its place once, and to its end."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from paas_pipelines.definitions.definition import ON_ERROR, OnError
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.store.logs import MOST_TOLD_BYTES, Stream

from paas_runner.testing.virtual_time import run_virtual
from tests.support.conducted import RUN, Stage, World, pipeline, task

OK = TaskEnd()
FAILED = TaskEnd(exit_code=3)


def virtual(main: Callable[[Path], Awaitable[None]]) -> Callable[[Path], None]:
    def test(tmp_path: Path) -> None:
        run_virtual(main(tmp_path))

    test.__name__, test.__doc__ = main.__name__, main.__doc__
    return test


@virtual
async def test_tasks_run_side_by_side_unless_they_depend_on_each_other(folder: Path) -> None:
    """P015, P018."""
    tasks = {"a": task(), "b": task(), "c": task("a", "b")}
    world = World(folder, pipeline(tasks=tasks), stage=Stage(dict.fromkeys(tasks, OK)))
    run = world.schedule()
    async with world.running():
        await asyncio.sleep(0.5)
        assert world.stage.at_work == {"a", "b"}
        await asyncio.sleep(1)
        assert world.stage.at_work == {"c"}
        await asyncio.sleep(1)
    assert world.now(run).completed
    assert sorted(world.stage.names) == ["a", "b", "c"]


@virtual
async def test_nothing_begins_before_its_record_is_on_the_disk(folder: Path) -> None:
    world = World(folder, pipeline())
    run = world.schedule()
    async with world.running():
        await asyncio.sleep(0.005)
        assert not world.stage.orders
        await asyncio.sleep(0.01)
        assert world.stage.names == ["first"]
        assert world.disk.texts[RUN, run.run_id] == run


@virtual
async def test_while_the_disk_is_full_nothing_begins_and_then_everything(folder: Path) -> None:
    world = World(folder, pipeline())
    world.disk.full = True
    world.schedule()
    async with world.running():
        await asyncio.sleep(300)
        assert not world.stage.orders
        assert world.disk.flushes < 40
        world.disk.full = False
        await asyncio.sleep(60)
        assert world.stage.at_work == {"first"}


@virtual
async def test_what_is_canceled_before_it_began_never_begins(folder: Path) -> None:
    world = World(folder, pipeline())
    world.disk.full = True
    run = world.schedule()
    async with world.running():
        await asyncio.sleep(10)
        world.engine.cancel(run.run_id)
        await asyncio.sleep(1)
        assert world.statuses(run) == {"first": "canceled"}
        world.disk.full = False
        await asyncio.sleep(60)
    assert not world.stage.orders


@virtual
async def test_a_cancel_reaches_the_place_although_the_disk_is_full(folder: Path) -> None:
    """P118."""
    world = World(folder, pipeline())
    run = world.schedule()
    async with world.running():
        await asyncio.sleep(1)
        world.disk.full = True
        world.engine.cancel(run.run_id)
        await asyncio.sleep(1)
    assert world.stage.stopped == ["first"]
    assert world.statuses(run) == {"first": "canceled"}
    assert world.now(run).last_error == "context canceled"


@virtual
async def test_a_failure_stops_the_others(folder: Path) -> None:
    tasks = {"bad": task(), "long": task(), "late": task("long")}
    world = World(folder, pipeline(tasks=tasks), stage=Stage({"bad": FAILED}))
    run = world.schedule()
    async with world.running():
        await asyncio.sleep(5)
    assert world.stage.stopped == ["long"]
    assert world.statuses(run) == {"bad": "error", "long": "canceled", "late": "canceled"}
    assert world.now(run).last_error == "exit status 3"


@virtual
async def test_an_unforeseen_error_ends_one_task_with_its_text(folder: Path) -> None:
    tasks = {"bad": task(), "good": task()}
    stage = Stage({"bad": RuntimeError("the moon is \udce9 full"), "good": OK})
    world = World(folder, pipeline(tasks=tasks, continue_running_tasks_after_failure=True), stage=stage)
    run = world.schedule()
    async with world.running():
        await asyncio.sleep(5)
    assert world.statuses(run) == {"bad": "error", "good": "done"}
    assert world.now(run).task("bad").error == "unexpected error: the moon is ? full"


@virtual
async def test_what_a_failure_starts_is_told_of_it(folder: Path) -> None:
    """P051, P052: the last words of the task that failed, within bounds."""
    stage = Stage({"bad": FAILED, ON_ERROR: OK})
    world = World(folder, pipeline(tasks={"bad": task()}, on_error=OnError(script=("true",))), stage=stage)
    run = world.schedule()
    world.logs.output(run.run_id, "bad").stderr(b"\xff" + b"x" * MOST_TOLD_BYTES)
    async with world.running():
        await asyncio.sleep(5)
    assert world.now(run).completed
    assert stage.orders[-1].variables == {
        "color": "red",
        "failedTaskName": "bad",
        "failedTaskExitCode": 3,
        "failedTaskError": "exit status 3",
        "failedTaskStdout": "bad was here\n",
        "failedTaskStderr": "x" * MOST_TOLD_BYTES,
    }


@virtual
async def test_a_delay_ends_by_the_loops_own_time(folder: Path) -> None:
    delayed = pipeline(start_delay=timedelta(seconds=90))
    world = World(folder, delayed)
    world.schedule()
    async with world.running():
        await asyncio.sleep(89)
        assert not world.stage.orders
        await asyncio.sleep(1.1)
        assert world.stage.names == ["first"]


@pytest.mark.parametrize("microseconds", [1, 999, 1000, 10_001])
def test_a_delay_that_ends_between_two_looks_is_not_missed(tmp_path: Path, microseconds: int) -> None:
    async def main() -> None:
        world = World(tmp_path, pipeline(start_delay=timedelta(microseconds=microseconds), concurrency=9))
        async with world.running():
            for _ in range(5):
                world.schedule()
                await asyncio.sleep(0.0007)
            await asyncio.sleep(1)
            assert len(world.stage.orders) == 5

    run_virtual(main())


@virtual
async def test_a_run_that_is_kept_no_longer_goes_and_its_logs_after_its_record(folder: Path) -> None:
    world = World(folder, pipeline(retention_count=1), stage=Stage({"first": OK}))
    old = world.schedule()
    async with world.running():
        await asyncio.sleep(5)
        assert world.logs.size(old.run_id, "first", Stream.STDOUT)
        world.schedule()
        await asyncio.sleep(1.015)
        world.disk.full = True
        await asyncio.sleep(200)
        assert world.engine.book.runs()
        assert [run.run_id for run in world.engine.book.runs()] != [old.run_id]
        assert world.disk.texts[RUN, old.run_id]
        assert world.logs.size(old.run_id, "first", Stream.STDOUT)
        world.disk.full = False
    await world.disk.flushed()
    assert (RUN, old.run_id) not in world.disk.texts
    assert not world.logs.path(old.run_id, "first", Stream.STDOUT).parent.exists()


@virtual
async def test_what_grows_old_is_forgotten_although_nothing_happens(folder: Path) -> None:
    definition = pipeline(retention_period=timedelta(hours=1))
    world = World(folder, definition, stage=Stage({"first": OK}))
    run = world.schedule()
    async with world.running():
        await asyncio.sleep(3590)
        assert world.logs.size(run.run_id, "first", Stream.STDOUT)
        await asyncio.sleep(80)
    await world.disk.flushed()
    assert not world.logs.size(run.run_id, "first", Stream.STDOUT)
    assert len(world.engine.book) == 0


@virtual
async def test_a_graceful_end_waits_for_what_runs_and_cancels_what_waits(folder: Path) -> None:
    """P098."""
    tasks = {"a": task(), "b": task("a")}
    world = World(folder, pipeline(tasks=tasks), stage=Stage({"a": OK, "b": OK}))
    runs, waits = world.schedule(), world.schedule()
    async with world.running() as ended:
        await asyncio.sleep(0.5)
        world.conductor.close()
        assert world.now(waits).canceled
        await asyncio.sleep(1)
        assert not ended.done()
        await asyncio.sleep(1)
        assert ended.done()
    assert world.now(runs).completed
    assert not world.now(runs).canceled


@virtual
async def test_a_forced_end_stops_what_runs(folder: Path) -> None:
    """P099: also one that is graceful so far."""
    world = World(folder, pipeline())
    run = world.schedule()
    async with world.running() as ended:
        await asyncio.sleep(1)
        world.conductor.close()
        await asyncio.sleep(100)
        assert not ended.done()
        world.conductor.force()
        await asyncio.sleep(1)
        assert ended.done()
    assert world.stage.stopped == ["first"]
    assert world.now(run).canceled


@virtual
async def test_an_end_at_once_leaves_the_record_as_it_is(folder: Path) -> None:
    world = World(folder, pipeline())
    run = world.schedule()
    async with world.running():
        await asyncio.sleep(1)
    assert not world.stage.at_work
    assert world.statuses(run) == {"first": "running"}
    assert world.stage.stopped == []


@virtual
async def test_an_end_that_cannot_be_recorded_starts_nothing_again(folder: Path) -> None:
    world = World(folder, pipeline(), stage=Stage({"first": OK}))
    run = world.schedule()
    async with world.running():
        await asyncio.sleep(0.5)
        world.engine.task_ended = lambda *_: 1 / 0
        await asyncio.sleep(300)
    assert world.stage.names == ["first"]
    assert world.statuses(run) == {"first": "running"}


def looks(folder: Path, runs: int, finished: int) -> int:
    """How many records the conductor looked at while so many runs went from their start to their end."""
    looked = 0

    async def main() -> None:
        nonlocal looked
        world = World(folder, pipeline(concurrency=10_000), stage=Stage({"first": OK}, seconds=0.001))
        activities = world.engine.activities

        def counted(records):
            nonlocal looked
            records = list(records)
            looked += len(records)
            return activities(records)

        async with world.running():
            for _ in range(finished):
                world.schedule()
            await asyncio.sleep(5)
            world.engine.activities = counted
            for _ in range(runs):
                world.schedule()
                await asyncio.sleep(0.002)
            await asyncio.sleep(5)
        assert all(run.completed for run in world.engine.book.runs())

    run_virtual(main())
    return looked


def test_a_look_costs_what_has_changed_and_nothing_for_what_is_over(tmp_path: Path) -> None:
    assert looks(tmp_path, 50, 0) == looks(tmp_path, 50, 200) <= 50 * 3
