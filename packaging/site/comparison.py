"""The comparison with others, as docs/comparison.toml has it: no cell without version, date and source."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import attrs

FILE = Path(__file__).parents[2] / "docs" / "comparison.toml"
UNKNOWN = "not known"
_PARTS = ("says", "version", "date", "source")


@attrs.frozen(kw_only=True)
class Cell:
    """What is so, in which version, looked up when, and where."""

    says: str = attrs.field(validator=attrs.validators.min_len(1))
    version: str = attrs.field(validator=attrs.validators.matches_re(r"\d+(\.\d+)+"))
    date: date
    source: str = attrs.field(validator=attrs.validators.min_len(1))


@attrs.frozen(kw_only=True)
class Row:
    """One subject, and each program's cell."""

    subject: str
    cells: Mapping[str, Cell]


@attrs.frozen(kw_only=True)
class Comparison:
    """`programs` and `sources` are what their short names stand for."""

    programs: Mapping[str, str]
    sources: Mapping[str, str]
    rows: Sequence[Row]


def comparison(text: str) -> Comparison:
    """Raises ValueError, naming the cell, for one that is missing or incomplete."""
    found = tomllib.loads(text)
    programs, sources = found["programs"], found["sources"]
    rows = []
    for entry in found["row"]:
        subject = entry.pop("subject")
        if set(entry) != set(programs):
            raise ValueError(f"{subject}: a cell is wanted for {', '.join(programs)}")
        cells = {name: _cell(entry[name], f"{subject}, {programs[name]}") for name in programs}
        for name, cell in cells.items():
            begin = cell.source.partition(":")[0]
            if begin not in sources and cell.says != UNKNOWN:
                raise ValueError(f"{subject}, {programs[name]}: no source is called {begin}")
        rows.append(Row(subject=subject, cells=cells))
    return Comparison(programs=programs, sources=sources, rows=rows)


def _cell(entry: Mapping[str, Any], where: str) -> Cell:
    if missing := [part for part in _PARTS if not entry.get(part)]:
        raise ValueError(f"{where}: without {', '.join(missing)}")
    if type(entry["date"]) is not date:
        raise ValueError(f"{where}: `date` is no date")
    try:
        return Cell(**entry)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error


def table() -> str:
    """All of it in Markdown."""
    return "\n".join(_written(comparison(FILE.read_text())))


def _written(found: Comparison) -> Iterator[str]:
    yield f"| | {' | '.join(found.programs.values())} |"
    yield "|---" * (len(found.programs) + 1) + "|"
    for row in found.rows:
        cells = (
            f"{cell.says}<br><small>{cell.version}, {cell.date}; {cell.source}</small>"
            for cell in row.cells.values()
        )
        yield f"| {row.subject} | {' | '.join(cells)} |"
    yield ""
    yield "| Source | |"
    yield "|---|---|"
    for name, text in found.sources.items():
        yield f"| {name} | {text} |"
    yield ""
