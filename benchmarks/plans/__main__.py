"""`make bench-plans`: what plans cost, beside DBOS 3, on SQLite with every commit on the disk."""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from benchmarks.figures import Figure, Spread
from benchmarks.table import machine

_TREE = Path(__file__).parents[2]
_PATIENCE_SECONDS = 600

_EPILOG = """\
how it measures:
  Each figure is read by a process of its own, on a database of its own, and the programs take turns. DBOS
  does each scenario in the way in which it is fastest (benchmarks/plans/peer.py), once with the journal that
  it ships with and once with a write-ahead log, as ours; all three synchronize every commit.

  Transactions and statements are what SQLite traces, synchronizations what strace counts, where there is one:
  exact, and counted in runs of their own. Seconds depend on the machine: let it have nothing else to do.

examples:
  make bench-plans
  make bench-plans ARGS="--only busy --rounds 5"
  make bench-plans ARGS="--json"

exit codes:
  0  measured
  1  a program could not be measured
  2  wrong arguments
"""


@attrs.frozen
class Program:
    """Who is measured."""

    name: str
    command: Sequence[str]
    options: Sequence[str] = ()


@attrs.frozen(kw_only=True)
class Scenario:
    """What is done, and what is read of it."""

    name: str
    about: str
    counts: Sequence[int]
    """Of plans, or of what the plan has: it is done with each of them."""
    figures: Sequence[Figure]
    wanted: float | None = None
    """Of the first figure: at least."""
    is_counted: bool = False
    """Whether statements and synchronizations are counted as well."""
    is_killed: bool = False
    """Whether a second process goes on where the first was killed."""
    is_ours: bool = False
    """Whether it is measured of us alone."""


_COSTS = (
    Figure(key="plans_per_second", label="plans a second", unit="", digits=0),
    Figure(key="cpu_ms", label="processor time a plan", unit="ms"),
    Figure(key="disk_kb", label="written to the disk a plan", unit="kB", digits=0),
    Figure(key="transactions", label="transactions a plan", unit=""),
    Figure(key="writes", label="statements that write, a plan", unit=""),
    Figure(key="syncs", label="synchronizations of the disk, a plan", unit=""),
)
SCENARIOS = (
    Scenario(
        name="alone",
        about="plans of five actions, one after the other",
        counts=(200,),
        figures=_COSTS,
        wanted=80,
        is_counted=True,
    ),
    Scenario(
        name="busy",
        about="plans of five actions, 64 at once",
        counts=(500,),
        figures=_COSTS,
        wanted=400,
        is_counted=True,
    ),
    Scenario(
        name="killed",
        about="1,000 running plans, killed in the middle",
        counts=(1000,),
        figures=(
            Figure(key="memory_mb", label="memory of 1,000", unit="MB", digits=1),
            Figure(key="recover_s", label="until all 1,000 go on in the next process", unit="s", digits=1),
            Figure(key="recover_cpu_ms", label="processor time for each", unit="ms"),
        ),
        is_killed=True,
    ),
    Scenario(
        name="large",
        about="one plan of many sequences of five actions, 50 at once",
        counts=(100, 2000, 10_000),
        figures=(
            Figure(key="actions_per_second", label="actions a second", unit="", digits=0),
            Figure(key="action_cpu_ms", label="processor time an action", unit="ms"),
        ),
        is_ours=True,
    ),
)

Results = dict[str, dict[str, dict[str, list[float]]]]
"""By scenario (and its count, where there are several), program, and key of the figure."""


def main() -> int:
    arguments = _arguments()
    where, results, failures = machine(), Results(), []
    scenarios = [each for each in SCENARIOS if not arguments.only or each.name in arguments.only]
    for number, scenario, count, program in _turns(scenarios, _programs(arguments.peer), arguments.rounds):
        key = scenario.name if len(scenario.counts) == 1 else f"{scenario.name} {count}"
        begun = time.monotonic()
        try:
            measured = _measured(scenario, program, count, is_first=number == 1)
        except (subprocess.SubprocessError, ValueError) as error:
            failures.append(f"{key}, {program.name}: {error}")
            continue
        for figure, value in measured.items():
            results.setdefault(key, {}).setdefault(program.name, {}).setdefault(figure, []).append(value)
        told = f"{key}: {program.name}, round {number}, {time.monotonic() - begun:.0f} s"
        print(told, file=sys.stderr, flush=True)
    if arguments.json:
        print(json.dumps({"machine": where, "measured": results, "failures": failures}, indent=1))
    else:
        print("\n".join(_table(scenarios, results, where)))
    print(*failures, sep="\n", end="\n" if failures else "", file=sys.stderr)
    return int(bool(failures))


def _programs(peer: Path | None) -> list[Program]:
    programs = [Program("paas-plans", [sys.executable, "-m", "benchmarks.plans.own"])]
    if peer is not None:
        command = [str(peer.absolute()), "-m", "benchmarks.plans.peer"]
        shipped = subprocess.run(
            [peer, "-c", "from importlib.metadata import version; print(version('dbos'))"],
            check=True,
            capture_output=True,
            text=True,
        )
        name = f"DBOS {shipped.stdout.strip()}"
        programs += [Program(f"{name}, WAL", command, ["--wal"]), Program(f"{name} as it ships", command)]
    return programs


def _turns(
    scenarios: Sequence[Scenario], programs: Sequence[Program], rounds: int
) -> Iterator[tuple[int, Scenario, int, Program]]:
    for scenario in scenarios:
        for number in range(1, rounds + 1):
            for count in scenario.counts:
                for program in programs[:1] if scenario.is_ours else programs:
                    yield number, scenario, count, program


# --- one program -----------------------------------------------------------------------------------------


def _measured(scenario: Scenario, program: Program, count: int, *, is_first: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="paas-plans-benchmark-") as folder:
        if scenario.is_killed:
            held = _told(program, "hold", Path(folder), count)
            return held | _told(program, "recover", Path(folder), count)
        figures = _told(program, scenario.name, Path(folder), count)
    if scenario.is_counted and is_first:
        with tempfile.TemporaryDirectory(prefix="paas-plans-benchmark-") as folder:
            counted = _told(program, scenario.name, Path(folder), 100, "--count")
        figures |= {key: counted[key] for key in ("transactions", "writes")}
        if shutil.which("strace"):
            few, many = (_syncs(scenario, program, some) for some in (100, 200))
            figures["syncs"] = (many - few) / 100
    return figures


def _told(program: Program, name: str, folder: Path, count: int, *options: str) -> dict[str, float]:
    """The line of figures of a program, which is killed when it has told them."""
    command: list[str | Path] = [
        *program.command,
        name,
        folder / "plans.sqlite",
        str(count),
        *program.options,
        *options,
    ]
    with subprocess.Popen(command, cwd=_TREE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
        finally:
            process.kill()
    figures: dict[str, float] = json.loads(line)
    return figures


def _syncs(scenario: Scenario, program: Program, count: int) -> int:
    with tempfile.TemporaryDirectory(prefix="paas-plans-benchmark-") as folder:
        told = Path(folder) / "syncs"
        strace = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(told)]
        traced = attrs.evolve(program, command=[*strace, *program.command])
        _told(traced, scenario.name, Path(folder), count)
        return told.read_text().count("sync(")


# --- all of them -----------------------------------------------------------------------------------------


def _table(scenarios: Sequence[Scenario], results: Results, where: Mapping[str, object]) -> Iterator[str]:
    names = list(dict.fromkeys(name for programs in results.values() for name in programs))
    yield f"{where['cores']} cores ({where['processor']}), Python {where['python']}, {where['date']}"
    yield f"Load at the start {where['load']}. Of all rounds: the median (least to most)."
    yield ""
    yield f"| | wanted | {' | '.join(names)} | {names[0]} : best other |"
    yield "|---" * (len(names) + 3) + "|"
    for key, programs in results.items():
        scenario = next(each for each in scenarios if each.name == key.split()[0])
        yield f"| **{scenario.about}** (`{key}`) " + "| " * (len(names) + 2) + "|"
        for figure in scenario.figures:
            spreads = [Spread(programs.get(name, {}).get(figure.key, [])) for name in names]
            label = f"{figure.label}, {figure.unit}" if figure.unit else figure.label
            wanted = f"≥ {scenario.wanted:g}" if scenario.wanted and figure is scenario.figures[0] else ""
            cells = [spread.shown(figure.digits) for spread in spreads]
            yield f"| {label} | {wanted} | {' | '.join(cells)} | {_ratio(figure, spreads)} |"


def _ratio(figure: Figure, spreads: Sequence[Spread]) -> str:
    own, *others = [spread.median for spread in spreads if isinstance(spread.median, float)] or [0.0]
    if not others or not own:
        return ""
    best = max(others) if figure.key.endswith("_per_second") else min(others)
    return f"{own / best:.2f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench-plans",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument(
        "--only", action="append", choices=names, metavar="SCENARIO", help="this one; may be repeated"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each has its turn (default 3)")
    parser.add_argument(
        "--peer", type=Path, help="the Python that has DBOS; without it ours is measured alone"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
