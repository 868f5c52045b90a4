"""Kill pipelines servers everywhere: `python -m tests.paas_pipelines.simulate --help`."""

import argparse
import asyncio
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter

import attrs

from paas_runner.testing import VirtualTimeLoop
from tests.paas_pipelines.worlds.contained_servers import ContainedWorld
from tests.paas_pipelines.worlds.killed_servers import World
from tests.paas_pipelines.worlds.triggered_servers import World as TriggeredWorld


@attrs.frozen
class Outcome:
    """One seed's end."""

    seed: int
    counts: Counter[str]
    violations: tuple[str, ...]


def simulate(seed, kind=World, **given):
    """One run; what was promised and not kept is part of the outcome."""
    world = kind(seed, **given)
    try:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            violations = runner.run(world.run())
    except Exception:  # noqa: BLE001 - a bug of ours is a violation, too
        violations = [traceback.format_exc()]
    world.counts["runs"] += len(world.stored) + len(world.removed)
    world.counts["forgotten runs"] += len(world.removed)
    return Outcome(
        seed, Counter({name: count for name, count in world.counts.items() if count}), (*violations,)
    )


def contained(seed, **given):
    """The same seed in the world of containers, setups and teardowns."""
    return simulate(seed, kind=ContainedWorld, **given)


def triggered(seed):
    """The same seed in the world of deliveries and schedules."""
    world = TriggeredWorld(seed)
    try:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            violations = runner.run(world.run())
    except Exception:  # noqa: BLE001 - a bug of ours is a violation, too
        violations = [traceback.format_exc()]
    world.counts["events"] += len(world.events)
    return Outcome(
        seed, Counter({f"triggers: {name}": n for name, n in world.counts.items()}), (*violations,)
    )


def both(seed):
    """What a seed is in each of the worlds."""
    runs, triggers, containers = simulate(seed), triggered(seed), contained(seed)
    counts = Counter({f"containers: {name}": n for name, n in containers.counts.items()})
    violations = runs.violations + triggers.violations + containers.violations
    return Outcome(seed, runs.counts + triggers.counts + counts, violations)


def main():
    parser = argparse.ArgumentParser(
        description="Kill pipelines servers everywhere, in virtual time: are promises kept?"
    )
    parser.add_argument("--seed", type=int, help="run this one seed")
    parser.add_argument("--runs", type=int, default=200, help="how many seeds (default 200)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    chosen = parser.parse_args()
    if chosen.seed is not None:
        outcome = both(chosen.seed)
        print("\n".join(outcome.violations) or f"seed {chosen.seed}: kept", dict(outcome.counts))
        return 1 if outcome.violations else 0
    return _many(range(chosen.first, chosen.first + chosen.runs), chosen.workers)


def _many(seeds, workers):
    began, totals, broken = time.monotonic(), Counter[str](), 0
    with multiprocessing.Pool(workers) as pool:
        for outcome in pool.imap_unordered(both, seeds, chunksize=4):
            totals += outcome.counts
            if outcome.violations:
                broken += 1
                last = outcome.violations[0].strip().splitlines()[-1]
                print(f"seed {outcome.seed}: {last}", flush=True)
                print(f"  again: make simulate-pipelines SEED={outcome.seed}", flush=True)
    print(f"{len(seeds)} seeds in {time.monotonic() - began:.0f} s, {broken} violations")
    for name, count in totals.most_common():
        print(f"  {count:>9}  {name}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
