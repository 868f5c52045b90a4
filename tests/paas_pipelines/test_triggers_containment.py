"""What a trigger wants of a payload, at every depth (palvella stopped after the first mapping: V129)."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_pipelines.triggers.containment import match

from tests.support.often import often

PUSH = {
    "ref": "refs/heads/main",
    "repository": {"id": 7, "owner": {"login": "octo"}, "private": False},
    "commits": [{"id": "a", "added": ["x", "y"]}, {"id": "b", "added": []}],
}


@pytest.mark.parametrize(
    "pattern",
    [
        {},
        {"ref": "refs/heads/main"},
        {"repository": {"id": 7}, "ref": "refs/heads/main"},
        {"repository": {"owner": {"login": "octo"}}, "commits": [{"added": ["y"]}]},
        {"commits": []},
        {"commits": [{"id": "b"}, {"id": "a"}, {"id": "b"}]},
        {"repository": {"id": 7.0}},
    ],
)
def test_what_is_contained(pattern):
    assert match(pattern, PUSH)


@pytest.mark.parametrize(
    "pattern",
    [
        {"ref": "refs/heads/other"},
        {"repository": {"id": 7}, "ref": "no"},
        {"repository": {"owner": {"login": "octo"}, "id": 8}},
        {"commits": [{"id": "a", "added": ["z"]}]},
        {"commits": [{"id": "a"}, {"id": "c"}]},
        {"repository": {"private": 0}},
        {"repository": {"id": "7"}},
        {"missing": None},
        {"ref": {}},
        {"ref": []},
        ["ref"],
    ],
)
def test_what_is_not(pattern):
    assert not match(pattern, PUSH)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=often(80), deadline=None)
@given(VALUES, VALUES, VALUES)
def test_it_is_an_order_of_values(one, two, three):
    assert match(one, one)
    if match(one, two) and match(two, three):
        assert match(one, three)


def test_a_hostile_payload_costs_one_look_at_each_pair():
    looks = Counter()

    class Looked(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other):
            looks["all"] += 1
            return str.__eq__(self, other)

    pattern = [[Looked(f"{n}") for n in range(20)] for _ in range(10)]
    assert not match(pattern, [["x"] * 50 for _ in range(40)])
    assert looks["all"] <= 20 * 10 * 50 * 40
