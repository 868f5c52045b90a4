"""How the answer of `paas-runner check` looks, and what is shown meanwhile."""

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from paas_runner.check.survey import Clocks
from paas_runner.checking import progress, views
from paas_runner.checking.progress import TerminalProgress
from paas_runner.executor.checks import CheckResult, Grade, fault, fine, skipped, warning
from paas_runner.http import Response

RESULTS = [
    fine("git", "2.40.1"),
    CheckResult(subject="token", grade=Grade.FAULT, text="unknown", advice="copy it", runner="one"),
    warning("clock", "off"),
    skipped("network", "not asked"),
]


def test_lines_are_aligned_and_advice_stands_below():
    assert views.text(RESULTS, colours=False).splitlines() == [
        "✓ git         2.40.1",
        "✗ one: token  unknown",
        "              → copy it",
        "! clock       off",
        "- network     not asked",
        "faults: 1, warnings: 1, fine: 1",
    ]


def test_colours_change_nothing_but_the_marks():
    coloured = views.text(RESULTS, colours=True)
    assert "\x1b[31m✗\x1b[0m one: token  unknown" in coloured
    assert coloured.replace("\x1b[0m", "").count("\x1b[") == 4


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        (RESULTS, Grade.FAULT),
        (RESULTS[2:], Grade.WARNING),
        (RESULTS[3:], Grade.FINE),
        ([fault("a", "b"), fine("a", "b")], Grade.FAULT),
    ],
)
def test_the_verdict_is_the_worst_of_what_was_looked_at(results, verdict):
    document = json.loads(views.document(results))
    assert document["verdict"] == verdict
    assert sum(document["counts"].values()) == len(document["results"]) == len(results)


class Terminal(io.StringIO):
    def isatty(self):
        return True


async def test_a_terminal_shows_what_takes_long_and_then_nothing(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.01)
    out = Terminal()
    shows = TerminalProgress(out)
    with shows.waiting("one: coordinator"), shows.waiting("one: clever-docker"):
        await asyncio.sleep(0.05)
    assert "waiting for one: coordinator, one: clever-docker …" in out.getvalue()
    assert out.getvalue().endswith("\r\x1b[K")


async def test_what_is_quick_is_not_shown_and_neither_is_anything_in_a_pipe(monkeypatch):
    quick, pipe = Terminal(), io.StringIO()
    with TerminalProgress(quick).waiting("x"):
        await asyncio.sleep(0)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0)
    with TerminalProgress(pipe).waiting("x"):
        await asyncio.sleep(0.02)
    assert quick.getvalue() == pipe.getvalue() == ""


def test_an_answer_that_was_long_on_its_way_does_not_count_against_the_clock():
    begun = datetime(2026, 3, 1, tzinfo=UTC)
    times = iter([begun + timedelta(seconds=20), begun + timedelta(seconds=1)])
    clocks = Clocks(lambda: next(times))
    for _ in range(2):
        clocks.hear("it", Response(status=200, headers={"date": "Sun, 01 Mar 2026 00:00:00 GMT"}, body=b""))
    assert clocks.results() == [fine("clock", "agrees with it")]


@pytest.mark.parametrize("headers", [{}, {"date": "now"}])
def test_without_anybody_who_tells_the_time_the_clock_is_not_judged(headers):
    clocks = Clocks(lambda: datetime.now(UTC))
    clocks.hear("it", Response(status=200, headers=headers, body=b""))
    assert [each.grade for each in clocks.results()] == [Grade.SKIPPED]
