"""`make bench`: what the service costs, beside heptapod-paas-runner 1.1.1 and beside a floor."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import bounds, table
from benchmarks.figures import Patience, Scenario
from benchmarks.suite import FLOOR, OWN, SCENARIOS, Results, Suite, peer

PAGE = Path(__file__).parents[1] / "docs/performance.md"

_EPILOG = f"""\
scenarios:
{chr(10).join(f"  {scenario.name:14}{scenario.about}" for scenario in SCENARIOS)}

how it measures:
  Each program runs as a process of its own, in a world of its own (`benchmarks/world`): a coordinator, a
  cloud and git remotes in one more process, which cost so little that they hold nobody up. All figures come
  from outside: requests are counted at the doors, moments are noted there; processor time, with that of
  children, memory and wake-ups are read from /proc. `near` services answer at once, and check_interval and
  job_progress_poll_interval are 1 s; otherwise every setting is at its default.

  The floor is a script that does the unavoidable requests with nothing around them (benchmarks/floor.py).

  Requests, processes and writes are exact. Seconds depend on the machine: let it have nothing else to do.

examples:
  make bench                                    everything, about a quarter of an hour
  make bench ARGS="--only burst-200 --rounds 5" one scenario
  make bench ARGS="--write"                     and put the table into docs/performance.md
  make bench-quick                              what is exact, against its bounds, as CI does

exit codes:
  0  measured
  1  a program could not be measured, or a bound was not kept (--check)
  2  wrong arguments
"""


def main() -> int:
    arguments = _arguments()
    begun, where = time.monotonic(), table.machine()
    results = Results()
    if arguments.into and arguments.into.exists():
        results.measured = json.loads(arguments.into.read_text())["measured"]
    scenarios = [each for each in SCENARIOS if not arguments.only or each.name in arguments.only]
    programs = [OWN, *([peer(arguments.peer)] if arguments.peer else []), FLOOR]
    for scenario in scenarios:
        for program in programs:
            results.measured.get(scenario.name, {}).pop(program.name, None)
    colour = sys.stdout.isatty()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - begun:5.0f} s  {text}", file=sys.stderr, flush=True)

    def finished(scenario: Scenario) -> None:
        if arguments.into:
            arguments.into.write_text(json.dumps(_data(results, where), indent=1))
        if not (arguments.json or arguments.markdown):
            print(table.plain(scenario, results, colour=colour), end="\n\n", flush=True)

    suite = Suite(
        scenarios=scenarios,
        programs=programs,
        rounds=arguments.rounds,
        patience=Patience(seconds=arguments.patience),
        tell=tell,
    )
    asyncio.run(suite.run(results, finished))
    if arguments.json:
        print(json.dumps(_data(results, where), indent=1))
    if arguments.markdown:
        print(table.markdown(results, where))
    if arguments.write:
        table.written(PAGE, table.markdown(results, where))
    broken = bounds.broken(results) if arguments.check else []
    for text in (*results.failures, *broken):
        print(text, file=sys.stderr)
    return int(bool(results.failures or broken))


def _data(results: Results, where: Mapping[str, object]) -> Mapping[str, object]:
    return {"machine": where, "measured": results.measured, "failures": results.failures}


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument(
        "--only", action="append", choices=names, metavar="SCENARIO", help="this one; may be repeated"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=2,
        help="how often both programs have their turn, where that does not take minutes (default 2)",
    )
    parser.add_argument("--peer", type=Path, help="the program of 1.1.1; without it ours is measured alone")
    parser.add_argument(
        "--patience",
        type=float,
        default=90.0,
        metavar="SECONDS",
        help="how long 1.1.1 may take for what is measured; then what it has done is its figure (default 90)",
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help="keep the figures there as JSON, beside those that are there of other scenarios and programs",
    )
    parser.add_argument("--check", action="store_true", help="compare what is exact with its bounds")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    shown.add_argument("--markdown", action="store_true", help="print the table of docs/performance.md")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())
