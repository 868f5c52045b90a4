"""Kill workstreams everywhere, for many seeds or one again: `python -m tests.plans.simulate --help`."""

import argparse
import asyncio
import logging
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence

import attrs

from paas_runner.testing import VirtualTimeLoop
from tests.plans.simulated_world import Bugs, World


@attrs.frozen
class Outcome:
    """One seed's end."""

    seed: int
    counts: Counter[str]
    violations: tuple[str, ...]


def simulate(seed: int) -> Outcome:
    """One run; what was promised and not kept is part of the outcome."""
    log, bugs = logging.getLogger("paas_plans"), Bugs()
    log.addHandler(bugs)
    propagates, log.propagate = log.propagate, bool(os.environ.get("SIMULATE_LOG"))
    world = World(seed)
    try:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            violations = runner.run(world.run())
    except Exception:  # noqa: BLE001 - a bug of ours is a violation, too
        violations = [traceback.format_exc()]
    finally:
        log.removeHandler(bugs)
        log.propagate = propagates
    world.counts["plans"] += len(world.cases)
    world.counts["calls"] += len(world.record.calls)
    counts = Counter({name: count for name, count in world.counts.items() if count})
    return Outcome(seed, counts, (*bugs.found[:1], *violations))


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Kill workstreams everywhere, in virtual time: do plans keep their promises?",
        epilog="SIMULATE_LOG=1 shows the library's log of the run.",
    )
    parser.add_argument("--seed", type=int, help="run this one seed")
    parser.add_argument("--runs", type=int, default=200, help="how many seeds (default 200)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        outcome = simulate(chosen.seed)
        print("\n".join(outcome.violations) or f"seed {chosen.seed}: kept", dict(outcome.counts))
        return 1 if outcome.violations else 0
    return _many(range(chosen.first, chosen.first + chosen.runs), chosen.workers)


def _many(seeds: Sequence[int], workers: int) -> int:
    began, totals, broken = time.monotonic(), Counter[str](), 0
    with multiprocessing.Pool(workers) as pool:
        for number, outcome in enumerate(pool.imap_unordered(simulate, seeds, chunksize=4), 1):
            totals += outcome.counts
            if outcome.violations:
                broken += 1
                last = outcome.violations[0].strip().splitlines()[-1]
                print(
                    f"\nseed {outcome.seed}: {last}\n  again: make simulate-plans SEED={outcome.seed}",
                    flush=True,
                )
            if sys.stderr.isatty() or number % 100 == 0:
                print(f"\r{number} of {len(seeds)} seeds", end="", file=sys.stderr, flush=True)
    print(
        f"\n{len(seeds)} seeds in {time.monotonic() - began:.0f} s: {totals['plans']} plans, "
        f"{totals['crashes']} crashes, {broken} violations"
    )
    for name, count in totals.most_common():
        print(f"  {count:>9}  {name}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
