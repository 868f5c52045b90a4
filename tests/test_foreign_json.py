"""What another system wrote as JSON costs little to read, or is refused."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.foreign_json import MOST_NESTING, MOST_VALUES, elements, loads
from tests.support.bounded import cheap

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_VALUES)
def test_json_is_read_as_it_was_written(value):
    assert loads(json.dumps(value).encode()) == value


@given(_VALUES)
def test_a_mark_of_the_byte_order_is_skipped(value):
    assert loads(b"\xef\xbb\xbf" + json.dumps(value, ensure_ascii=True).encode()) == value


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * (MOST_NESTING + 1) + b"]" * (MOST_NESTING + 1), "nested too deeply"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "nested too deeply"),
        (b"[" + b"[]," * MOST_VALUES + b"1]", "more than 1000000 values"),
        (b"NaN", "NaN is no number of JSON"),
        (b"[-Infinity]", "-Infinity is no number of JSON"),
        (b"1e999", "a number is too large"),
        (b"\xff", "no UTF-8 at byte 0"),
        (b"", "Expecting value"),
        (b"9" * 10_000, "integer"),
    ],
)
def test_what_costs_too_much_or_is_no_json_is_refused(body, why):
    with cheap(), pytest.raises(ValueError, match=why):
        loads(body)


def test_the_deepest_nesting_that_is_allowed_is_read():
    body = b"[" * MOST_NESTING + b"1" + b"]" * MOST_NESTING
    assert loads(body)


@given(st.binary())
def test_no_body_raises_anything_else(body):
    with contextlib.suppress(ValueError):
        loads(body)


@given(st.lists(_VALUES), st.sampled_from([None, 1, "\t"]))
def test_the_elements_of_a_list_are_those_of_the_whole(values, indent):
    assert list(elements(json.dumps(values, indent=indent).encode())) == values


@given(st.text(alphabet='[]{},:"1 ae\n', max_size=12))
def test_what_is_no_list_as_a_whole_is_none_in_pieces(text):
    whole = None
    with contextlib.suppress(ValueError):
        whole = loads(text.encode())
    if isinstance(whole, list):
        assert list(elements(text.encode())) == whole
    else:
        with pytest.raises(ValueError, match=r"."):
            list(elements(text.encode()))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * (MOST_NESTING + 1) + b"]" * (MOST_NESTING + 1),
        b"[" + b"[]," * MOST_VALUES + b"1]",
        b"[NaN]",
        b"[1] 2",
    ],
)
def test_elements_cost_little_or_are_refused(body):
    with cheap(mebibytes=64), pytest.raises(ValueError, match=r"."):
        list(elements(body))


def test_the_elements_of_a_long_list_are_not_there_at_the_same_time():
    body = json.dumps(
        [{"name": f"value {number}", "more": list(range(50))} for number in range(5000)]
    ).encode()
    with cheap(seconds=10, mebibytes=3 * len(body) / 2**20):
        assert sum(1 for _ in elements(body)) == 5000
