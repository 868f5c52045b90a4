"""Workflows stay small."""

from pathlib import Path

from tests.plans.test_house_of_plans import lines_of_code

PACKAGE = Path(__file__).parents[2] / "workflows" / "paas_workflows"
MOST_LINES = 2150


def test_it_grows_no_further():
    assert sum(lines_of_code(path.read_text()) for path in PACKAGE.rglob("*.py")) <= MOST_LINES
