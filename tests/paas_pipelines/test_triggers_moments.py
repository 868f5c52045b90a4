"""When a schedule comes, by a reckoning of its own: every minute of the days around is looked at."""

import functools
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_pipelines.definitions.automation import Schedule
from paas_pipelines.triggers.moments import (
    EPOCH,
    MomentsError,
    after,
    check,
    jitter_of,
    last,
    next_times,
)

from tests.support.often import often

MINUTE = timedelta(minutes=1)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def times(expression, zone, begin, count):
    return list(islice(after(Schedule(cron=expression, timezone=zone), begin), count))


# --- Debian's rules ----------------------------------------------------------------------------------------


def test_a_time_in_the_gap_comes_at_its_end():
    """Berlin, 29 March 2026: 2:00 is 3:00, which is 1:00 UTC."""
    assert times("30 2 * * *", "Europe/Berlin", utc(2026, 3, 28, 12), 2) == [
        utc(2026, 3, 29, 1),
        utc(2026, 3, 30, 0, 30),
    ]
    assert times("0,30 2,3 * * *", "Europe/Berlin", utc(2026, 3, 29, 0), 2) == [
        utc(2026, 3, 29, 1),
        utc(2026, 3, 29, 1, 30),
    ]


def test_a_time_in_the_repeated_hour_comes_once():
    assert times("30 2 * * *", "Europe/Berlin", utc(2026, 10, 24, 12), 2) == [
        utc(2026, 10, 25, 0, 30),
        utc(2026, 10, 26, 1, 30),
    ]


def test_begun_inside_the_repeated_hour_nothing_earlier_comes_again():
    """The second 2:10 of that night is 1:10 UTC, and 2:45 has been at 0:45 UTC."""
    assert times("45 2 * * *", "Europe/Berlin", utc(2026, 10, 25, 1, 10), 1) == [utc(2026, 10, 26, 1, 45)]


def test_stars_keep_real_intervals():
    assert times("*/30 * * * *", "Europe/Berlin", utc(2026, 10, 25, 0), 4) == [
        utc(2026, 10, 25, 0, 30),
        utc(2026, 10, 25, 1),
        utc(2026, 10, 25, 1, 30),
        utc(2026, 10, 25, 2),
    ]


class Reckoning:
    """Every minute of some days in a zone, and what local time that is."""

    def __init__(self, zone, begin, days):
        place = ZoneInfo(zone)
        self.minutes = [begin + n * MINUTE for n in range(days * 24 * 60)]
        self.local = [minute.astimezone(place).replace(tzinfo=None) for minute in self.minutes]

    def times(self, minutes, hours, weekdays, starred):
        if starred:
            pairs = zip(self.minutes, self.local, strict=True)
            return [minute for minute, here in pairs if matches(here, minutes, hours, weekdays)]
        found = set()
        here = self.local[0]
        first = {}
        for minute, local in zip(self.minutes, self.local, strict=True):
            first.setdefault(local, minute)
        for minute, local in zip(self.minutes, self.local, strict=True):
            while here <= local:  # every time on the clock's face, those in a gap with the minute after it
                if matches(here, minutes, hours, weekdays):
                    found.add(first.get(here, minute))
                here += MINUTE
        return sorted(found)


def matches(here, minutes, hours, weekdays):
    return here.minute in minutes and here.hour in hours and (here.weekday() + 1) % 7 in weekdays


@functools.cache
def reckoned(zone, begin):
    return Reckoning(zone, begin, 3)


CHANGES = [
    ("Europe/Berlin", utc(2026, 3, 28)),
    ("Europe/Berlin", utc(2026, 10, 24)),
    ("America/New_York", utc(2026, 3, 7)),
    ("America/New_York", utc(2026, 10, 31)),
    ("America/Havana", utc(2026, 3, 7)),  # 0:00 is 1:00
    ("America/Havana", utc(2026, 10, 31)),  # 1:00 is 0:00
    ("Asia/Beirut", utc(2026, 3, 28)),  # 0:00 is 1:00
    ("Asia/Beirut", utc(2026, 10, 24)),  # 24:00 is 23:00
    ("Australia/Lord_Howe", utc(2026, 4, 3, 12)),  # by half an hour
    ("Australia/Lord_Howe", utc(2026, 10, 2, 12)),
    ("America/St_Johns", utc(2010, 11, 6, 12)),  # 0:01 is 23:01
    ("Asia/Kolkata", utc(2026, 3, 28)),
    ("Pacific/Apia", utc(2011, 12, 29)),  # a day is left out
    ("UTC", utc(2026, 3, 28)),
]
FIELD = st.lists(st.integers(0, 59), min_size=1, max_size=3)


@settings(max_examples=often(100), deadline=None)
@given(
    where=st.sampled_from(CHANGES),
    minutes=st.one_of(st.just("*/20"), st.just("*"), FIELD),
    hours=st.one_of(st.just("*"), st.just("*/2"), st.lists(st.integers(0, 4), min_size=1, max_size=3)),
    weekdays=st.one_of(st.none(), st.sets(st.integers(0, 6), min_size=1)),
    begun=st.integers(0, 2 * 24 * 60 - 1),
)
def test_the_moments_are_those_of_a_minute_by_minute_reckoning(where, minutes, hours, weekdays, begun):
    zone, begin = where
    known = reckoned(zone, begin)
    fields = [each if isinstance(each, str) else ",".join(map(str, each)) for each in (minutes, hours)]
    expression = f"{fields[0]} {fields[1]} * * {'*' if weekdays is None else ','.join(map(str, weekdays))}"
    wanted = known.times(
        range(0, 60, 20) if minutes == "*/20" else range(60) if minutes == "*" else minutes,
        range(24) if hours == "*" else range(0, 24, 2) if hours == "*/2" else hours,
        range(7) if weekdays is None else weekdays,
        "*" in (fields[0][0], fields[1][0]) and zone != "UTC",
    )
    cursor = begin + begun * MINUTE
    end = known.minutes[-1]
    found = []
    for planned in after(Schedule(cron=expression, timezone=zone), cursor):
        if planned > end:
            break
        found.append(planned)
    assert found == [each for each in wanted if each > cursor]


# --- what else it promises ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "moment"),
    [
        ("@daily", utc(2026, 3, 2)),
        ("@hourly", utc(2026, 3, 1, 13)),
        ("@Monthly", utc(2026, 4, 1)),
        ("@yearly", utc(2027, 1, 1)),
        ("0 9 * * MON#2", utc(2026, 3, 9, 9)),
        ("0 9 L * *", utc(2026, 3, 31, 9)),
        ("0 9 * FEB sun", utc(2027, 2, 7, 9)),
    ],
)
def test_names_and_shorthands(expression, moment):
    assert times(expression, "UTC", utc(2026, 3, 1, 12, 30), 1) == [moment]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"cron": "* * * *"}, "must have five fields"),
        ({"cron": "0 * * * * *"}, "must have five fields"),
        ({"cron": "61 * * * *"}, 'cron "61 \\* \\* \\* \\*": bad minute'),
        ({"cron": "0 0 31 2 *"}, "bad day-of-month"),
        ({"cron": "@reboot"}, "must have five fields"),
        ({"cron": "0 0 * * *", "timezone": "Europe/Nowhere"}, 'unknown time zone "Europe/Nowhere"'),
        ({"cron": "0 0 * * *", "timezone": "../../etc/passwd"}, "unknown time zone"),
        ({"every": timedelta()}, "every must be positive"),
    ],
)
def test_what_is_no_schedule_is_told(wrong, text):
    with pytest.raises(MomentsError, match=text):
        check(Schedule(**wrong))


@given(seconds=st.integers(1, 10**6), begun=st.integers(0, 2 * 10**9))
@settings(max_examples=often(100), deadline=None)
def test_every_so_often_is_a_grid_from_the_epoch(seconds, begun):
    moment = EPOCH + timedelta(seconds=begun)
    found = next(after(Schedule(every=timedelta(seconds=seconds)), moment))
    assert (found - EPOCH) % timedelta(seconds=seconds) == timedelta()
    assert timedelta() < found - moment <= timedelta(seconds=seconds)


@settings(max_examples=often(40), deadline=None)
@given(minutes=st.integers(1, 300), hours=st.integers(0, 2000), most=st.integers(1, 20))
def test_the_last_of_what_was_missed_are_found_however_long_that_is(minutes, hours, most):
    schedule = Schedule(every=timedelta(minutes=minutes))
    end = utc(2026, 5, 1, 0, 7)
    start = end - timedelta(hours=hours)
    wanted = []
    for planned in after(schedule, start):
        if planned > end:
            break
        wanted.append(planned)
    assert list(last(schedule, start, end, most)) == wanted[-most:]


def test_years_that_were_missed_take_no_time():
    found = last(Schedule(cron="* * * * *", timezone="Europe/Berlin"), utc(1990, 1, 1), utc(2026, 1, 1), 100)
    assert found[-1] == utc(2026, 1, 1)
    assert len(found) == 100


def test_jitter_is_constant_for_a_trigger_and_part_of_what_is_shown():
    schedule = Schedule(every=timedelta(hours=1), jitter=timedelta(minutes=10))
    offsets = {jitter_of(schedule, f"p/{n}") for n in range(50)}
    assert len(offsets) > 30
    assert max(offsets) <= timedelta(minutes=10)
    shown = next_times(schedule, "p/1", utc(2026, 1, 1), 3)
    assert {each - jitter_of(schedule, "p/1") for each in shown} == {
        utc(2026, 1, 1, hour) for hour in (1, 2, 3)
    } or shown[0] - jitter_of(schedule, "p/1") == utc(2026, 1, 1)
