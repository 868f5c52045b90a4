"""What a host costs: which events close a charge, how it is cut, and that nothing is lost by adding up."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job import events as ev
from paas_runner.job.cost import Charge, Total, closed_by, so_far, totals
from paas_runner.job.tracked import JobKey, Phase
from tests.support.records import FAILURE, HOST, NOW, job, job_in

HOUR = timedelta(hours=1)

moments = st.timedeltas(timedelta(), timedelta(days=45)).map(lambda later: NOW + later)


@st.composite
def made(draw):
    since, until = sorted((draw(moments), draw(moments)))
    return Charge(
        key=JobKey(draw(st.sampled_from(["one", "two"])), draw(st.integers(1, 9))),
        tenant=draw(st.sampled_from(["", "acme", "heptapod"])),
        host=draw(st.text(max_size=3)),
        flavor=draw(st.sampled_from(["S", "M"])),
        since=since,
        until=draw(st.sampled_from([until, since])),
        price=draw(st.none() | st.floats(0, 100)),
        running=draw(st.booleans()),
    )


def charge(**changes):
    known = {
        "since": NOW,
        "until": NOW + HOUR,
        "price": 2.0,
        "tenant": "acme",
        "flavor": "M",
        "host": "app_1",
    }
    return Charge(**{"key": JobKey("abc123xyz", 1), **known, **changes})


def spent(charges):
    return sum((each.time for each in charges), timedelta())


@pytest.mark.parametrize("event", [ev.Decommissioned(), ev.HostLeft()])
def test_a_host_that_goes_or_is_left_closes_its_charge(event):
    host = attrs.evolve(HOST, price=1.5)
    record = job_in(Phase.DECOMMISSIONING, host=host, tenant="acme")
    assert closed_by(event, record, NOW + 2 * HOUR) == Charge(
        key=record.key,
        tenant="acme",
        host="app_1",
        flavor="M",
        since=NOW,
        until=NOW + 2 * HOUR,
        price=1.5,
    )


def test_a_host_that_goes_before_its_failure_is_reported_is_charged_then():
    assert closed_by(ev.Decommissioned(), job_in(Phase.FAILING), NOW)


@pytest.mark.parametrize("event", [ev.Ended(), ev.Failed(failure=FAILURE), ev.Launched(), ev.Checked()])
def test_no_other_event_closes_a_charge(event):
    assert closed_by(event, job_in(Phase.RUNNING), NOW + HOUR) is None


@pytest.mark.parametrize("record", [job(), job_in(Phase.PROVISIONING), job_in(Phase.PROVISIONED, host=None)])
def test_without_a_known_host_there_is_nothing_to_pay(record):
    assert so_far(record, NOW + HOUR) is None
    assert closed_by(ev.Decommissioned(), record, NOW + HOUR) is None


def test_a_host_that_is_there_is_charged_until_now():
    charge = so_far(job_in(Phase.RUNNING), NOW + HOUR)
    assert (charge.time, charge.running, charge.cost) == (HOUR, True, None)


def test_a_clock_that_went_back_charges_nothing_rather_than_less():
    assert so_far(job_in(Phase.RUNNING), NOW - HOUR).seconds == 0


def test_the_cost_is_the_price_per_hour_times_the_hours():
    assert charge(until=NOW + 90 * timedelta(minutes=1)).cost == 3.0
    assert charge(price=None).cost is None
    assert charge(price=0.0).cost == 0.0


def test_only_the_part_within_is_left_of_a_charge():
    part = charge().within(NOW + HOUR / 4, NOW + HOUR / 2)
    assert (part.since, part.until) == (NOW + HOUR / 4, NOW + HOUR / 2)
    assert charge().within(NOW + HOUR, NOW + 2 * HOUR) is None
    assert charge().within(NOW - HOUR, NOW) is None


def test_only_the_last_part_of_a_running_host_is_running():
    running = charge(running=True)
    assert not running.within(NOW, NOW + HOUR / 2).running
    assert running.within(NOW + HOUR / 2, NOW + 2 * HOUR).running


@given(made(), st.lists(moments, min_size=3, max_size=3))
def test_cutting_loses_nothing_and_counts_nothing_twice(charge, cuts):
    first, middle, last = sorted(cuts)
    whole = charge.within(first, last)
    parts = [part for part in (charge.within(first, middle), charge.within(middle, last)) if part]
    assert spent(parts) == (whole.time if whole else timedelta())
    assert bool(parts) == bool(whole)
    assert all(first <= part.since <= part.until <= last for part in parts)


@given(made())
def test_the_days_of_a_charge_are_all_of_it_and_each_is_one_day(charge):
    days = list(charge.days())
    assert spent(days) == charge.time
    assert (days[0].since, days[-1].until) == (charge.since, charge.until)
    assert len({day.since.date() for day in days}) == len(days)
    assert all(day.time <= timedelta(days=1) for day in days)
    assert [day.running for day in days] == [False] * (len(days) - 1) + [charge.running]


@given(st.lists(made()), st.sampled_from(["tenant", "flavor", "host"]))
def test_groups_add_up_to_the_whole(charges, field):
    groups = totals(charges, lambda charge: getattr(charge, field))
    assert set(groups) == {getattr(charge, field) for charge in charges}
    assert sum(total.jobs for total in groups.values()) == len(charges)
    assert sum((total.time for total in groups.values()), timedelta()) == spent(charges)
    assert sum(total.unpriced for total in groups.values()) == sum(each.price is None for each in charges)
    known = [total.cost for total in groups.values() if total.cost is not None]
    assert sum(known) == pytest.approx(sum(each.cost for each in charges if each.cost is not None))


@given(st.lists(made(), max_size=5), moments)
def test_two_windows_that_meet_cost_as_much_as_both_together(charges, middle):
    ends = datetime(2025, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)

    def cost(since, until):
        return sum(part.cost or 0 for each in charges if (part := each.within(since, until)))

    assert cost(ends[0], middle) + cost(middle, ends[1]) == pytest.approx(cost(*ends))


def test_a_total_has_a_cost_only_where_a_price_was_known():
    assert Total().plus(charge(price=None)).cost is None
    both = Total().plus(charge(price=None)).plus(charge())
    assert (both.jobs, both.time, both.cost, both.unpriced) == (2, 2 * HOUR, 2.0, 1)
