"""DBOS at work: `python -m benchmarks.plans.peer SCENARIO FILE COUNT`, in an environment that has it.

Each scenario in the way in which DBOS is fastest here: plain functions, called one after the other and by 64
threads; coroutines where 1,000 workflows wait, which would take as many threads. The journal of the database
is as it ships, or, with `--wal`, a write-ahead log, which SQLite keeps for a file once it was told; it is
fully synchronized either way, as is SQLite's default, which DBOS leaves alone.
"""

import asyncio
import sqlite3
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from dbos import DBOS

from benchmarks.plans.meters import BUSY, STEPS, Meter, Statements, end, memory, tell

_WAITING_STEP = 2


@DBOS.step()
def add(number: int) -> int:
    return number + 1


@DBOS.workflow()
def five_steps() -> int:
    number = 0
    for _ in range(STEPS):
        number = add(number)
    return number


called: Counter[int] = Counter()
awaited = 0
all_called = threading.Event()


@DBOS.step()
async def hold(number: int) -> int:
    called[number] += 1
    if called[_WAITING_STEP] == awaited:
        all_called.set()
    if number == _WAITING_STEP:
        await asyncio.Event().wait()
    return number


@DBOS.workflow()
async def held() -> None:
    for number in range(STEPS):
        await hold(number)


def alone(count: int) -> None:
    statements = _launched()
    for _ in range(BUSY):
        five_steps()
    meter = Meter(statements)
    for _ in range(count):
        five_steps()
    tell(**meter.per_plan(count))


def busy(count: int) -> None:
    statements = _launched()
    with ThreadPoolExecutor(BUSY) as threads:
        list(threads.map(lambda _: five_steps(), range(BUSY)))
        meter = Meter(statements)
        list(threads.map(lambda _: five_steps(), range(count)))
        tell(**meter.per_plan(count))


def start_held(count: int) -> None:
    """Workflows that are in the middle; then it waits to be killed."""

    async def main() -> None:
        _launched()
        before, begun = memory(), time.perf_counter()
        for _ in range(count):
            await DBOS.start_workflow_async(held)
        await asyncio.to_thread(all_called.wait)
        tell(memory_mb=(memory() - before) / 1e6 / count * 1000, begin_s=time.perf_counter() - begun)
        await asyncio.Event().wait()

    asyncio.run(main())


def recover(count: int) -> None:
    async def main() -> None:
        meter, begun = Meter(), time.perf_counter()
        _launched()
        await asyncio.to_thread(all_called.wait)
        tell(recover_s=time.perf_counter() - begun, recover_cpu_ms=meter.per_plan(count)["cpu_ms"])
        end()

    asyncio.run(main())


def _launched() -> Statements | None:
    statements = Statements() if "--count" in sys.argv else None
    file = sys.argv[2]
    if "--wal" in sys.argv:
        with closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA journal_mode = WAL")
    DBOS(config={"name": "benchmark", "system_database_url": f"sqlite:///{file}", "log_level": "ERROR"})
    DBOS.launch()
    return statements


if __name__ == "__main__":
    awaited = int(sys.argv[3])
    {"alone": alone, "busy": busy, "hold": start_held, "recover": recover}[sys.argv[1]](awaited)
    end()
