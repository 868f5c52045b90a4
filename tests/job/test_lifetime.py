"""When a host has to be gone, as a rule."""

from datetime import UTC, datetime, timedelta

import pytest

from paas_runner.job.decision import Policy
from paas_runner.job.lifetime import (
    GRACE,
    MARGIN,
    MARGIN_VARIABLE,
    Deadlines,
    last_moment,
    margin_in,
    written_end,
)

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_all_deadlines_are_between_the_timeout_and_the_end_of_the_margin() -> None:
    found = Deadlines(HOUR, MARGIN)
    moments = (found.report_seconds, found.work_seconds, found.kill_seconds, found.end_seconds)
    assert moments == (4050, 4080, 4140, 4200)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        *((None, 600), ("", 600), ("90", 90), ("0.5", 0.5), ("1e9", 86400)),
        *((wrong, 600) for wrong in ("0", "-3", "soon", "nan", "inf")),
    ],
)
def test_the_margin_is_the_variables_within_bounds(said: str | None, seconds: float) -> None:
    environment = {} if said is None else {MARGIN_VARIABLE: said}
    assert margin_in(environment).total_seconds() == seconds


def test_the_usual_margin_is_that_of_the_service() -> None:
    assert Policy().lifetime_margin == MARGIN


def test_what_is_written_on_a_host_is_later_than_all_other_ends() -> None:
    assert written_end(NOON, HOUR) == NOON + HOUR + MARGIN + GRACE


def test_a_host_that_waited_for_its_launch_has_that_time_on_top() -> None:
    end, late = NOON + HOUR, NOON + timedelta(minutes=7)
    assert last_moment(end, created_at=NOON, started_at=None) == end
    assert last_moment(end, created_at=None, started_at=late) == end
    assert last_moment(end, created_at=NOON, started_at=NOON) == end
    assert last_moment(end, created_at=NOON, started_at=late) == end + timedelta(minutes=7)


def test_clocks_that_differ_and_starts_without_number_change_little() -> None:
    """The launch is compared with the creation, which the engine's clock has seen, too."""
    end = NOON + HOUR
    assert last_moment(end, created_at=NOON, started_at=NOON - HOUR) == end
    assert last_moment(end, created_at=NOON, started_at=NOON + 100 * HOUR) == end + HOUR
