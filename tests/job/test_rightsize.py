"""Which flavor would do for a job, how sure that is, and what it saves."""

from datetime import timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.cost import Charge
from paas_runner.job.cost_report import Window
from paas_runner.job.rightsize import MONTH, Confidence, advise, observed, spread
from paas_runner.job.tracked import JobKey
from paas_runner.job.use import FlavorSize, Use
from tests.support.records import NOW

GIB, HOUR = 2**30, timedelta(hours=1)
WINDOW = Window(since=NOW, until=NOW + MONTH)
SIZES = [
    FlavorSize(name="S", memory_bytes=2 * GIB, cpus=2.0, price=1.0),
    FlavorSize(name="M", memory_bytes=8 * GIB, cpus=4.0, price=3.0),
    FlavorSize(name="L", memory_bytes=16 * GIB, cpus=8.0, price=6.0),
]
OF = {flavor.name: flavor for flavor in SIZES}


def run(number=1, flavor="M", *, gib=1.0, cpus=1.0, runner="one", **changes):
    own = OF[flavor]
    known = {
        "tenant": "",
        "host": f"app_{number}",
        "since": NOW + number * HOUR,
        "until": NOW + (number + 1) * HOUR,
        "price": own.price,
        "memory_bytes": own.memory_bytes,
        "cpus": own.cpus,
        "project": "acme/shop",
        "job_name": "test",
        "use": Use(memory_bytes=int(gib * GIB), cpu_seconds=cpus * 100, wall_seconds=100.0),
    }
    return Charge(**{"key": JobKey(runner, number), "flavor": flavor, **known, **changes})


def advice(*charges, offers=None):
    [found] = advise(charges, {"one": SIZES} if offers is None else offers, WINDOW)
    return found


def test_the_smallest_flavor_that_has_room_with_a_margin_would_do():
    assert advice(run(gib=1.0)).would_do == "S"
    assert advice(run(gib=1.5)).would_do == "M"  # 1.25 times that, and the host itself, is more than S has


def test_as_many_cpus_are_needed_as_were_kept_busy_on_average():
    assert advice(run(cpus=2.0)).would_do == "S"
    assert advice(run(cpus=2.1)).would_do == "M"


def test_one_run_of_twenty_may_have_taken_more():
    usual = [run(number, gib=1.0) for number in range(1, 21)]
    assert advice(*usual[:19], run(20, gib=6.0)).would_do == "S"
    assert advice(*usual[:18], run(19, gib=6.0), run(20, gib=6.0)).would_do == "M"


def test_a_larger_flavor_than_the_job_ever_had_is_not_advised():
    assert advice(run(gib=7.9)).would_do == "M"


def test_a_smaller_flavor_that_costs_more_is_not_advised():
    dear = attrs.evolve(OF["S"], price=3.5)
    assert advice(run(), offers={"one": [dear, OF["M"]]}).would_do == "M"
    assert advice(run(), offers={"one": [attrs.evolve(dear, price=None), OF["M"]]}).would_do == "S"


def test_a_flavor_that_is_no_longer_on_offer_is_not_advised():
    assert advice(run(gib=1.0), offers={"one": [OF["S"], OF["L"]]}).would_do == "S"
    assert advice(run(gib=6.0), offers={"one": [OF["S"], OF["L"]]}).would_do == "L"
    assert advice(run(gib=6.0), offers={"one": [OF["S"]]}).would_do is None


def test_what_is_saved_is_counted_for_a_month_at_the_prices_of_both():
    assert advice(run(1), run(2)).saved_per_month == pytest.approx(2 * (3.0 - 1.0))
    half = attrs.evolve(WINDOW, until=NOW + MONTH / 2)
    [found] = advise([run(1), run(2)], {"one": SIZES}, half)
    assert found.saved_per_month == pytest.approx(4 * (3.0 - 1.0))


def test_runs_that_were_not_measured_count_in_what_is_saved():
    found = advice(run(1), run(2, use=None))
    assert (found.runs, found.measured) == (2, 1)
    assert found.saved_per_month == pytest.approx(2 * (3.0 - 1.0))


def test_without_a_price_nothing_is_said_of_money():
    assert advice(run(1, price=None)).saved_per_month is None
    free = [attrs.evolve(each, price=None) for each in SIZES]
    assert advice(run(1), offers={"one": free}).saved_per_month is None


def test_a_job_that_has_the_right_host_saves_nothing():
    found = advice(run(1, "S"))
    assert (found.would_do, found.saved_per_month) == ("S", 0.0)


def test_where_no_catalogue_is_known_the_flavors_that_were_seen_are_compared():
    others = [run(7, "S", job_name="lint"), run(1, "M")]
    [found] = [each for each in advise(others, {}, WINDOW) if each.job.name == "test"]
    assert found.would_do == "S"
    assert advice(run(1, "M"), offers={}).would_do == "M"


def test_where_the_size_of_its_hosts_is_not_known_no_flavor_is_advised():
    found = advice(run(1, memory_bytes=None))
    assert (found.would_do, found.saved_per_month) == (None, None)


def test_confidence_grows_with_the_runs_and_falls_with_their_spread():
    same = [run(number) for number in range(1, 21)]
    assert advice(*same).confidence is Confidence.HIGH
    assert advice(*same[:19]).confidence is Confidence.MEDIUM
    assert advice(*same[:4]).confidence is Confidence.LOW
    wide = [run(number, gib=number) for number in range(1, 21)]
    assert advice(*wide).confidence is Confidence.MEDIUM
    assert advice(*(run(number, gib=0.1 + 10 * (number == 5)) for number in range(1, 6))).confidence == "low"


def test_jobs_are_told_apart_by_runner_project_and_name():
    charges = [run(1), run(2, job_name="lint"), run(3, project="acme/site"), run(4, runner="two"), run(5)]
    found = advise(charges, {}, WINDOW)
    assert len(found) == 4
    assert sum(each.runs for each in found) == len(charges)


def test_jobs_of_which_nothing_was_measured_or_that_have_no_name_are_left_out():
    assert advise([run(1, use=None), run(2, job_name="")], {"one": SIZES}, WINDOW) == []


charges = st.builds(
    run,
    st.integers(1, 400),
    st.sampled_from(list(OF)),
    gib=st.floats(0, 20),
    cpus=st.floats(0, 9),
    job_name=st.sampled_from(["test", "lint"]),
    runner=st.sampled_from(["one", "two"]),
)


@given(st.lists(charges, min_size=1, max_size=30))
def test_what_is_advised_holds_nineteen_of_twenty_runs_or_is_the_largest_there_was(runs):
    for each in advise(runs, {"one": SIZES}, WINDOW):
        own = [run for run in runs if (run.key.runner, run.job_name) == (each.job.runner, each.job.name)]
        chosen = OF[each.would_do]
        largest = max(own, key=lambda run: run.memory_bytes)
        assert chosen.memory_bytes <= largest.memory_bytes
        held = [
            run.use.memory_bytes * 1.25 <= chosen.memory_bytes and run.use.cpus <= chosen.cpus for run in own
        ]
        fitting = [
            run.use.memory_bytes <= each.memory_bytes.demanding and run.use.cpus <= each.cpus.demanding
            for run in own
        ]
        assert chosen.name == largest.flavor or all(
            holds for holds, fits in zip(held, fitting, strict=True) if fits
        )


@given(st.lists(charges, min_size=1, max_size=30))
def test_the_order_of_the_rows_changes_nothing(runs):
    def rounded(rows):
        return [attrs.evolve(row, saved_per_month=round(row.saved_per_month or 0, 6)) for row in rows]

    there, back = (advise(rows, {"one": SIZES}, WINDOW) for rows in (runs, runs[::-1]))
    key = lambda row: row.job  # noqa: E731 - equal savings may differ in their last digit
    assert sorted(rounded(there), key=key) == sorted(rounded(back), key=key)


@given(st.lists(st.floats(0, 1e12), min_size=1))
def test_a_spread_is_made_of_values_that_were_there(values):
    found = spread(values)
    assert {found.typical, found.demanding} <= set(values)
    assert found.typical <= found.demanding
    assert sum(value > found.demanding for value in values) <= len(values) / 20
    assert sum(value > found.typical for value in values) <= len(values) / 2


def test_the_latest_price_of_a_flavor_counts():
    seen = observed([run(2, price=4.0), run(1, price=3.0)])
    assert [flavor.price for flavor in seen["one"]] == [4.0]
