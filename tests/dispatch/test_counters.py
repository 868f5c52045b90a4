"""The numbers that must stay 0."""

import structlog

from paas_runner.dispatch.counters import CounterName, Counters


def test_all_numbers_are_there_from_the_beginning_and_are_0():
    assert Counters().numbers == {"orphans_found": 0, "duplicates_prevented": 0, "drift": 0}


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
