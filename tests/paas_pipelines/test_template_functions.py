"""The functions that templates have are Go's, and `default` (P059)."""

import pytest
from paas_pipelines.template.evaluation import Template
from paas_pipelines.template.strings import TemplateError

VARIABLES = {
    "list": [0, 1, 2, 3],
    "map": {"one": 1, "two": 2},
    "maps": [{"one": 1}, {"eleven": 11}],
    "text": "abc",
    "nil": None,
    "one": 1,
    "zero": 0,
    "empty": "",
    "no": False,
    "none": [],
    "word": "日本",
}

RENDERED = [
    ("print `hello, print`", "hello, print"),
    ("print 1 2 3", "1 2 3"),
    ("print `a` 1 2 `b` `c` 3", "a1 2b c3".replace("b c", "bc")),
    ("print nil", "<nil>"),
    ("print .nil .one", "<nil> 1"),
    ("println 1 `a`", "1 a\n"),
    ("not true", "false"),
    ("not .nil", "true"),
    ("and false 0", "false"),
    ("and 1 0", "0"),
    ("and 1 1 `x`", "x"),
    ("or 0 0", "0"),
    ("or 0 true", "true"),
    ("or .none `empty`", "empty"),
    ("1 | and 0", "0"),
    ("2 | and 1", "2"),
    ("and .nil .text.what", "<no value>"),
    ("or 1 .missing", "1"),
    ("index .list 2", "2"),
    ("index .map `two`", "2"),
    ("index .map `XXX`", "<no value>"),
    ("index .maps 1 `eleven`", "11"),
    ("index .text 0", "97"),
    ("eq (index .text 0) 97", "true"),
    ("slice .list", "[0 1 2 3]"),
    ("slice .list 1", "[1 2 3]"),
    ("slice .list 1 3", "[1 2]"),
    ("slice .text 1 2", "b"),
    ("slice .word 3 6", "本"),
    ("slice .word 0 1", "\ufffd"),
    ("len .list", "4"),
    ("len .map", "2"),
    ("len .word", "6"),
    # comparisons
    ("eq true true", "true"),
    ("eq 1.5 2.5", "false"),
    ("eq .one 1.0", "true"),
    ("eq `xy` `xyz`", "false"),
    ("eq 3 4 5 6 3", "true"),
    ("eq 3 4 5 6 7", "false"),
    ("eq .nil nil", "true"),
    ("eq .text nil", "false"),
    ("ne 1 2", "true"),
    ("ne `xy` `xy`", "false"),
    ("lt 1 2", "true"),
    ("lt 1 1", "false"),
    ("lt `xy` `xyz`", "true"),
    ("le 1.5 1.5", "true"),
    ("le 2 1", "false"),
    ("gt 2 1", "true"),
    ("gt `xy` `xyz`", "false"),
    ("ge 1 1", "true"),
    ("ge 1 2", "false"),
    # default
    ("default `x` .text", "abc"),
    ("default `x` .empty", "x"),
    ("default `x` .no", "x"),
    ("default `x` .none", "x"),
    ("default `x` .zero", "0"),
    ("default `x` .nil", "x"),
    ("default 7 0", "0"),
    (".empty | default `x`", "x"),
]


@pytest.mark.parametrize(("expression", "rendered"), RENDERED)
def test_functions_are_gos(expression, rendered):
    assert Template.parse("{{" + expression + "}}").render(VARIABLES) == rendered


WRONG = [
    ("default `x` .missing", 'map has no entry for key "missing"'),
    ("default `x`", "wrong number of args for default: want 2 got 1"),
    ("index .list `hello`", "error calling index: cannot index slice/array with type string"),
    ("index .list nil", "error calling index: cannot index slice/array with type nil"),
    ("index .list .one", "error calling index: cannot index slice/array with type float64"),
    ("index .list -1", "error calling index: index out of range: -1"),
    ("index .list 4", "error calling index: index out of range: 4"),
    ("index .map 10", "error calling index: value has type int; should be string"),
    ("index .map nil", "error calling index: value has type nil; should be string"),
    ("index nil 1", "error calling index: can't index item of type nil"),
    ("index .nil 1", "error calling index: can't index item of type nil"),
    ("index .map `no` 1", "error calling index: can't index item of type nil"),
    ("index .one 1", "error calling index: can't index item of type float64"),
    ("index", "wrong number of args for index: want at least 1 got 0"),
    ("slice nil", "error calling slice: can't slice item of type nil"),
    ("slice .list 1 2 3", "error calling slice: too many slice indexes: 3"),
    ("slice .list 3 2", "error calling slice: invalid slice index: 3 > 2"),
    ("slice .list 5", "error calling slice: index out of range: 5"),
    ("slice .map 1", "error calling slice: can't slice item of type map[string]interface {}"),
    ("len .one", "error calling len: len of type float64"),
    ("len .nil", "error calling len: len of type nil"),
    ("eq `xy` 1", "error calling eq: incompatible types for comparison: string and int"),
    ("eq 2 2.0", "error calling eq: incompatible types for comparison: int and float64"),
    ("eq .one 1", "error calling eq: incompatible types for comparison: float64 and int"),
    (
        "eq .map .text",
        "error calling eq: incompatible types for comparison: map[string]interface {} and string",
    ),
    ("eq .list .list", "error calling eq: non-comparable type []interface {}"),
    ("eq 1", "error calling eq: missing argument for comparison"),
    ("ne 1", "wrong number of args for ne: want 2 got 1"),
    ("lt true true", "error calling lt: invalid type for comparison"),
    ("lt .list 1", "error calling lt: invalid type for comparison"),
    ("lt 1 `x`", "error calling lt: incompatible types for comparison: int and string"),
    ("printf `%[1]d` 1", "error calling printf: %[ is not offered"),
    ("and", "wrong number of args for and: want at least 1 got 0"),
]


@pytest.mark.parametrize(("expression", "told"), WRONG)
def test_wrong_arguments_are_told_in_gos_words(expression, told):
    with pytest.raises(TemplateError) as raised:
        Template.parse("{{" + expression + "}}").render(VARIABLES)
    assert str(raised.value).endswith(f">: {told}")
