"""The language of `rules:if`, and its patterns."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.gitlab_ci.bounds import Budget
from paas_runner.pipelines.gitlab_ci.expressions import ExpressionError, holds
from paas_runner.pipelines.gitlab_ci.pattern_text import PatternError
from paas_runner.pipelines.gitlab_ci.patterns import Pattern

VALUES = {"A": "main", "EMPTY": "", "BLANK": " ", "TRUE": "true", "RE": "/^ma/", "PLAIN": "the main branch"}


def true(text: str) -> bool:
    return holds(text, VALUES.get, Budget())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A", True),
        ("$NONE", False),
        ("$EMPTY", False),
        ("$BLANK", False),
        ('$A == "main"', True),
        ("$A == 'main'", True),
        ("'main' == $A", True),
        ('$A != "main"', False),
        ("$A==$TRUE", False),
        ("$NONE == null", True),
        ("$EMPTY == null", False),
        ('$NONE == ""', False),
        ('$EMPTY == ""', True),
        ("$NONE != null", False),
        ('$TRUE == "true"', True),
        ("$TRUE == true", False),
        ("$A =~ /^main$/", True),
        ("$A =~ /^MAIN$/", False),
        ("$A =~ /^MAIN$/i", True),
        ("$A !~ /^feature\\/.+/", True),
        ("$NONE =~ /x?/", True),
        ("$A =~ $RE", True),
        ("$A =~ $PLAIN", True),
        ("$A =~ $NONE", False),
        ("$A !~ $NONE", True),
        ("$A && $NONE", False),
        ("$NONE || $A", True),
        ("$EMPTY || $A", False),
        ("$EMPTY && $A", True),
        ('$A == "x" && $A || $TRUE', True),
        ('$A == "x" && ($A || $TRUE)', False),
        ('($A == "main") && (($TRUE))', True),
    ],
)
def test_expressions_hold_as_on_gitlab(text: str, value: bool) -> None:
    assert true(text) is value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "$A ==",
        "== $A",
        "$A = 'x'",
        "($A",
        "$A)",
        "main",
        "$A $A",
        "! $A",
        "${A}",
        "'open",
        "$A &&",
        "$A || " * 60,
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        true(text)


FITTING = [
    ("^release/v\\d+\\.\\d+(-rc\\d+)?$", "release/v1.22-rc3"),
    ("^(feat|fix|chore)(\\(.+\\))?!?: ", "fix(core)!: it"),
    ("[^a-z_-]", "a-b_c."),
    ("[]x]", "]"),
    ("\\bword\\b", "a word."),
    ("^$", ""),
    ("a{2,3}b", "aaab"),
    ("a{2}b", "xaab"),
    ("a{2,}b", "aaaaab"),
    ("a{b", "a{b"),
    ("(?i)MAIN", "main"),
    ("(?P<name>x)", "x"),
    ("(a|)b", "b"),
    ("(a*)*b", "aab"),
    ("\\x41\\.", "A."),
    ("[\\d\\.]+", "1.2"),
    ("\\S", "\u00a0"),
]


@pytest.mark.parametrize(("pattern", "text"), FITTING)
def test_patterns_are_found(pattern: str, text: str) -> None:
    assert Pattern(pattern).found_in(text)


@pytest.mark.parametrize(
    ("pattern", "flags", "text", "found"),
    [
        ("a.b", "", "a\nb", False),
        ("a.b", "s", "a\nb", True),
        ("^b", "", "a\nb", False),
        ("^b", "m", "a\nb", True),
        ("a$", "", "a\n", False),
        ("a$", "m", "a\nb", True),
        ("\\Ab", "m", "a\nb", False),
        ("é", "i", "É", True),
    ],
)
def test_flags_mean_what_they_mean_to_re2(pattern: str, flags: str, text: str, found: bool) -> None:
    assert Pattern(pattern, flags).found_in(text) is found


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a)", "[a", "*", "a**", "(?=a)", "(?<!a)", "\\1", "\\pL", "a{2000}", "a{3,2}", "[b-a]", "\\"],
)
def test_patterns_that_re2_does_not_have_are_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        Pattern(pattern)


@pytest.mark.parametrize(
    "pattern", ["((a{50}){50}){50}", "(" * 50 + ")" * 50, "a" * 1001, "(((a?){40}){40}){40}"]
)
def test_patterns_that_grow_are_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        Pattern(pattern)


def test_no_pattern_keeps_the_reader_busy() -> None:
    began = time.process_time()
    for pattern in ("(a*)*$", "(a|a)*b", "(a|aa)+$", "(.*)(.*)(.*)(.*)[^a]", "(a?){30}a{30}$"):
        Pattern(pattern).found_in("a" * 300 + "c")
    assert time.process_time() - began < 5
    with pytest.raises(PipelineError, match="take too long"):
        holds("$A =~ /(a?){500}b/", {"A": "a" * 20_000}.get, Budget())


PIECES = st.sampled_from(
    ["a", "b", ".", "^", "$", "\\b", "[ab]", "[^a]", "(a|b)", "(ab)?", "(a|bc)*", "c+", "a{1,2}", "|"]
)


@given(st.lists(PIECES, max_size=6).map("".join), st.text("abc\n", max_size=8))
def test_what_is_found_is_what_pythons_own_engine_finds(pattern: str, text: str) -> None:
    python = pattern.replace("$", "\\Z")  # there `$` also holds before a line's last break
    assert Pattern(pattern).found_in(text) == (re.search(python, text) is not None)
