"""`paas-plans` at work: `python -m benchmarks.plans.own SCENARIO FILE COUNT` prints figures as JSON."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paas_plans import (
    Action,
    BasePlugin,
    Block,
    Context,
    Plan,
    Registry,
    Sequence,
    SQLiteStore,
    Status,
    Workstream,
)

from benchmarks.plans.meters import BUSY, STEPS, Meter, Statements, end, memory, tell

_WAITING_STEP = 2


class Add(BasePlugin):
    """The action of all plans that end."""

    name = "add"
    request_type = response_type = int

    async def execute(self, request: int, context: Context) -> int:  # noqa: ARG002
        return request + 1


class Hold(BasePlugin):
    """An action that does not end; who waits for `count` calls of it is told."""

    name = "hold"
    request_type = response_type = int

    def __init__(self, count: int) -> None:
        self.count, self.called = count, Counter[int]()
        self.all_called = asyncio.Event()

    async def execute(self, request: int, context: Context) -> int:  # noqa: ARG002
        self.called[request] += 1
        if self.called[_WAITING_STEP] == self.count:
            self.all_called.set()
        if request == _WAITING_STEP:
            await asyncio.Event().wait()
        return request


def _plan(*, sequences: int = 1, concurrency: int = 1, plugin: str = "add") -> Plan:
    return Plan(
        name="benchmark",
        description="five actions",
        blocks=(
            Block(
                name="block",
                description="-",
                concurrency=concurrency,
                sequences=tuple(
                    Sequence(
                        name=f"sequence {number}",
                        description="-",
                        actions=tuple(
                            Action(name=f"step {step}", description="-", plugin=plugin, request=step)
                            for step in range(STEPS)
                        ),
                    )
                    for number in range(sequences)
                ),
            ),
        ),
    )


async def _run(work: Workstream, plan: Plan) -> None:
    ended = await work.run(plan)
    assert ended.state.status is Status.COMPLETED, ended


def _workstream(file: Path, *plugins: Any) -> Workstream:
    registry = Registry()
    for plugin in plugins:
        registry.register(plugin)
    return Workstream(SQLiteStore(file), registry)


async def alone(file: Path, count: int) -> None:
    statements = Statements() if "--count" in sys.argv else None
    async with _workstream(file, Add()) as work:
        for _ in range(BUSY):
            await _run(work, _plan())
        meter = Meter(statements)
        for _ in range(count):
            await _run(work, _plan())
        tell(**meter.per_plan(count))
        end()


async def busy(file: Path, count: int) -> None:
    statements = Statements() if "--count" in sys.argv else None
    async with _workstream(file, Add()) as work:

        async def some(numbers: Iterator[int]) -> None:
            for _ in numbers:
                await _run(work, _plan())

        await asyncio.gather(*(_run(work, _plan()) for _ in range(BUSY)))
        meter, numbers = Meter(statements), iter(range(count))
        await asyncio.gather(*(some(numbers) for _ in range(BUSY)))
        tell(**meter.per_plan(count))
        end()


async def hold(file: Path, count: int) -> None:
    """Plans that are in the middle; then it waits to be killed."""
    plugin = Hold(count)
    async with _workstream(file, Add(), plugin) as work:
        await _run(work, _plan())
        before, begun = memory(), time.perf_counter()
        for _ in range(count):
            await work.start(await work.submit(_plan(plugin="hold")))
        await plugin.all_called.wait()
        tell(memory_mb=(memory() - before) / 1e6 / count * 1000, begin_s=time.perf_counter() - begun)
        await asyncio.Event().wait()


async def recover(file: Path, count: int) -> None:
    plugin, meter, begun = Hold(count), Meter(), time.perf_counter()
    async with _workstream(file, Add(), plugin):
        await plugin.all_called.wait()
        figures = {
            "recover_s": time.perf_counter() - begun,
            "recover_cpu_ms": meter.per_plan(count)["cpu_ms"],
        }
        assert set(plugin.called) == {_WAITING_STEP}, "what was completed has been called again"
        tell(**figures)
        end()


async def large(file: Path, count: int) -> None:
    """One plan with that many sequences."""
    async with _workstream(file, Add()) as work:
        await _run(work, _plan())
        meter = Meter()
        await _run(work, _plan(sequences=count, concurrency=50))
        figures = meter.per_plan(count * STEPS)
        tell(actions_per_second=figures["plans_per_second"], action_cpu_ms=figures["cpu_ms"])
        end()


if __name__ == "__main__":
    scenario = {each.__name__: each for each in (alone, busy, hold, recover, large)}[sys.argv[1]]
    asyncio.run(scenario(Path(sys.argv[2]), int(sys.argv[3])))
