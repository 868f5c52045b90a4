"""The configuration as this service wants it: what it would refuse is made a comment, old names become ours.

Only lines are touched, so that comments and order stay; and each step is proved: the new text must be read as
the old document but for what was meant. A step that cannot be made so is left out, and the file is refused
with the complaint about it, as ever. Pure.
"""

import copy
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from paas_runner.config import dialect
from paas_runner.config.inline_tables import as_read_here
from paas_runner.config.lines import KeyPath, dotted, line_of
from paas_runner.config.model import Config
from paas_runner.config.runner import JobTraceWatch, Runner

_MARK = "# not of paas-runner: "
_MOST_LINES = 400
"""Of one key with its value."""


@attrs.frozen(kw_only=True)
class Change:
    """One key that is written otherwise."""

    line: int
    """In the text before any change."""

    key: str
    what: str


@attrs.frozen(kw_only=True)
class Rewritten:
    """The text after all changes."""

    text: str
    changes: Sequence[Change] = ()


def with_our_names(text: str) -> Rewritten:
    """The names that 1.1.1 or its documents have for keys of ours become these."""
    found = Rewritten(text=text)
    for at, name in _aliases(_read(text)):
        line = line_of(as_read_here(found.text), at)
        lines = found.text.split("\n")
        changed, count = re.subn(rf"\b{re.escape(str(at[-1]))}\b", name, lines[line - 1], count=1)
        new = "\n".join([*lines[: line - 1], changed, *lines[line:]])
        if count and _means(new, _renamed(_read(found.text), at, name)):
            change = Change(line=line, key=dotted(at), what=f"is called `{name}`")
            found = attrs.evolve(found, text=new, changes=(*found.changes, change))
    return found


def without(text: str, at: KeyPath) -> Rewritten | None:
    """The key is a comment; None where its lines cannot be told from others."""
    line = line_of(as_read_here(text), at)
    lines = text.split("\n")
    expected = _removed(_read(text), at)
    for count in range(1, min(_MOST_LINES, len(lines) - line + 1) + 1):
        taken = [f"{_MARK}{each}" if each.strip() else each for each in lines[line - 1 : line - 1 + count]]
        new = "\n".join([*lines[: line - 1], *taken, *lines[line - 1 + count :]])
        if _means(new, expected):
            what = "is unknown here, where unknown keys are refused: it becomes a comment"
            return Rewritten(text=new, changes=[Change(line=line, key=dotted(at), what=what)])
    return None


def _aliases(document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Each key with an old name, and its new one: those of inner tables first, whose paths change."""
    for number, section in enumerate(_tables(document)):
        for watch in ("paas_job_trace_watch", "job_trace_watch"):
            if isinstance(section.get(watch), dict):
                at: KeyPath = ("runners", number, watch)
                yield from _named_otherwise(section[watch], at, JobTraceWatch)
        yield from _named_otherwise(section, ("runners", number), Runner)
    yield from _named_otherwise(document, (), Config)


def _named_otherwise(table: Mapping[str, Any], at: KeyPath, cls: type[Any]) -> Iterator[tuple[KeyPath, str]]:
    for alias, name in dialect.ALIASES[cls].items():
        if alias in table and name not in table:
            yield (*at, alias), name


def _tables(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found = document.get("runners", [])
    return [table for table in found if isinstance(table, dict)] if isinstance(found, list) else []


def _read(text: str) -> dict[str, Any]:
    return tomllib.loads(as_read_here(text), parse_float=str)  # as numbers, `nan` is not equal to itself


def _means(text: str, document: Mapping[str, Any]) -> bool:
    try:
        return _read(text) == document
    except (ValueError, RecursionError):
        return False


def _removed(document: Mapping[str, Any], at: KeyPath) -> Mapping[str, Any]:
    new = copy.deepcopy(document)
    del _table_at(new, at)[at[-1]]
    return new


def _renamed(document: Mapping[str, Any], at: KeyPath, name: str) -> Mapping[str, Any]:
    new = copy.deepcopy(document)
    table = _table_at(new, at)
    table[name] = table.pop(at[-1])
    return new


def _table_at(document: Any, at: KeyPath) -> Any:
    for step in at[:-1]:
        document = document[step]
    return document
