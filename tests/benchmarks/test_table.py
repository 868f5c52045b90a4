"""Figures of several rounds become one table, and the table gets into its page."""

import re
from pathlib import Path

import pytest

from benchmarks import bounds, table
from benchmarks.counts import COUNTS
from benchmarks.figures import Spread
from benchmarks.suite import SCENARIOS, Results

PAGE = Path(__file__).parents[2] / "docs/performance.md"
MACHINE = {"cores": 2, "processor": "One", "python": "3.11.7", "date": "2026-11-29", "load": 0.0}


def counted(**figures):
    return Results({"counts": {"paas-runner": [figures]}})


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([1.0, 3.0, 2.0], "2.0 (1.0 to 3.0)"),
        ([1234.0], "1,234.0"),
        (["7 of 50 in 90 s"], "7 of 50 in 90 s"),
        (["7 of 50 in 90 s", 4.0], "4.0"),
        ([], ""),
    ],
)
def test_rounds_become_a_median_with_its_ends(values, shown):
    assert Spread(values).shown(1) == shown


@pytest.mark.parametrize(("requests", "met"), [(10.0, True), (10.004, True), (10.1, False), ("none", False)])
def test_a_goal_is_met_as_precisely_as_it_is_shown(requests, met):
    found = next(table.rows(COUNTS, counted(requests_per_job=requests)))
    assert found.met is met


def test_what_misses_its_goal_is_bold_in_the_page():
    text = table.markdown(counted(requests_per_job=12.0, coordinator_requests_per_job=4.0), MACHINE)
    assert "| requests a job, in sum | ≤ 10 | **12.00** |" in text
    assert "| … to the coordinator | ≤ 5 | 4.00 |" in text
    assert "2 cores (One), Python 3.11.7, 2026-11-29" in text


def test_a_table_takes_the_place_of_the_one_before(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.written(page, "new")
    assert page.read_text() == f"before\n{table.BEGIN}\nnew\n{table.END}\nafter\n"


def test_a_page_without_marks_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text")
    with pytest.raises(ValueError, match="marks"):
        table.written(page, "new")
    assert page.read_text() == "text"


def test_no_colour_where_there_is_no_terminal():
    shown = table.plain(COUNTS, counted(requests_per_job=12.0), colour=False)
    assert "\033" not in shown
    assert re.search(r"requests a job, in sum +≤ 10 +12\.00", shown)


def test_the_page_has_the_marks_and_names_every_scenario():
    text = PAGE.read_text()
    assert text.index(table.BEGIN) < text.index(table.END)
    assert [scenario.name for scenario in SCENARIOS if f"`{scenario.name}`" not in text] == []


def test_what_is_over_its_bound_is_said_with_both_numbers():
    over = counted(coordinator_requests_per_job=bounds.BOUNDS["coordinator_requests_per_job"] + 1)
    [said] = bounds.broken(over)
    assert said.startswith("coordinator requests per job: ")


def test_what_could_not_be_counted_breaks_no_bound():
    assert bounds.broken(counted(git_processes_per_job="not counted")) == []
