"""The numbers of one process: those that must stay 0, and what hosts have cost."""

from datetime import timedelta

import structlog

from paas_runner.dispatch.counters import Costs, CounterName, Counters, figures
from paas_runner.job.cost import Charge
from paas_runner.job.tracked import JobKey
from tests.support.records import NOW


def test_all_numbers_are_there_from_the_beginning_and_are_0():
    assert Counters().numbers == {
        "orphans_found": 0,
        "duplicates_prevented": 0,
        "jobs_lost": 0,
        "drift": 0,
        "unforeseen_errors": 0,
    }


def test_each_change_is_a_warning_with_the_new_number():
    counters = Counters()
    with structlog.testing.capture_logs() as logs:
        counters.count(CounterName.DRIFT, "a host has disappeared", host="app_1")
        counters.count(CounterName.DRIFT, "a host has disappeared", host="app_2")
    assert counters.numbers["drift"] == 2
    assert logs[1] == {
        "event": "a host has disappeared",
        "log_level": "warning",
        "host": "app_2",
        "drift": 2,
    }


def charge(job_id, tenant, *, hours=1, price=None):
    return Charge(
        key=JobKey("abc123xyz", job_id),
        tenant=tenant,
        host=f"app_{job_id}",
        flavor="M",
        since=NOW,
        until=NOW + timedelta(hours=hours),
        price=price,
    )


def test_hosts_are_added_up_for_each_tenant_and_told_in_one_line():
    costs = Costs()
    for each in (charge(1, "acme", price=1 / 3), charge(2, "acme", price=1), charge(3, "heptapod")):
        costs.count(each)
    with structlog.testing.capture_logs() as lines:
        costs.log()
    assert lines == [
        {
            "event": "costs_since_start",
            "log_level": "info",
            "tenants": {
                "acme": {"jobs": 2, "host_seconds": 7200, "estimated_cost": 1.333333},
                "heptapod": {"jobs": 1, "host_seconds": 3600},
            },
        }
    ]


def test_of_one_host_the_log_shows_its_time_and_what_is_known_of_its_cost():
    assert figures(charge(1, "acme", hours=0.5)) == {"host_seconds": 1800}
    assert figures(charge(1, "acme", price=2)) == {"host_seconds": 3600, "estimated_cost": 2}
