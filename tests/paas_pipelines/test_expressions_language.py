"""The subset of CEL as a table, so that whatever computes it can be replaced; and what hostile ones cost."""

import time
from contextlib import suppress
from typing import Any

import pytest
from paas_pipelines.expressions import patterns
from paas_pipelines.expressions.expression import ExpressionError, Kind, compiled

_NAMES = {
    "params.e": Kind.STRING,
    "params.n": Kind.NUMBER,
    "params.b": Kind.BOOLEAN,
    "params.l": Kind.LIST,
    "params.o": Kind.OBJECT,
    "outputs.a.changed": Kind.BOOLEAN,
    "outputs.1_a.if": Kind.LIST,
    "payload": Kind.ANY,
}
_PAYLOAD = {
    "x": 1,
    "f": 1.5,
    "l": [1, 2.0, "s", None, True],
    "no": False,
    "ref": "refs/heads/main",
    "z": None,
}
_DATA: dict[str, Any] = {
    "params.e": "prod",
    "params.n": 1,
    "params.b": True,
    "params.l": ["a", "b"],
    "params.o": {"k": {"q": 2}},
    "outputs.1_a.if": ["x"],
    "payload": _PAYLOAD,
}

_VALUES = {
    "true": True,
    "null": None,
    "1": 1,
    "-1.5": -1.5,
    "1e3": 1000.0,
    "'a'": "a",
    '"a\\"b"': 'a"b',
    'r"\\d"': "\\d",
    "[1, 'a']": [1, "a"],
    'params.e == "prod"': True,
    'params.e != "prod"': False,
    'params.e < "q"': True,
    "params.n == 1": True,
    "params.n == 1.0": True,
    "params.n >= 0.5": True,
    "params.n > -1": True,
    "params.n in [1, 2]": True,
    '"a" in params.l': True,
    '"k" in params.o': True,
    "params.b && !params.b": False,
    "params.b || payload.missing": True,
    "payload.missing || params.b": True,
    'params.e == "test" && outputs.a.changed': False,
    'params.b ? "yes" : "no"': "yes",
    "params.o.k.q": 2,
    'params.o["k"]["q"] == 2.0': True,
    "params.l[1]": "b",
    'outputs.1_a.if[0] == "x"': True,
    "payload.x == 1 && payload.l[1] == 2 && payload.f > 1": True,
    "has(payload.x) && !has(payload.missing)": True,
    "!payload.no": True,
    "payload.z == null": True,
    'payload.l.exists(i, i == "s")': True,
    'params.l.all(i, i == "a")': False,
    "size(params.e) == 4 && size(params.l) == 2 && params.o.size() == 1.0": True,
    'payload.ref.startsWith("refs/") && payload.ref.endsWith("main") && payload.ref.contains("heads")': True,
    'payload.ref.matches("^refs/(heads|tags)/")': True,
    "string(params.n)": "1",
    'int("5")': 5,
    'double("1.5")': 1.5,
    "payload": _PAYLOAD,
}
_FAILING = {
    "payload.missing == 1": "Key not found",
    "outputs.a.changed": 'No value with name "outputs.a.changed"',
    'params.e == "prod" && outputs.a.changed': 'No value with name "outputs.a.changed"',
    "payload.l[9] == 1": "index",
    "payload.x && true": "&&",
    "payload ? true : false": "No matching",
    'int("x") == 1': "cannot convert",
}
_REFUSED = {
    "": (1, "empty"),
    'params.n == "a"': (10, "== does not go with number, string"),
    "params.e < 1": (10, "string, number"),
    "params.e == null": (10, "string, null"),
    'params.f == "a"': (1, 'unknown name "params.f", did you mean "params.'),
    "true && output.a.changed": (9, 'did you mean "outputs.a.changed"?'),
    "params": (1, 'unknown name "params"'),
    "x == 1": (1, 'unknown name "x"'),
    "params.n ? true : false": (10, "number"),
    "params.n + 1 == 2": (10, "do not calculate"),
    '"a" + "b" == "ab"': (5, "do not calculate"),
    "params.n - 1 == 2": (10, "do not calculate"),
    "-params.n == 2": (1, "do not calculate"),
    "payload.l.map(i, i) == [1]": (11, '"map" is no function'),
    "payload.l.filter(i, true) == [1]": (11, '"filter" is no function'),
    'timestamp("2020-01-01T00:00:00Z") == payload': (1, '"timestamp" is no function'),
    "type(payload) == 1": (1, "no function"),
    '{"a": 1} == payload': (1, "mappings"),
    "payload.l.all(payload, true)": (15, "a name already"),
    "matches(payload.ref, 'a')": (1, "a fixed one"),
    "payload.ref.matches(payload.ref)": (13, "a fixed one"),
    'payload.ref.matches("(")': (21, "no pattern of RE2"),
    "params.n = 1": (10, '"=="'),
    "params.b & true": (10, '"&&"'),
    '"abc': (1, "does not end"),
    '"""a"""': (1, "understood"),
    "b'a' == payload": (1, "unknown name"),
    "1u == payload": (1, "understood"),
    "true // ": (6, "calculate"),
    "(true": (6, "Syntax"),
    "has(params.n)": (5, "has()"),
    "params.e.foo": (9, "select"),
    "(" * 33 + "true" + ")" * 33: (33, "nested"),
    "9223372036854775808 == payload": (1, "invalid int"),
}


@pytest.mark.parametrize("source", _VALUES)
def test_value_of(source: str) -> None:
    assert compiled(source, _NAMES).value(_DATA) == _VALUES[source]
    assert type(compiled(source, _NAMES).value(_DATA)) is type(_VALUES[source])


@pytest.mark.parametrize("source", _FAILING)
def test_error_when_computed(source: str) -> None:
    with pytest.raises(ExpressionError, match=_FAILING[source].replace("(", "\\(")) as error:
        compiled(source, _NAMES).holds(_DATA)
    assert error.value.column is None


@pytest.mark.parametrize("source", _REFUSED)
def test_refused_with_the_column(source: str) -> None:
    column, text = _REFUSED[source]
    with pytest.raises(ExpressionError) as error:
        compiled(source, _NAMES)
    assert text in str(error.value)
    assert error.value.column == column


def test_only_true_and_false_hold() -> None:
    assert compiled("payload.l[4]", _NAMES).holds(_DATA)
    for source in ("payload.x", "payload.z", "params.e", "payload.l"):
        with pytest.raises(ExpressionError, match="neither true nor false"):
            compiled(source, _NAMES).holds(_DATA)


def test_an_expression_knows_its_kind_and_its_names() -> None:
    for source, kind in {
        "params.n": Kind.NUMBER,
        "params.n in [1]": Kind.BOOLEAN,
        "params.e": Kind.STRING,
        "params.l": Kind.LIST,
        "params.o": Kind.OBJECT,
        "payload.x": Kind.ANY,
        "size(payload)": Kind.NUMBER,
    }.items():
        assert compiled(source, _NAMES).kind is kind
    assert compiled('params.e == "a" && payload.params.n', _NAMES).names == {"params.e", "payload"}


_HOSTILE_DATA = {
    "l": list(range(9000)),
    "t": "a" * 500_000,
    "m": {str(number): [number] for number in range(5000)},
}


@pytest.mark.parametrize(
    "source",
    [
        "payload.l.all(a, payload.l.all(b, payload.l.all(c, true)))",
        "payload.l.all(a, payload.l == payload.l)",
        'payload.l.all(a, !payload.t.contains("aaaab"))',
        'payload.l.all(a, !payload.t.matches("(a*)*b"))',
        "payload.l.all(a, a in payload.l)",
        'payload.t.matches("(a|aa)+b")',
        "!" * 2000 + "true",
        "payload" + ".a" * 900,
        "payload" + "[0]" * 600,
        "true" + " ? true : true" * 120,
        "true" + " && true" * 200,
        '"' + "x" * 3000 + '"',
        "1" * 2000,
        "[" * 1000,
    ],
    ids=range(14),
)
def test_a_hostile_expression_ends_soon(source: str) -> None:
    before = time.process_time()
    with suppress(ExpressionError):
        compiled(source, _NAMES).value({"payload": _HOSTILE_DATA})
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    "payload", [2**70, "\ud800", float("nan"), object(), {1: 2}, {"a": b"x"}], ids=range(6)
)
def test_a_strange_value_is_an_error_or_false(payload: Any) -> None:
    with suppress(ExpressionError):
        assert compiled("payload == 1", _NAMES).holds({"payload": payload}) is False


def test_values_nested_beyond_all_measure_are_refused() -> None:
    payload: list[Any] = []
    for _ in range(100_000):
        payload = [payload]
    with pytest.raises(ExpressionError, match="nested deeper"):
        compiled("payload == 1", _NAMES).holds({"payload": payload})


def test_patterns_are_whole_or_found() -> None:
    assert patterns.whole("a+", "aaa")
    assert not patterns.whole("a+", "aab")
    assert patterns.found("v([0-9.]+)(x)?", "Alpine v3.18") == ("v3.18", "3.18", "")
    assert patterns.found("z", "a") is None
    with pytest.raises(ValueError, match="no pattern of RE2: invalid perl operator"):
        patterns.check("(?<=a)b")
    with pytest.raises(ValueError, match="at most"):
        patterns.check("a" * 2000)


@pytest.mark.parametrize("value", ["a\0b", ["a\0b"], {"k": {"a\0": 1}}, {"k": ["\0"]}])
def test_a_text_with_a_zero_byte_is_an_error_and_not_what_is_before_it(value):
    with pytest.raises(ExpressionError, match="a text has a zero byte"):
        compiled('payload == "a" || true', {"payload": Kind.ANY}).holds({"payload": value})
