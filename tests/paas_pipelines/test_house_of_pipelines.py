"""The pipelines server stays small."""

from pathlib import Path

from tests.plans.test_house_of_plans import lines_of_code

PACKAGE = Path(__file__).parents[2] / "pipelines" / "paas_pipelines"
MOST_LINES = 18_100


def test_it_grows_no_further():
    assert sum(lines_of_code(path.read_text()) for path in PACKAGE.rglob("*.py")) <= MOST_LINES
