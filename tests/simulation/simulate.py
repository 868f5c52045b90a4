"""Run many seeds, or one again: `python -m tests.simulation.simulate --help`."""

import argparse
import asyncio
import gc
import logging
import math
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import structlog

from paas_runner.testing.virtual_time import VirtualTimeLoop
from tests.simulation.audited import AuditedWorld
from tests.simulation.audited_pairs import AuditedPairs
from tests.simulation.crowd import CrowdedWorld
from tests.simulation.freezing import Freezable, FreezableLoop
from tests.simulation.listener import listen
from tests.simulation.neighbours import NeighbouringWorld
from tests.simulation.pairs import PairWorld
from tests.simulation.scraper import Scraper
from tests.simulation.stays import StayingCrowd, StayingPairs, StayingWorld
from tests.simulation.world import SimulatedWorld

NEIGHBOURS = 1_000_000
"""From this seed on worlds have several runners and payers, whose credentials and flavors come and go."""

CROWDS = 2_000_000
"""From this seed on worlds have swarms of jobs, and too small a quota for them."""

PAIRS = 3_000_000
"""From this seed on worlds have several processes on one store."""

AUDITS = 4_000_000
"""From this seed on worlds have an audit of acquisitions, and a coordinator with which jobs can be lost."""

STAYING = 5_000_000
"""From this seed on hosts stay: a quarter of the worlds has swarms of jobs, a quarter several processes."""


AUDITED_PAIRS = 6_000_000
"""From this seed on worlds have several processes and an audit, half of them a process without a quota."""


@attrs.frozen(kw_only=True)
class Outcome:
    """One seed's end."""

    seed: int
    counts: Counter
    lives: int
    jobs: int
    told: Sequence[Mapping[str, Any]] = attrs.field(eq=False)
    """Notices, in their order, where somebody is told."""

    scrapes: int = attrs.field(eq=False)
    """How often the site was asked, where somebody looks at it."""

    takeovers: Counter
    """Of sections, by what had happened and after how many seconds, where several processes share them."""

    violation: str = ""


def kind_of(seed: int) -> type[SimulatedWorld]:
    """Of world."""
    if seed >= AUDITED_PAIRS:
        return AuditedPairs
    if seed >= STAYING:
        return (StayingCrowd, StayingPairs, StayingWorld, StayingWorld)[seed % 4]
    kinds = {
        AUDITS: AuditedWorld,
        PAIRS: PairWorld,
        CROWDS: CrowdedWorld,
        NEIGHBOURS: NeighbouringWorld,
        0: SimulatedWorld,
    }
    return next(kind for first, kind in kinds.items() if seed >= first)


def simulate(seed: int, *, notified: bool = False, watched: bool = False) -> Outcome:
    """One run from a seed; a violation is part of the outcome.

    Somebody may be told what goes wrong, and somebody may look at its metrics all the time.
    """
    loop = FreezableLoop if issubclass(kind_of(seed), PairWorld) else VirtualTimeLoop
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_simulated(Path(folder), seed, notified=notified, watched=watched))


def as_one_of_many(seed: int) -> Outcome:
    """Every fourth world is one whose numbers somebody looks at all the time."""
    return simulate(seed, watched=seed % 4 == 0 and not issubclass(kind_of(seed), PairWorld))


async def _simulated(folder: Path, seed: int, *, notified: bool, watched: bool) -> Outcome:
    world = kind_of(seed)(folder, seed)
    told = listen(world) if notified else []
    scraper = Scraper(world) if watched else None
    violation = ""
    BUGS.clear()
    EVENTS.clear()
    try:
        async with asyncio.TaskGroup() as watching:
            scraping = watching.create_task(scraper.scrape()) if scraper else None
            await world.run()
            if scraping:
                scraping.cancel()
    except Exception:  # noqa: BLE001 - a bug of ours is a violation, too
        violation = traceback.format_exc()
    finally:
        await world.aclose()
    violation = "".join(BUGS[:1]) or violation
    counts = Counter({name: count for name, count in world.chaos.counts.items() if count}) + EVENTS
    return Outcome(
        seed=seed,
        counts=counts,
        lives=world.lives,
        jobs=len(world.submitted),
        told=told,
        scrapes=scraper.scrapes if scraper else 0,
        takeovers=world.takeovers.seconds if isinstance(world, PairWorld) else Counter(),
        violation=violation,
    )


BUGS: list[str] = []
"""Tracebacks that the service logged: it went on, but it should not have needed to."""


EVENTS: Counter[str] = Counter()
"""How often something was logged that is worth to be counted."""


def collect_seldom() -> None:
    """A world makes and drops millions of small values: looking for cycles is a quarter of its time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def quiet() -> None:
    """Nothing of the service's log is shown but bugs are kept, unless SIMULATE_LOG asks for all of it."""
    collect_seldom()

    def watch(_logger, _method, event):
        process = Freezable.running()
        if process and process.dead:  # what its tasks say when they are taken away
            raise structlog.DropEvent
        if "exc_info" in event:
            BUGS.append(f"{event['event']}\n{traceback.format_exc()}")
        if event["event"] == "job_waits_for_room":
            EVENTS["wait for room"] += 1
        if not os.environ.get("SIMULATE_LOG"):
            raise structlog.DropEvent
        by = {"by": process.member.name} if process else {}
        return {"at": f"{asyncio.get_running_loop().time():9.1f}", **by, **event}

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            watch,
            structlog.processors.KeyValueRenderer(key_order=["at", "by", "event"], drop_missing=True),
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
        help="how many seeds: a sixth of each kind of world (default 200)",
    )
    parser.add_argument(
        "--pairs", action="store_true", help="only worlds in which several processes share one store"
    )
    parser.add_argument("--staying", action="store_true", help="only worlds whose hosts stay")
    parser.add_argument("--first", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=math.inf,
        help="begin no seed after so long, and wait for none that is not done by then; kinds take turns",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    chosen = parser.parse_args()
    quiet()
    if chosen.seed is not None:
        outcome = as_one_of_many(chosen.seed)
        print(outcome.violation or f"seed {chosen.seed}: kept", dict(outcome.counts))
        return 1 if outcome.violation else 0
    seeds = _seeds(chosen.first, chosen.runs, only=_only(chosen))
    if chosen.seconds < math.inf:
        seeds = sorted(seeds, key=lambda seed: seed % NEIGHBOURS)
    return _many(seeds, chosen.workers, chosen.seconds)


def _only(chosen: argparse.Namespace) -> int | None:
    return STAYING if chosen.staying else PAIRS if chosen.pairs else None


def _seeds(first: int, runs: int, *, only: int | None) -> Sequence[int]:
    if only is not None:
        return range(only + first, only + first + runs)
    of_each = runs // 6
    wider = [
        kind + first + number
        for kind in (NEIGHBOURS, CROWDS, PAIRS, AUDITS, STAYING)
        for number in range(of_each)
    ]
    return [*range(first, first + runs - len(wider)), *wider]


def _many(seeds: Sequence[int], workers: int, seconds: float) -> int:
    began, totals, lives, jobs, broken = time.monotonic(), Counter(), 0, 0, []
    ended = 0
    takeovers: Counter[tuple[str, int]] = Counter()
    with multiprocessing.Pool(workers, initializer=quiet) as pool:
        for ended, outcome in enumerate(pool.imap_unordered(as_one_of_many, seeds), 1):
            totals += outcome.counts
            takeovers += outcome.takeovers
            lives += outcome.lives
            jobs += outcome.jobs
            if outcome.violation:
                broken.append(outcome.seed)
                print(
                    f"\nseed {outcome.seed}: {_last(outcome.violation)}\n"
                    f"  again: make simulate SEED={outcome.seed}",
                    flush=True,
                )
            if sys.stderr.isatty() or ended % 100 == 0:
                print(f"\r{ended} of {len(seeds)} seeds", end="", file=sys.stderr, flush=True)
            if time.monotonic() - began >= seconds:
                break
    print(
        f"\n{ended} seeds in {time.monotonic() - began:.0f} s: {jobs} jobs, {lives} lives, "
        f"{totals['crash']} crashes, {len(broken)} violations"
    )
    for name, count in totals.most_common():
        print(f"  {count:>9}  {name}")
    _show(takeovers)
    return 1 if broken else 0


def _last(violation: str) -> str:
    """What it says, whether it was in a group or not."""
    return [line.strip(" |+-") for line in violation.splitlines() if line.strip(" |+-")][-1]


BINS = (1, 2, 3, 5, 10, 15, 20, 30, 60, 300, 3600, math.inf)
"""Seconds, each the last of its bin."""


def _show(takeovers: Counter[tuple[str, int]]) -> None:
    """How long sections were without a holder that acts, as a histogram."""
    for kind in sorted({kind for kind, _ in takeovers}):
        print(f"takeovers after a {kind}, by seconds:")
        binned: Counter[float] = Counter()
        for (what, seconds), count in takeovers.items():
            if what == kind:
                binned[next(last for last in BINS if seconds <= last)] += count
        for last, count in sorted(binned.items()):
            print(f"  {count:>9}  {f'at most {last}' if last < math.inf else 'more'}")


if __name__ == "__main__":
    sys.exit(main())
