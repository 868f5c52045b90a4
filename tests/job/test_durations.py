"""Go's durations: its own documented cases, and that what is written is read back as it was."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.config.secret_references import Surroundings
from paas_runner.inner.settings import seconds
from paas_runner.job.durations import MOST_NANOSECONDS, go_text, nanoseconds
from paas_runner.setting_types import LONGEST_SPAN, SCALARS, GoDuration, UnfitError

MICRO, MILLI, SECOND = 10**3, 10**6, 10**9
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
MOST, LEAST = 2**63 - 1, -(2**63)

ACCEPTED = {  # `parseDurationTests` of Go's time_test.go, and what the two former parsers disagreed on
    "0": 0,
    "5s": 5 * SECOND,
    "30s": 30 * SECOND,
    "1478s": 1478 * SECOND,
    "-5s": -5 * SECOND,
    "+5s": 5 * SECOND,
    "-0": 0,
    "+0": 0,
    "5.0s": 5 * SECOND,
    "5.6s": 5 * SECOND + 600 * MILLI,
    "5.s": 5 * SECOND,
    ".5s": 500 * MILLI,
    "1.0s": SECOND,
    "1.00s": SECOND,
    "1.004s": SECOND + 4 * MILLI,
    "1.0040s": SECOND + 4 * MILLI,
    "100.00100s": 100 * SECOND + MILLI,
    "10ns": 10,
    "11us": 11 * MICRO,
    "12\u00b5s": 12 * MICRO,
    "12\u03bcs": 12 * MICRO,
    "13ms": 13 * MILLI,
    "14s": 14 * SECOND,
    "15m": 15 * MINUTE,
    "16h": 16 * HOUR,
    "3h30m": 3 * HOUR + 30 * MINUTE,
    "10.5s4m": 4 * MINUTE + 10 * SECOND + 500 * MILLI,
    "-2m3.4s": -(2 * MINUTE + 3 * SECOND + 400 * MILLI),
    "1h2m3s4ms5us6ns": HOUR + 2 * MINUTE + 3 * SECOND + 4 * MILLI + 5 * MICRO + 6,
    "39h9m14.425s": 39 * HOUR + 9 * MINUTE + 14 * SECOND + 425 * MILLI,
    "52763797000ns": 52763797000,
    "0.3333333333333333333h": 20 * MINUTE,
    "9007199254740993ns": 2**53 + 1,
    "9223372036854775807ns": MOST,
    "9223372036854775.807us": MOST,
    "9223372036s854ms775us807ns": MOST,
    "-9223372036854775808ns": LEAST,
    "-9223372036854775.808us": LEAST,
    "-9223372036s854ms775us808ns": LEAST,
    "-2562047h47m16.854775808s": LEAST,
    "0.100000000000000000000h": 6 * MINUTE,
    "0.830103483285477580700h": 49 * MINUTE + 48 * SECOND + 372539827,
    ".5h": 30 * MINUTE,
    "1.h": HOUR,
    "100µs": 100 * MICRO,
    "-1.5h": -90 * MINUTE,
    "1h2m3.5s": HOUR + 2 * MINUTE + 3 * SECOND + 500 * MILLI,
    "00001s": SECOND,
    "0" * 5000 + "1s": SECOND,
}

REFUSED = [
    *("", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "\x85\x85", "\xffff", "hello \xffff world", "\ufffd"),
    *("9223372036854775810ns", "9223372036854775808ns", "-9223372036854775809ns", "9223372036854776us"),
    *("3000000h", "9223372036854775.808us", "9223372036854ms775us808ns", "9" * 5000 + "s"),
    *("1", "1 h", "h", "1h ", " 1h", "1h 30m", "1H", "1hm", "1.2.3s", "--1s", "1s-1s", "1h30", "00", "0.0"),
    *("1e3s", "1_0s", "٣s", "1hour", "1h\n", "inf", "nan"),
]

WRITTEN = {  # `durationTests` of Go's time_test.go
    "0s": 0,
    "1ns": 1,
    "1.1µs": 1100,
    "2.2ms": 2200 * MICRO,
    "3.3s": 3300 * MILLI,
    "4m5s": 4 * MINUTE + 5 * SECOND,
    "4m5.001s": 4 * MINUTE + 5001 * MILLI,
    "5h6m7.001s": 5 * HOUR + 6 * MINUTE + 7001 * MILLI,
    "8m0.000000001s": 8 * MINUTE + 1,
    "2562047h47m16.854775807s": MOST,
    "-2562047h47m16.854775808s": LEAST,
    "1h0m0s": HOUR,
    "1m0s": MINUTE,
    "-250ms": -250 * MILLI,
}


@pytest.mark.parametrize(("text", "length"), ACCEPTED.items(), ids=lambda value: ascii(value)[:40])
def test_what_go_takes_is_taken_and_is_as_long(text, length):
    assert nanoseconds(text) == length


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: ascii(text[:30]))
def test_what_go_refuses_is_refused(text):
    with pytest.raises(ValueError, match="is no duration"):
        nanoseconds(text)


@pytest.mark.parametrize(("text", "length"), WRITTEN.items())
def test_durations_are_written_as_go_prints_them(text, length):
    assert go_text(length) == text


@given(st.integers(LEAST, MOST))
def test_what_is_written_is_read_back(length):
    assert nanoseconds(go_text(length)) == length


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["h", "m", "s", "ms", "us", "µs", "μs", "ns"])))
)
def test_parts_add_up_in_any_order(parts):
    lengths = [nanoseconds(f"{amount}{unit}") for amount, unit in parts]
    text = "".join(f"{amount}{unit}" for amount, unit in parts)
    if parts and sum(lengths) <= MOST_NANOSECONDS:
        assert nanoseconds(text) == sum(lengths)


GRAMMAR = re.compile(r"[-+]?(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")


@given(st.text(alphabet="0129.-+hmsnuµμ d", max_size=8))
def test_exactly_the_texts_of_gos_grammar_are_taken(text):
    """Short ones, so that none is too long to be held."""
    try:
        nanoseconds(text)
    except ValueError:
        assert not GRAMMAR.fullmatch(text) or "h" in text
    else:
        assert GRAMMAR.fullmatch(text)


@pytest.mark.parametrize("text", [*ACCEPTED, *REFUSED], ids=lambda text: ascii(text[:30]))
def test_the_configuration_and_the_variables_of_a_job_understand_the_same_durations(text):
    """Each had a parser of its own, and they had drifted apart: `.5h`, `1.h`, `100µs`."""
    nowhere = Surroundings(environ={}, folder=Path(), secrets_file=None)
    try:
        configured = SCALARS[GoDuration].read(text, nowhere).total_seconds()
    except UnfitError:
        configured = None
    try:
        of_the_job = seconds(text)
    except ValueError:
        of_the_job = None
    length = ACCEPTED.get(text, -1)
    of_an_operator = 0 <= length / 1e9 <= LONGEST_SPAN.total_seconds()
    assert configured == (pytest.approx(length / 1e9, abs=1e-6) if of_an_operator else None)
    assert of_the_job == (pytest.approx(length / 1e9) if length > 0 else None)
