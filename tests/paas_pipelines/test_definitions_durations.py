"""Durations in Go's syntax (P037)."""

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paas_pipelines.definitions.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("+0", 0),
        ("-0", 0),
        ("0s", 0),
        ("10s", 10),
        ("48h", 172800),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("1.s", 1),
        ("+5s", 5),
        ("-1.5h", -5400),
        ("250ms", 0.25),
        ("1m1ms", 60.001),
        ("12us", 0.000012),
        ("12µs", 0.000012),
        ("12μs", 0.000012),
        ("5000ns", 0.000005),
        ("1s1s", 2),
        ("1s1h", 3601),
        ("0.1h0.1m", 366),
        ("0000000000000000000000000000000000000000001s", 1),
    ],
)
def test_what_go_reads_is_read(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["1ns", "999ns", "0.3us"])
def test_what_is_shorter_than_a_microsecond_is_not_nothing(text):
    assert parse_duration(text) == timedelta(microseconds=1)
    assert parse_duration(f"-{text}") == timedelta(microseconds=-1)


@pytest.mark.parametrize("text", ["10", "-3", "1.5", "10000000000", "1_000"])
def test_a_number_without_a_unit_is_refused(text):
    with pytest.raises(ValueError, match=f'"{text}" has no unit; units are ns, us, ms, s, m and h'):
        parse_duration(text)


@pytest.mark.parametrize(
    "text",
    ["", "s", ".s", "1x", "2d", "1 s", "1s ", "1S", "1e3s", "--1s", "1s-1s", "1h30", "٣s", "1" * 5000 + "s"],
)
def test_what_go_refuses_is_refused(text):
    with pytest.raises(ValueError, match="is not a duration like 1h30m"):
        parse_duration(text)


def test_go_counts_in_64_bits():
    parse_duration("2562047h47m16.854775807s")
    with pytest.raises(ValueError, match="longer than 292 years"):
        parse_duration("2562047h47m16.854775808s")


@given(st.text(alphabet="0123456789.-+hmsuµn_e ") | st.text())
def test_any_text_is_a_duration_or_refused(text):
    with contextlib.suppress(ValueError):
        assert isinstance(parse_duration(text), timedelta)
