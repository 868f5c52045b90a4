"""What is measured, and what is wanted of it; and the figures of several rounds as one."""

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs

from benchmarks.programs import Program

Value: TypeAlias = float | str
"""A figure, or in words why there is none."""

Measured: TypeAlias = Mapping[str, Value]
"""By the key of the figure."""


@attrs.frozen(kw_only=True)
class Figure:
    """One row of the table; `key` is its name in `--json`."""

    key: str
    label: str
    unit: str = "s"
    wanted: float | None = None
    """At most; None where nothing was set as a goal."""

    digits: int = 2


@attrs.frozen(kw_only=True)
class Scenario:
    """One situation, and what is measured in it."""

    name: str
    about: str
    figures: Sequence[Figure]
    measure: "Callable[[Program, Path, Patience], Awaitable[Measured]]"
    """Of one run of a program, in an empty folder."""

    quiet: bool = False
    """Nearly all of it is waiting: all such scenarios are measured side by side."""

    peer: bool = True
    """Whether 1.1.1 can do it."""

    once: bool = False
    """Whether one round is enough, because it takes minutes."""

    peer_once: bool = False
    """Whether one round of 1.1.1 is enough, because it takes long."""

    floor: bool = False
    """Whether there is something to compare with that does only the unavoidable requests."""


@attrs.frozen(kw_only=True)
class Patience:
    """For how many seconds a program may do what is measured; then what it has done is the figure."""

    seconds: float


def not_done(done: int, count: int, patience: Patience) -> str:
    return f"{done:,} of {count:,} in {patience.seconds:.0f} s"


def median(values: Sequence[float]) -> Value:
    return statistics.median(values) if values else "none"


def worst(values: Sequence[float]) -> Value:
    return max(values, default="none")


@attrs.frozen
class Spread:
    """One figure over all rounds of one program."""

    values: Sequence[Value]

    @property
    def median(self) -> Value:
        """Of the rounds that came to an end; if none did, in words why."""
        numbers = self._numbers
        return statistics.median(numbers) if numbers else next(iter(self.values), "")

    def shown(self, digits: int) -> str:
        """The median, and behind it the least and the most where they differ."""
        if isinstance(self.median, str):
            return self.median
        least, most = (f"{end:,.{digits}f}" for end in (min(self._numbers), max(self._numbers)))
        spread = f" ({least} to {most})" if least != most else ""
        return f"{self.median:,.{digits}f}{spread}"

    @property
    def _numbers(self) -> Sequence[float]:
        return [value for value in self.values if not isinstance(value, str)]
