"""Expansion follows Go's os.Expand, as in GitLab Runner."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.variables import Variable, expand, values

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
