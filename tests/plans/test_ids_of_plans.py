"""Ids sort by when they were made."""

from datetime import UTC, datetime, timedelta

from paas_plans.ids import fresh_id, made_at


def test_an_id_is_a_uuid_of_version_7_that_says_when_it_was_made():
    fresh = fresh_id()
    assert (fresh.version, fresh.variant) == (7, "specified in RFC 4122")
    assert abs(datetime.now(UTC) - made_at(fresh)) < timedelta(seconds=5)


def test_ids_sort_by_time_and_differ_within_a_millisecond():
    made = [fresh_id(milliseconds) for milliseconds in (1, 2, 3)]
    assert made == sorted(made)
    assert len({fresh_id(7) for _ in range(100)}) == 100
