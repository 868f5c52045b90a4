"""Spans of time and tables, as people read them."""

from datetime import timedelta

import pytest

from paas_runner.plain_text import (
    aligned,
    exact_span,
    folded,
    one_line,
    printable,
    rough_span,
    short_span,
    span,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (180_000, "2 d 2 h")],
)
def test_a_measured_span_is_told_in_the_units_that_matter(seconds, text):
    assert span(seconds) == span(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.9, "0 min"), (1259, "20 min"), (7199, "1 h 59 min"), (180_000, "2 d 2 h")]
)
def test_an_age_in_whole_minutes_is_never_rounded_up(seconds, text):
    assert span(seconds, whole_minutes=True) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0.2 s"), (100, "100 s"), (120, "2 min"), (125, "125 s"), (5400, "90 min"), (86_400, "24 h")],
)
def test_a_configured_span_is_told_exactly_in_the_largest_unit(seconds, text):
    assert exact_span(timedelta(seconds=seconds)) == exact_span(seconds) == text


def test_what_lasts_seconds_has_a_decimal_while_that_matters():
    assert [short_span(seconds) for seconds in (1.26, 9.94, 12.4)] == ["1.3 s", "9.9 s", "12 s"]


def test_columns_stand_to_the_left_and_those_of_numbers_to_the_right():
    lines = [("NAME", "N"), ("a", "100")]
    assert aligned(lines) == ["NAME  N", "a     100"]
    assert aligned(lines, left=1) == ["NAME    N", "a     100"]


def test_text_is_freed_from_what_breaks_a_line_or_moves_a_cursor():
    assert one_line(" a\n  b\tc ") == "a b c"
    assert printable("a\x1b[2J\r\n\x9bb") == "a [2J \n b"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("as wide as it is", ["as wide as it is"]),
        ("broken between its words, never in one", ["broken between its", "  words, never in", "  one"]),
        ("    under the first line", ["    under the first", "      line"]),
        ("https://example.com/not/cut twice", ["https://example.com/not/cut", "  twice"]),
        ("the first line\nand the one after it", ["the first line", "and the one after it"]),
        ("", [""]),
    ],
)
def test_lines_are_broken_between_words(text, lines):
    assert folded(text, 20) == "\n".join(lines)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_799, "48 h"), (40_730_400, "471 d")],
)
def test_an_age_is_told_in_one_unit(seconds, words):
    assert rough_span(seconds) == words
