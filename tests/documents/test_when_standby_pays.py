"""The figures of "When standby pays" in docs/executors.md are what its formulas give (H006, H069, H142)."""

import math
import re

import attrs
import pytest

from paas_runner.config.runner import Runner
from paas_runner.sandbox.cloud.catalogue import RUNNER_CONTEXT, standard_catalogue
from tests.support.site_program import ROOT

HOUR = 3600.0
STANDBY, START = 120.0, 90.0 + 30.0
PRICES = {
    each.name.removeprefix(f"{RUNNER_CONTEXT}-"): each.price
    for each in standard_catalogue().flavors(RUNNER_CONTEXT)
    if each.available
}


def taken(rate, standby=STANDBY):
    """The part of the hosts on standby that get a job in time, of jobs that come independently."""
    return 1 - math.exp(-rate * standby / HOUR)


def idle(rate, standby=STANDBY):
    """Seconds for each job."""
    return taken(rate, standby) * HOUR / rate


def section():
    text = (ROOT / "docs" / "executors.md").read_text()
    return re.search(r"^## When standby pays\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)[1]


def table(head):
    """The rows of the table with this heading of its first column, as numbers where they are such."""
    rows = re.search(rf"^\| {re.escape(head)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", section(), re.MULTILINE)[1]
    return [[number(cell) for cell in row.strip("|").split("|")] for row in rows.splitlines()]


def number(cell):
    text = cell.strip().removesuffix(" %").replace("−", "-")
    try:
        return float(text)
    except ValueError:
        return text


@pytest.mark.parametrize("standby", [30, 120, 900])
@pytest.mark.parametrize("start", [60, 120, 300])
def test_it_pays_from_one_job_per_start_on_however_long_it_is(start, standby):
    for factor, pays in ((1.01, True), (0.99, False)):
        rate = HOUR / start * factor
        assert (taken(rate, standby) * start > idle(rate, standby)) is pays


def test_the_rates_from_which_it_pays():
    rows = table("From creation to the first line")
    assert [row[0] for row in rows] == ["60 s + 0 s", "90 s + 30 s", "120 s + 60 s", "120 s + 180 s"]
    for spans, *rates in rows:
        seconds = sum(float(each) for each in re.findall(r"(\d+) s", spans))
        assert rates == [pytest.approx(HOUR / (seconds * (1 + worth)), abs=0.05) for worth in (0, 1, 10)]


def test_the_worked_example():
    rows = table("Jobs an hour")
    assert [row[0] for row in rows] == [6, 15, 30, 60, 120]
    for rate, part, waits, spares, costs, saves, net in rows:
        unit = 1000 * PRICES["M"] / HOUR
        assert part == pytest.approx(100 * taken(rate), abs=0.5)
        assert waits == pytest.approx(idle(rate), abs=0.5)
        assert spares == pytest.approx(taken(rate) * START, abs=0.5)
        assert costs == pytest.approx(idle(rate) * unit, abs=0.05)
        assert saves == pytest.approx(taken(rate) * START * unit, abs=0.05)
        assert net == pytest.approx(saves - costs, abs=0.11)


def test_what_a_standby_costs_in_which_no_job_comes():
    found = {flavor: (price, cost) for flavor, price, cost in table("Flavor")}
    assert found == {
        name: (price, pytest.approx(price * STANDBY / HOUR, abs=0.00005)) for name, price in PRICES.items()
    }


def test_the_standby_of_the_example_is_the_default():
    default = attrs.fields_dict(Runner)["paas_keep_resources_for_reuse_seconds"].default
    assert default.total_seconds() == STANDBY
