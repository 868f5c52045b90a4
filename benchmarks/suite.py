"""All scenarios, and their turns: both programs by turns in each, those that only wait side by side."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs

from benchmarks.burst import BURSTS
from benchmarks.counts import COUNTS
from benchmarks.figures import Measured, Patience, Scenario, Spread
from benchmarks.programs import Program
from benchmarks.stores import STORES
from benchmarks.tracked import TRACKED
from benchmarks.turns import TURNS
from benchmarks.waiting import WAITING

SCENARIOS: Sequence[Scenario] = (*BURSTS, *STORES, *WAITING, *TRACKED, *TURNS, COUNTS)

OWN = Program(name="paas-runner", command=[Path(sys.executable).with_name("heptapod-paas-runner")])
FLOOR = Program(name="floor", command=[sys.executable, Path(__file__).with_name("floor.py")])
PEER_NAME = "1.1.1"

_OWN_PATIENCE = Patience(seconds=240)


def peer(path: Path) -> Program:
    return Program(name=PEER_NAME, command=[path.resolve()], is_peer=True)


@attrs.define
class Results:
    """What was measured, by scenario and program; and what went wrong."""

    measured: dict[str, dict[str, list[Measured]]] = attrs.field(factory=dict)
    failures: list[str] = attrs.field(factory=list)

    def add(self, scenario: Scenario, program: Program, measured: Measured) -> None:
        self.measured.setdefault(scenario.name, {}).setdefault(program.name, []).append(measured)

    def spread(self, scenario: Scenario, program: str, key: str) -> Spread:
        rounds = self.measured.get(scenario.name, {}).get(program, [])
        return Spread([measured[key] for measured in rounds if key in measured])


@attrs.frozen(kw_only=True)
class Suite:
    """What to measure; `tell` hears of the progress."""

    scenarios: Sequence[Scenario]
    programs: Sequence[Program]
    rounds: int
    patience: Patience
    tell: Callable[[str], None]

    async def run(self, results: Results, finished: Callable[[Scenario], None]) -> None:
        """Measure everything into the results; what fails is told there, and the rest goes on."""
        quiet = [scenario for scenario in self.scenarios if scenario.quiet]
        if quiet:
            self.tell(f"side by side: {', '.join(scenario.name for scenario in quiet)}")
            await asyncio.gather(*(self._by_program(scenario, results) for scenario in quiet))
        for scenario in quiet:
            finished(scenario)
        for scenario in self.scenarios:
            if not scenario.quiet:
                for number, program in self._turns(scenario):
                    await self._turn(scenario, program, number, results)
                finished(scenario)

    async def _by_program(self, scenario: Scenario, results: Results) -> None:
        turns = list(self._turns(scenario))

        async def of(program: Program) -> None:
            for number, each in turns:
                if each is program:
                    await self._turn(scenario, program, number, results)

        await asyncio.gather(*map(of, self.programs))

    def _turns(self, scenario: Scenario) -> Iterator[tuple[int, Program]]:
        for number in range(1, 2 if scenario.once else self.rounds + 1):
            for program in self.programs:
                if program.is_peer and (not scenario.peer or (scenario.peer_once and number > 1)):
                    continue
                if program is FLOOR and (not scenario.floor or number > 1):
                    continue
                yield number, program

    async def _turn(self, scenario: Scenario, program: Program, number: int, results: Results) -> None:
        begun = time.monotonic()
        patience = self.patience if program.is_peer else _OWN_PATIENCE
        with tempfile.TemporaryDirectory(
            prefix="paas-runner-benchmark-", ignore_cleanup_errors=True
        ) as folder:
            try:
                measured = await scenario.measure(program, Path(folder), patience)
            except Exception as error:  # noqa: BLE001 - the others are worth measuring all the same
                results.failures.append(
                    f"{scenario.name}, {program.name}: {str(error) or type(error).__name__}"
                )
                self.tell(f"{scenario.name}: {program.name} failed")
                return
        results.add(scenario, program, measured)
        self.tell(f"{scenario.name}: {program.name}, round {number}, {time.monotonic() - begun:.0f} s")
