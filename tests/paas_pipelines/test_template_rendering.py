"""Templates render as Go's text/template does (P057); the cases are facts of its own tables of tests."""

import pytest
from paas_pipelines.template.evaluation import Template
from paas_pipelines.template.strings import TemplateError

VARIABLES = {
    "true": True,
    "I": 17,
    "X": "x",
    "zero": 0,
    "U": {"V": "v"},
    "SI": [3, 4, 5],
    "none": [],
    "SB": [True, False],
    "MSI": {"two": 2, "one": 1, "three": 3},
    "one": {"one": 1},
    "empty": {},
    "nested": [{"one": 1, "two": 2}, {"eleven": 11, "twelve": 12}],
    "nil": None,
    "word": "日本",
}

RENDERED = [
    ("", ""),
    ("some text", "some text"),
    ("a } b }} c { d", "a } b }} c { d"),
    # fields
    ("-{{.X}}-", "-x-"),
    ("-{{ .U.V }}-", "-v-"),
    ("{{.MSI.one}}{{.MSI.two}}", "12"),
    ("<{{.SI}}>", "<[3 4 5]>"),
    ("<{{.U}}>", "<map[V:v]>"),
    ("<{{.SB}} {{.true}}>", "<[true false] true>"),
    ("{{.nil}}", "<no value>"),
    ("{{.word}}", "日本"),
    # the dollar and variables
    ("{{$.I}}", "17"),
    ("{{$.U.V}}", "v"),
    ("{{$x := $.U.V}}{{$x}}", "v"),
    ("{{$x := .U}}{{$x.V}}", "v"),
    ("{{$x := 1}}{{$x = 2}}{{$x}}", "2"),
    ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
    ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
    ("{{ $x \n := \n 1 \n }}{{$x}}", "1"),
    # pipelines and parentheses
    ("{{.X | printf `%s-%s` `a`}}", "a-x"),
    ('{{"output" | printf "%s" | printf "%q"}}', '"output"'),
    ('{{\n"x"\n|\nprintf\n}}', "x"),
    ("{{printf `%d %d %s` (1) (len .SI) (printf `%s` .X)}}", "1 3 x"),
    ("{{($).X}}", "x"),
    ("{{(.U).V}}", "v"),
    ("{{(index .nested 1).eleven}}", "11"),
    ("{{print (.U).V}}", "v"),
    # if
    ("{{if true}}TRUE{{end}}", "TRUE"),
    ("{{if false}}TRUE{{else}}FALSE{{end}}", "FALSE"),
    ("{{if 1}}NON-ZERO{{else}}ZERO{{end}}", "NON-ZERO"),
    ("{{if 0}}NON-ZERO{{else}}ZERO{{end}}", "ZERO"),
    ("{{if 1.5}}NON-ZERO{{else}}ZERO{{end}}", "NON-ZERO"),
    ("{{if .zero}}NON-ZERO{{else}}ZERO{{end}}", "ZERO"),
    ("{{if ``}}NON-EMPTY{{else}}EMPTY{{end}}", "EMPTY"),
    ("{{if `notempty`}}NON-EMPTY{{else}}EMPTY{{end}}", "NON-EMPTY"),
    ("{{if .none}}NON-EMPTY{{else}}EMPTY{{end}}", "EMPTY"),
    ("{{if .SI}}NON-EMPTY{{else}}EMPTY{{end}}", "NON-EMPTY"),
    ("{{if .empty}}NON-EMPTY{{else}}EMPTY{{end}}", "EMPTY"),
    ("{{if .MSI}}NON-EMPTY{{else}}EMPTY{{end}}", "NON-EMPTY"),
    ("{{if .nil}}NON-NIL{{else}}NIL{{end}}", "NIL"),
    ("{{if $x := true}}{{with $y := .I}}{{$x}},{{$y}}{{end}}{{end}}", "true,17"),
    ("{{if $x := true}}{{with $x := .I}}{{$x}},{{end}}{{$x}}{{end}}", "17,true"),
    ("{{if false}}FALSE{{else if true}}TRUE{{end}}", "TRUE"),
    ("{{if eq 1 3}}1{{else if eq 2 3}}2{{else if eq 3 3}}3{{end}}", "3"),
    ("{{if false}}1{{else if false}}2{{else}}3{{end}}", "3"),
    ("{{if $x := ``}}1{{else if $y := `y`}}{{$x}}{{$y}}{{end}}", "y"),
    # with
    ("{{with true}}{{.}}{{end}}", "true"),
    ("{{with false}}{{.}}{{else}}FALSE{{end}}", "FALSE"),
    ("{{with 1.5}}{{.}}{{else}}ZERO{{end}}", "1.5"),
    ("{{with .SI}}{{.}}{{else}}EMPTY{{end}}", "[3 4 5]"),
    ("{{with .one}}{{.}}{{else}}EMPTY{{end}}", "map[one:1]"),
    ("{{with .U}}{{.V}}{{end}}", "v"),
    ("{{with $x := $}}{{$y := $.U.V}}{{$y}}{{end}}", "v"),
    ("{{with .none}}1{{else with .U}}{{.V}}{{end}}", "v"),
    ("{{with .none}}1{{else with .empty}}2{{else}}3{{end}}", "3"),
    # range
    ("{{range .SI}}-{{.}}-{{end}}", "-3--4--5-"),
    ("{{range .none}}-{{.}}-{{end}}", ""),
    ("{{range .SI}}-{{.}}-{{else}}EMPTY{{end}}", "-3--4--5-"),
    ("{{range .none}}-{{.}}-{{else}}EMPTY{{end}}", "EMPTY"),
    ("{{range .SB}}-{{.}}-{{end}}", "-true--false-"),
    ("{{range .MSI}}-{{.}}-{{end}}", "-1--3--2-"),
    ("{{range .empty}}-{{.}}-{{else}}EMPTY{{end}}", "EMPTY"),
    ("{{range .nil}}-{{.}}-{{else}}EMPTY{{end}}", "EMPTY"),
    ("{{range $x := .SI}}<{{$x}}>{{end}}", "<3><4><5>"),
    ("{{range $x, $y := .SI}}<{{$x}}={{$y}}>{{end}}", "<0=3><1=4><2=5>"),
    ("{{range $x, $y := .MSI}}<{{$x}}={{$y}}>{{end}}", "<one=1><three=3><two=2>"),
    ("{{range $x := .SI}}<{{$foo:=$x}}{{$foo}}>{{end}}", "<3><4><5>"),
    ("{{$x := 0}}{{range $x = .SI}}{{end}}{{$x}}", "5"),
    ("{{$i := 0}}{{$x := 0}}{{range $i, $x = .SI}}{{end}}{{$i}}{{$x}}", "25"),
    ("{{range .SI}}{{.}}{{break}}{{end}}", "3"),
    ("{{range .SI}}{{if eq . 4.0}}{{continue}}{{end}}{{.}}{{end}}", "35"),
    ("{{range .SI}}{{if eq . 4.0}}{{break}}{{end}}{{.}}{{end}}", "3"),
    ("{{range .SI}}{{range $.SB}}{{break}}{{end}}{{.}}{{end}}", "345"),
    ("{{range 3}}{{.}}{{end}}", "012"),
    ("{{range $i := 3}}{{$i}}{{end}}", "012"),
    ("{{range 0}}{{else}}EMPTY{{end}}", "EMPTY"),
    # constants
    ("{{3}} {{-73}} {{+73}} {{7_3}} {{0b10_010_01}} {{073}} {{0o73}} {{0x7_3}}", "3 -73 73 73 73 59 59 115"),
    ("{{1e3}} {{1.5}} {{.5}} {{-1.2}} {{1E19}}", "1000 1.5 0.5 -1.2 1e+19"),
    (r'{{"a\tb\"\x41\u65e5\101"}}', 'a\tb"A日A'),
    ("{{`raw \\n`}}", "raw \\n"),
    ("{{true}} {{false}}", "true false"),
    ("{{printf `%T %T %T` 0xef 1.0 1e1}}", "int float64 float64"),
    # trimming and comments
    ("x \r\n\t{{- 3}}", "x3"),
    ("{{3 -}}\n\n\ty", "3y"),
    ("x \r\n\t{{- 3 -}}\n\n\ty", "x3y"),
    ("x\n{{-  3   -}}\ny", "x3y"),
    ("{{/*\n\n*/}}", ""),
    ("x \r\n\t{{- /* hi */}}", "x"),
    ("{{/* hi */ -}}\n\n\ty", "y"),
    ("x \r\n\t{{- /* */ -}}\n\n\ty", "xy"),
    ("{{-\n/*\nhello\n*/\n-}}", ""),
]


@pytest.mark.parametrize(("text", "rendered"), RENDERED)
def test_it_renders_as_go_does(text, rendered):
    assert Template.parse(text).render(VARIABLES) == rendered


MISTAKES = [
    ("{{nil}}", "1:2", "nil", "nil is not a command"),
    ("{{if nil}}T{{end}}", "1:5", "nil", "nil is not a command"),
    ("{{.NO}}", "1:2", ".NO", 'map has no entry for key "NO"'),
    ("{{ .NO }}", "1:3", ".NO", 'map has no entry for key "NO"'),
    ("one\nä {{ .NO }}", "2:6", ".NO", 'map has no entry for key "NO"'),
    ("{{.U.NO}}", "1:4", ".U.NO", 'map has no entry for key "NO"'),
    ("{{.X.Y}}", "1:4", ".X.Y", "can't evaluate field Y in type string"),
    ("{{$x := .X}}{{$x.Y}}", "1:16", "$x.Y", "can't evaluate field Y in type string"),
    ("{{(1.0).any}}", "1:3", "1.0", "can't evaluate field any in type float64"),
    ("{{.nil.x}}", "1:6", ".nil.x", 'nil data; no entry for key "x"'),
    ("{{$x := .nil}}{{$x.x}}", "1:18", "$x.x", 'nil data; no entry for key "x"'),
    ("{{.MSI.one 1}}", "1:6", ".MSI.one", "can't give argument to non-function .MSI.one"),
    ("{{3 2}}", "1:2", "3", "can't give argument to non-function 3"),
    ("{{$x := 1}}{{$x 2}}", "1:13", "$x", "can't give argument to non-function $x"),
    ("{{$x := 1}}{{3 | $x}}", "1:17", "$x", "can't give argument to non-function $x"),
    ("{{range .X}}{{end}}", "1:8", ".X", "range can't iterate over string"),
    ("{{range .I}}{{end}}", "1:8", ".I", "range can't iterate over float64"),
    ("{{range $i, $x := 3}}{{end}}", "1:18", "3", "can't use 3 to iterate over more than one variable"),
    ("{{range $x = .SI}}{{end}}", "1:13", ".SI", "undefined variable: $x"),
    ("{{index .SI 10}}", "1:2", "index .SI 10", "error calling index: index out of range: 10"),
    ("{{len 3}}", "1:2", "len 3", "error calling len: len of type int"),
    ("{{not}}", "1:2", "not", "wrong number of args for not: want 1 got 0"),
    ("{{true|printf}}", "1:7", "printf", "error calling printf: expected string; got bool"),
    ("{{printf 3}}", "1:2", "printf 3", "error calling printf: expected string; got int"),
    ("{{printf .I}}", "1:2", "printf .I", "error calling printf: expected string; got float64"),
    ("{{printf nil}}", "1:2", "printf nil", "error calling printf: expected string; got nil"),
    ("{{with .U}}{{.NO}}{{end}}", "1:13", ".NO", 'map has no entry for key "NO"'),
]


@pytest.mark.parametrize(("text", "where", "context", "told"), MISTAKES)
def test_what_cannot_be_rendered_is_told_in_gos_words(text, where, context, told):
    """P058: also that a variable is missing."""
    template = Template.parse(text)
    with pytest.raises(TemplateError) as raised:
        template.render(VARIABLES)
    assert (
        str(raised.value) == f'template: interpolate:{where}: executing "interpolate" at <{context}>: {told}'
    )


def test_a_template_is_rendered_any_number_of_times():
    template = Template.parse("{{$x := .x}}{{$x}}")
    assert [template.render({"x": value}) for value in (1, "b", [])] == ["1", "b", "[]"]
