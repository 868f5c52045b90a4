"""Run many seeds, or one again: `python -m tests.simulation.simulate --help`."""

import argparse
import asyncio
import logging
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import attrs
import structlog

from paas_runner.testing.virtual_time import VirtualTimeLoop
from tests.simulation.crowd import CrowdedWorld
from tests.simulation.neighbours import NeighbouringWorld
from tests.simulation.world import SimulatedWorld

NEIGHBOURS = 1_000_000
"""From this seed on worlds have several runners and payers, whose credentials and flavors come and go."""

CROWDS = 2_000_000
"""From this seed on worlds have swarms of jobs, and too small a quota for them."""


@attrs.frozen(kw_only=True)
class Outcome:
    """One seed's end."""

    seed: int
    counts: Counter
    lives: int
    jobs: int
    violation: str = ""


def simulate(seed: int) -> Outcome:
    """One run from a seed; a violation is part of the outcome."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_simulated(Path(folder), seed))


async def _simulated(folder: Path, seed: int) -> Outcome:
    kinds = {CROWDS: CrowdedWorld, NEIGHBOURS: NeighbouringWorld, 0: SimulatedWorld}
    world = next(kind for first, kind in kinds.items() if seed >= first)(folder, seed)
    violation = ""
    BUGS.clear()
    EVENTS.clear()
    try:
        await world.run()
    except Exception:  # noqa: BLE001 - a bug of ours is a violation, too
        violation = traceback.format_exc()
    finally:
        await world.aclose()
    violation = "".join(BUGS[:1]) or violation
    counts = Counter({name: count for name, count in world.chaos.counts.items() if count}) + EVENTS
    return Outcome(
        seed=seed, counts=counts, lives=world.lives, jobs=len(world.submitted), violation=violation
    )


BUGS: list[str] = []
"""Tracebacks that the service logged: it went on, but it should not have needed to."""


EVENTS: Counter[str] = Counter()
"""How often something was logged that is worth to be counted."""


def quiet() -> None:
    """Nothing of the service's log is shown but bugs are kept, unless SIMULATE_LOG asks for all of it."""

    def watch(_logger, _method, event):
        if "exc_info" in event:
            BUGS.append(f"{event['event']}\n{traceback.format_exc()}")
        if event["event"] == "job_waits_for_room":
            EVENTS["wait for room"] += 1
        if not os.environ.get("SIMULATE_LOG"):
            raise structlog.DropEvent
        return {"at": f"{asyncio.get_running_loop().time():9.1f}", **event}

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            watch,
            structlog.processors.KeyValueRenderer(key_order=["at", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Kill the service everywhere, in virtual time, and look whether the promise holds.",
        epilog="SIMULATE_LOG=1 shows the service's log of the run.",
    )
    parser.add_argument("--seed", type=int, help="run this one seed")
    parser.add_argument(
        "--runs",
        type=int,
        default=200,
        help="how many seeds: half of plain worlds, a quarter of wider and of crowded ones (default 200)",
    )
    parser.add_argument("--first", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    chosen = parser.parse_args()
    quiet()
    if chosen.seed is not None:
        outcome = simulate(chosen.seed)
        print(outcome.violation or f"seed {chosen.seed}: kept", dict(outcome.counts))
        return 1 if outcome.violation else 0
    quarter = chosen.runs // 4
    first, wider, crowded = (kind + chosen.first for kind in (0, NEIGHBOURS, CROWDS))
    seeds = [
        *range(first, first + chosen.runs - 2 * quarter),
        *range(wider, wider + quarter),
        *range(crowded, crowded + quarter),
    ]
    return _many(seeds, chosen.workers)


def _many(seeds: Sequence[int], workers: int) -> int:
    began, totals, lives, jobs, broken = time.monotonic(), Counter(), 0, 0, []
    with multiprocessing.Pool(workers, initializer=quiet) as pool:
        for number, outcome in enumerate(pool.imap_unordered(simulate, seeds, chunksize=4), 1):
            totals += outcome.counts
            lives += outcome.lives
            jobs += outcome.jobs
            if outcome.violation:
                broken.append(outcome.seed)
                last = outcome.violation.strip().splitlines()[-1]
                print(
                    f"\nseed {outcome.seed}: {last}\n  again: make simulate SEED={outcome.seed}", flush=True
                )
            if sys.stderr.isatty() or number % 100 == 0:
                print(f"\r{number} of {len(seeds)} seeds", end="", file=sys.stderr, flush=True)
    print(
        f"\n{len(seeds)} seeds in {time.monotonic() - began:.0f} s: {jobs} jobs, {lives} lives, "
        f"{totals['crash']} crashes, {len(broken)} violations"
    )
    for name, count in totals.most_common():
        print(f"  {count:>9}  {name}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
