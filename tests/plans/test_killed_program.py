"""A real process on SQLite, killed a hundred times."""

import itertools
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from uuid import UUID

import attrs
import pytest
from paas_plans.document import plan_of
from paas_plans.plan import Action, DeferredBatch, Plan, Reason, Sequence, Status, When
from paas_plans.registry import Registry
from paas_plans.stores.protocol import Filter
from paas_plans.stores.sqlite import SQLiteStore
from paas_plans.walk import items

from tests.plans.invariants import assert_consistent
from tests.plans.killed_program import Writes
from tests.support.often import often

KILLS = often(100)
LONGEST_SECONDS = 0.25


@attrs.frozen
class Line:
    """Of the log; processes are numbered by when they first wrote to it."""

    process: int
    plan_id: UUID
    action_id: UUID
    attempt: int
    name: str
    is_begin: bool


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.plans.killed_program", str(folder), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed_after(folder: Path, seconds: float) -> None:
    with started(folder) as program:
        assert program.stdout
        assert program.stdout.readline() == "ready\n"
        time.sleep(seconds)
        program.send_signal(signal.SIGKILL)
        assert program.wait() == -signal.SIGKILL


def read(log: Path) -> list[Line]:
    numbers: dict[str, int] = {}
    lines = []
    for text in log.read_text().splitlines():
        process, plan_id, action_id, attempt, name, what = text.split()
        number = numbers.setdefault(process, len(numbers))
        lines.append(Line(number, UUID(plan_id), UUID(action_id), int(attempt), name, what == "begin"))
    return lines


async def stored(folder: Path) -> list[Plan]:
    store = SQLiteStore(folder / "plans.sqlite")
    await store.open(running_plans=False)
    registry = Registry(*(Writes(folder / "log", is_check=each) for each in (True, False)))
    found = [summary.id async for summary in store.search(Filter())]
    plans = [plan_of(await store.read(plan_id), registry, None) for plan_id in found]
    await store.close()
    return plans


@pytest.mark.soak
@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_process_killed_again_and_again_keeps_what_was_promised(tmp_path):
    rng = random.Random(7)
    for _ in range(KILLS):
        killed_after(tmp_path, rng.uniform(0, LONGEST_SECONDS))
    with started(tmp_path, "--finish") as last:
        assert last.wait(60) == 0
    plans, lines = await stored(tmp_path), read(tmp_path / "log")
    assert len(plans) > 10
    begins: dict[UUID, list[Line]] = defaultdict(list)
    for line in lines:
        if line.is_begin:
            begins[line.action_id].append(line)
    was_cut_off = [of_one for of_one in begins.values() if len(of_one) > 1]
    assert len(was_cut_off) > KILLS / 4
    for plan in plans:
        assert_ended(plan, begins, lines)
        for row in [*items(plan, Sequence), *items(plan, DeferredBatch)]:
            assert_no_more_than_was_in_progress_was_repeated(row, begins, lines)


def assert_ended(plan, begins, lines):
    assert_consistent(plan)
    fails = any(action.name == "fail" for action in items(plan, Action))
    assert (plan.state.status, plan.reason) == (
        (Status.FAILED, Reason.BLOCK) if fails else (Status.COMPLETED, Reason.UNKNOWN)
    )
    done = {line.action_id for line in lines if not line.is_begin}
    for action in items(plan, Action):
        assert (action.id in done) == (action.state.status is Status.COMPLETED), action.name
    outcome = When.ON_FAILURE if fails else When.ON_SUCCESS
    for batch in items(plan, DeferredBatch):
        is_selected = batch.when in (When.ALWAYS, outcome)
        assert all((action.id in done) == is_selected for action in batch.actions), batch.name


def assert_no_more_than_was_in_progress_was_repeated(row, begins, lines):
    """By the log alone: the next action tells that the one before was recorded to be done."""
    order_of_all = [line.action_id for line in lines if line.is_begin]
    for before, after in itertools.pairwise(row.actions):
        order = [action_id for action_id in order_of_all if action_id in {before.id, after.id}]
        if after.id in order:
            assert before.id not in order[order.index(after.id) :], f"{before.name} was called again"
    repeated: dict[int, set[UUID]] = defaultdict(set)
    for action in row.actions:
        processes = [line.process for line in begins[action.id]]
        assert len(set(processes)) == len(processes), f"{action.name} was called twice by one process"
        for process in processes[1:]:
            repeated[process].add(action.id)
    assert all(len(actions) <= 1 for actions in repeated.values())
