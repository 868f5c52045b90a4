"""The figures as one table: for a terminal, for a page, and the page itself."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

from benchmarks.figures import Figure, Scenario, Spread
from benchmarks.suite import FLOOR, OWN, PEER_NAME, SCENARIOS, Results

BEGIN, END = "<!-- figures: made by make bench -->", "<!-- end of figures -->"
_COLUMNS = (OWN.name, PEER_NAME, FLOOR.name)
_MET, _MISSED, _BOLD, _PLAIN = "\033[32m", "\033[31m", "\033[1m", "\033[0m"


@attrs.frozen
class Row:
    """One figure; the cells are in the order of the columns."""

    figure: Figure
    cells: Sequence[str]
    met: bool | None

    @property
    def label(self) -> str:
        return f"{self.figure.label}, {self.figure.unit}" if self.figure.unit else self.figure.label

    @property
    def wanted(self) -> str:
        wanted = self.figure.wanted
        return "" if wanted is None else f"≤ {wanted:,g}"


def rows(scenario: Scenario, results: Results) -> Iterator[Row]:
    for figure in scenario.figures:
        spreads = [results.spread(scenario, program, figure.key) for program in _COLUMNS]
        yield Row(figure, [spread.shown(figure.digits) for spread in spreads], _met(figure, spreads[0]))


def _met(figure: Figure, spread: Spread) -> bool | None:
    """Compared as precisely as it is shown."""
    if figure.wanted is None or not spread.values:
        return None
    if isinstance(spread.median, str):
        return False
    return round(spread.median, figure.digits) <= figure.wanted


def measured(results: Results) -> Sequence[Scenario]:
    return [scenario for scenario in SCENARIOS if scenario.name in results.measured]


def machine() -> Mapping[str, object]:
    """Where and when."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "load": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )


def plain(scenario: Scenario, results: Results, *, colour: bool) -> str:
    """For a terminal."""
    found = list(rows(scenario, results))
    head = ("", "wanted", *_COLUMNS)
    lines = [(row.label, row.wanted, *row.cells) for row in found]
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    bold, end = (_BOLD, _PLAIN) if colour else ("", "")
    shown = [f"{bold}{scenario.name}{end}  {scenario.about}", _line(head, widths)]
    for row, cells in zip(found, lines, strict=True):
        line = _line(cells, widths)
        shown.append(
            line if row.met is None or not colour else f"{_MET if row.met else _MISSED}{line}{_PLAIN}"
        )
    return "\n".join(shown)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"  {'  '.join([first, *others])}".rstrip()


def markdown(results: Results, where: Mapping[str, object]) -> str:
    """For docs/performance.md; a figure that misses what is wanted is in bold."""
    place = f"{where['cores']} cores ({where['processor']}), Python {where['python']}, {where['date']}"
    lines = [
        f"{place}, load at the start {where['load']}. What misses its goal is **bold**.",
        "",
        f"| | wanted | {' | '.join(_COLUMNS)} |",
        f"|---|{'---|' * (len(_COLUMNS) + 1)}",
    ]
    for scenario in measured(results):
        lines.append(f"| **{scenario.about}** (`{scenario.name}`) |{' |' * (len(_COLUMNS) + 1)}")
        for row in rows(scenario, results):
            own, *others = row.cells
            cells = [f"**{own}**" if row.met is False else own, *others]
            lines.append(f"| {row.label} | {row.wanted} | {' | '.join(cells)} |")
    return "\n".join(lines)


def written(page: Path, table: str) -> None:
    """Put the table between the marks of the page; raises ValueError for a page without them."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page}: the marks {BEGIN} and {END} are missing")
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")
