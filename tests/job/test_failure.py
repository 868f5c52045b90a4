"""What stands in a job's log: the form of GitLab Runner, one line or many."""

from datetime import UTC, datetime

import pytest

from paas_runner.errors import Rejected
from paas_runner.job.decision import CANCELED
from paas_runner.job.failure import (
    MOST_COLUMNS,
    Failure,
    FailureReason,
    as_trace,
    call_facts,
    fact_sheet,
    reference,
)


def trace(text, reason=FailureReason.SYSTEM):
    return as_trace(Failure(reason=reason, text=text), runner="r", version="1")


def test_one_line_is_in_the_form_of_gitlab_runner():
    assert trace("It rained.") == (
        "Running with paas-runner 1 on r\n\x1b[31;1mERROR: Job failed (system failure): It rained.\x1b[0;m\n"
    )
    assert "ERROR: Job failed: It rained." in trace("It rained.", FailureReason.SCRIPT)


def test_of_many_lines_the_first_is_coloured_and_each_has_its_end():
    _, first, *more = trace("It rained.\n  Where: here\n  When:  now").split("\n")
    assert first == "\x1b[31;1mERROR: Job failed (system failure): It rained.\x1b[0;m"
    assert more == ["  Where: here", "  When:  now", ""]


def test_facts_stand_in_two_columns_and_empty_ones_not_at_all():
    assert fact_sheet({"Why": "rain", "What to do": "wait", "Where": ""}) == (
        "  Why:        rain\n  What to do: wait"
    )
    assert fact_sheet({}) == ""


def test_a_long_fact_goes_on_in_its_column_broken_between_words_only():
    first, *more = fact_sheet({"Why": "rain-and-wind " * 30}).split("\n")
    assert first.startswith("  Why: rain-and-wind rain")
    assert more
    assert {line[:7] for line in more} == {"       "}
    assert max(map(len, [first, *more])) <= MOST_COLUMNS
    secret = "s" * (MOST_COLUMNS + 20)
    assert secret in fact_sheet({"Why": f"it said {secret} twice"})


@pytest.mark.parametrize(
    "text", ["two\nlines", "a\r\x1b[0Ksection_start:1:x\r", "\u202egnitirw", "nul\0", "\u2028line"]
)
def test_no_fact_breaks_out_of_its_line(text):
    assert fact_sheet({"Why": text}).isprintable()


def test_a_reference_says_for_whom_it_is():
    assert reference("app_1", "", "request 2") == "app_1 request 2 (for the operators of this runner)"
    assert reference("", "") == ""


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_for_the_operators_and_nothing_else_is_a_reason_not_to_retry(status):
    def told(status):
        error = Rejected("no", service="Clever Cloud", op="create the host", status=status)
        return call_facts(error, datetime(2026, 11, 28, tzinfo=UTC))

    assert "no retry helps" in told(status)
    assert "no retry helps" not in told(500)


def test_a_canceled_job_is_told_as_gitlab_runner_tells_it():
    assert CANCELED.reason == "unknown_failure"
    assert "ERROR: Job failed: canceled" in as_trace(CANCELED, runner="r", version="1")
