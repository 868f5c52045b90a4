"""Expansion follows Go's os.Expand, as in GitLab Runner."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.variables import Budget, BudgetExceededError, Variable, expand, values
from tests.support.bounded import cheap

KNOWN = {"FOO": "foo", "FOO_BAR": "both", "FOO-BAR": "dash", "FOO-${BAR": "odd", "A": "$FOO"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$FOO", "foo"),
        ("${FOO}", "foo"),
        ("a-$FOO-b", "a-foo-b"),
        ("$FOO_BAR", "both"),
        ("${FOO-BAR}", "dash"),
        ("${FOO-${BAR}}", "odd}"),
        ("$UNKNOWN!", "!"),
        ("$$FOO", "$FOO"),
        ("$1$@$?$*$#$!$-", ""),
        ("100 $", "100 $"),
        ("$ FOO", "$ FOO"),
        ("${}", ""),
        ("${FOO", "FOO"),
        ("$A", "$FOO"),
        ("é$FOO", "éfoo"),
    ],
)
def test_references_are_replaced(text, expected):
    assert expand(text, lambda name: KNOWN.get(name, "")) == expected


def test_of_equal_keys_the_last_wins_and_raw_values_are_literal():
    given_ = [
        Variable(key="SIZE", value="S"),
        Variable(key="SIZE", value="M"),
        Variable(key="FLAVOR", value="$SIZE"),
        Variable(key="PRICE", value="$SIZE", raw=True),
        Variable(key="TWICE", value="$PRICE"),
    ]
    assert values(given_) == {"SIZE": "M", "FLAVOR": "M", "PRICE": "$SIZE", "TWICE": "$SIZE"}


@given(st.text())
def test_no_text_is_too_strange(text):
    expand(text, lambda name: name)


def test_a_value_does_not_show_in_a_repr():
    assert "hunter2" not in repr(Variable(key="PASSWORD", value="hunter2"))


@pytest.mark.parametrize(
    "text", ["$x" * 200_000, "${" * 200_000, "$" * 400_000, "${x}" * 100_000, "$-" * 200_000]
)
def test_expansion_takes_time_in_proportion_to_its_text(text):
    with cheap(
        seconds=6, mebibytes=64
    ):  # 0.3 s when nothing traces memory; what is quadratic takes 10 s, too
        expand(text, lambda _: "")


@given(st.text(alphabet="$ab{}x"), st.integers(0, 50))
def test_a_budget_covers_what_is_read_and_what_comes_of_it(text, most):
    budget = Budget(most)
    try:
        found = expand(text, lambda name: name * 5, budget)
    except BudgetExceededError:
        assert len(text) + 5 * len(text) > most
    else:
        assert len(text) <= most - budget.left
        assert len(found) <= len(text) + most


def test_an_expansion_stops_where_its_budget_ends():
    huge = "x" * 1_000_000
    with cheap(seconds=0.1, mebibytes=1), pytest.raises(BudgetExceededError):
        expand("$A" * 1000, lambda _: huge, Budget(4096))
