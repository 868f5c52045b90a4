"""Logged events: those that a test has captured, and which ones the code logs, read from the code itself."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from paas_runner.job.tracked import Phase

ROOT = Path(__file__).parents[2]
PACKAGES = ("paas_runner", "executors", "register")
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}


@attrs.frozen
class Logged:
    """One call that logs: the event, at which level, and the names of its facts."""

    event: str
    level: str
    facts: frozenset[str]
    where: str


def events_in(log: Iterable[Mapping[str, Any]], name: str) -> Sequence[Mapping[str, Any]]:
    """The events of that name, with their facts."""
    return [event for event in log if event["event"] == name]


def logged_events() -> Iterator[Logged]:
    """Raises ValueError for a call whose event cannot be told from the code."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and (found := _event_and_level(node)):
                    argument, level = found
                    facts = frozenset(keyword.arg for keyword in node.keywords if keyword.arg)
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    yield from (Logged(event, level, facts, where) for event in _events(argument, where))


def _event_and_level(call: ast.Call) -> tuple[ast.expr, str] | None:
    match call.func:
        case ast.Attribute(value=ast.Name(id="log"), attr=level) if level in LEVELS:
            return call.args[0], LEVELS[level]
        case ast.Attribute(value=counters, attr="count") if ast.unparse(counters).endswith("counters"):
            return call.args[1], "warning"
    return None


def _events(argument: ast.expr, where: str) -> Iterator[str]:
    match argument:
        case ast.Constant(value=str(event)):
            yield event
        case ast.IfExp(body=body, orelse=otherwise):
            yield from _events(body, where)
            yield from _events(otherwise, where)
        case ast.JoinedStr(values=[ast.Constant(value=str(prefix)), ast.FormattedValue(value=value)]):
            if not ast.unparse(value).endswith(".phase"):
                raise ValueError(f"{where}: which event is {ast.unparse(argument)}?")
            yield from (f"{prefix}{phase}" for phase in Phase if phase is not Phase.ACQUIRED)
        case ast.Name(id="event") if where.startswith("paas_runner/dispatch/counters.py"):
            return  # counted under the event that its caller names
        case _:
            raise ValueError(f"{where}: which event is {ast.unparse(argument)}?")
