"""What an author or operator can write reaches the inner runner unchanged, or not at all."""

import enum
import tomllib
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.toml_text import UnwritableTomlError, dumps

scalars = (
    st.text()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.datetimes()
    | st.dates()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), values, max_size=6))
def test_whatever_is_written_reads_back_equal(document):
    assert tomllib.loads(dumps(document)) == document


@pytest.mark.parametrize(
    "value",
    [
        "\x1b[31mred\x1b[0m",
        "C:\\Users\\x\\builds",
        "\\x41",
        "a\x7fb\x00c\x85",
        ["a", 1, {"b": []}],
        [[{"x": 1}], [{"y": 2}]],
        [{}, {"a": {}}],
        {"docker": {}},
    ],
)
def test_values_that_the_package_alone_corrupts(value):
    document = {"runners": [{"name": "x", "value": value}]}
    assert tomllib.loads(dumps(document)) == document


@pytest.mark.parametrize("value", [None, PurePosixPath("/x"), object(), {1: "x"}, {"a": {"b", "c"}}])
def test_what_toml_cannot_say_is_refused(value):
    with pytest.raises(UnwritableTomlError):
        dumps({"key": value})


def test_text_of_another_class_stays_text():
    class Colour(enum.StrEnum):
        RED = "red"

    assert tomllib.loads(dumps({"colour": Colour.RED})) == {"colour": "red"}
