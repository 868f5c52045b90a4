"""A program that runs plans until it is killed: `python -m tests.plans.killed_program FOLDER [--finish]`.

Each of its actions writes to a file, and to the disk, that it begins and that it is done.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from paas_plans.plan import Checks, DeferredBatch, Plan, Status, When
from paas_plans.plugin import BasePlugin, Context, PluginError
from paas_plans.registry import Registry
from paas_plans.stores.protocol import Filter
from paas_plans.stores.sqlite import SQLiteStore
from paas_plans.workstream import Workstream

from tests.plans.small_plans import action, asked_by_name, block, plan, sequence

AT_ONCE = 4
UNENDED = frozenset({Status.NOT_STARTED, Status.RUNNING})


class Writes(BasePlugin):
    """In a thread, as file systems want it."""

    request_type: Any = str
    response_type: Any = str

    def __init__(self, log: Path, *, is_check: bool) -> None:
        self._log = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        self.is_check = is_check

    @property
    def name(self) -> str:
        return "looks" if self.is_check else "writes"

    def execute(self, request: str, context: Context) -> str:
        self._write(context, request, "begin")
        time.sleep(0.005)
        if request.startswith("fail"):
            raise PluginError("it is to fail", permanent=True)
        self._write(context, request, "end")
        return request

    def _write(self, context: Context, request: str, what: str) -> None:
        line = f"{os.getpid()} {context.plan_id} {context.action_id} {context.attempt} {request} {what}\n"
        os.write(self._log, line.encode())
        os.fsync(self._log)


def plan_of_work(*, fails: bool) -> Plan:
    """Two blocks, checks of each kind but bypass, and a batch for each outcome."""

    def row(*names: str) -> Any:
        return sequence(*names, plugin="writes")

    def looked(name: str) -> Checks:
        return Checks(actions=(action(name, plugin="looks", request=name),))

    def batch(when: When) -> DeferredBatch:
        rows = row(f"{when}-1", f"{when}-2")
        return DeferredBatch(name=str(when), description="-", when=when, actions=rows.actions)

    last = "fail" if fails else "last"
    made = plan(
        block(row("a1", "a2", "a3"), row("b1", "b2", "b3"), row("c1", "c2"), concurrency=2),
        block(row("d1", "d2"), row("e1", last), concurrency=2, pre_checks=looked("block-pre")),
        batches=tuple(map(batch, When)),
        pre_checks=looked("pre"),
        post_checks=looked("post"),
        deferred_checks=looked("deferred"),
    )
    return asked_by_name(made)


async def main(folder: Path, *, finish: bool) -> None:
    log = folder / "log"
    registry = Registry(Writes(log, is_check=False), Writes(log, is_check=True))
    store = SQLiteStore(folder / "plans.sqlite")
    async with Workstream(store, registry, oldest_recovered=None, oldest_started=None) as stream:
        print("ready", flush=True)
        old = [summary.id async for summary in stream.search(Filter(statuses=UNENDED))]
        await asyncio.gather(*(ended(stream, plan_id) for plan_id in old))
        number = 0
        while not finish:
            more = [plan_of_work(fails=(number + each) % 3 == 0) for each in range(AT_ONCE)]
            await asyncio.gather(*map(stream.run, more))
            number += AT_ONCE


async def ended(stream: Workstream, plan_id: UUID) -> None:
    await stream.start(plan_id)
    await stream.wait(plan_id)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), finish="--finish" in sys.argv))
