"""What is no template is refused, in Go's words; what is not offered, too."""

import pytest
from paas_pipelines.template.evaluation import Template
from paas_pipelines.template.strings import TemplateError

REFUSED = [
    ("hello{{range", "1: unclosed action"),
    ("{{end}}", "1: unexpected {{end}}"),
    ("{{else}}", "1: unexpected {{else}}"),
    ("{{if .X}}hello{{end}}{{else}}", "1: unexpected {{else}}"),
    ("{{if .X}}1{{else}}2{{else}}3{{end}}", "1: expected end; found {{else}}"),
    ("hello{{range .x}}", "1: unexpected EOF"),
    ("hello{{range .x}}{{else}}", "1: unexpected EOF"),
    ("hello{{undefined}}", '1: function "undefined" not defined'),
    ("line1\n{{\nx\n}}", '3: function "x" not defined'),
    ("{{$x}}", '1: undefined variable "$x"'),
    ("{{with $x := 4}}{{end}}{{$x}}", '1: undefined variable "$x"'),
    ("{{$x := 23}}{{with $x.y := 3}}{{$x 23}}{{end}}", '1: unexpected ":=" in operand'),
    ("{{printf 3, 4}}", '1: unexpected "," in operand'),
    ("{{with $v, $u := 3}}{{end}}", "1: too many declarations in with"),
    ("{{$a,$b,$c := 23}}", "1: too many declarations in command"),
    ("{{range $u, $v, $w := 3}}{{end}}", "1: too many declarations in range"),
    ("{{range $k}}{{end}}", '1: undefined variable "$k"'),
    ("{{range $k, $v}}{{end}}", '1: undefined variable "$v"'),
    ("{{range $k,}}{{end}}", "1: missing value for range"),
    ("{{range $k, $v := }}{{end}}", "1: missing value for range"),
    ("{{range $k, .}}{{end}}", "1: range can only initialize variables"),
    ("{{range $k, 123 := .}}{{end}}", "1: range can only initialize variables"),
    ("{{range $x := $y := 3}}{{end}}", '1: undefined variable "$y"'),
    ("{{printf (printf .).}}", '1: unexpected "." in operand'),
    ("{{printf 3`x`}}", '1: unexpected "`x`" in operand'),
    ("{{printf `x`.}}", '1: unexpected "." in operand'),
    ("{{`x`3}}", '1: unexpected "3" in operand'),
    ("{{range .}}{{end}} {{break}}", "1: {{break}} outside {{range}}"),
    ("{{range .}}{{end}} {{continue}}", "1: {{continue}} outside {{range}}"),
    ("{{range .}}{{else}}{{break}}{{end}}", "1: {{break}} outside {{range}}"),
    ("{{range .X}}{{break 20}}{{end}}", '1: unexpected "20" in {{break}}'),
    ("{{$x := 0}}{{$x += 1}}{{$x}}", '1: illegal number syntax: "+"'),
    ("{{$x := 0}}{{$x ! 2}}{{$x}}", '1: unexpected "!" in operand'),
    ("{{$x := 0}}{{$x % 3}}{{$x}}", '1: unexpected "%" in operand'),
    ("{{$x:=.}}{{$x!2}}", "1: bad character U+0021 '!'"),
    ("{{$x:=.}}{{$x+2}}", "1: bad character U+002B '+'"),
    ("{{a#}}", "1: bad character U+0023 '#'"),
    ("{{1.E}}", '1: illegal number syntax: "1.E"'),
    ("{{true.E}}", '1: unexpected . after term "true"'),
    ('{{"hello".guys}}', '1: unexpected . after term "\\"hello\\""'),
    ("{{..E}}", '1: unexpected . after term "."'),
    ("{{nil.E}}", '1: unexpected . after term "nil"'),
    ("{{12|.}}", "1: non executable command in pipeline stage 2"),
    ("{{.|12|printf}}", "1: non executable command in pipeline stage 2"),
    ('{{.|printf|"error"}}', "1: non executable command in pipeline stage 3"),
    ("{{.|true}}", "1: non executable command in pipeline stage 2"),
    ("{{1|nil}}", "1: non executable command in pipeline stage 2"),
    ('{{printf "%d" ( ) }}', "1: missing value for parenthesized pipeline"),
    ("{{}}", "1: missing value for command"),
    ("{{\n}}", "2: missing value for command"),
    ("line1\n{{", "2: unclosed action"),
    ('line1\n{{"x"\n"y"\n', "2: unclosed action"),
    ("{{\n\n\n\n\n", "1: unclosed action"),
    ("{{/*}}", "1: unclosed comment"),
    ("{{/*\nhello\n}}", "1: unclosed comment"),
    ("{{/* a */ b}}", "1: unclosed comment"),
    ("{{.X (1 2 3}}", "1: unclosed left paren"),
    ("{{.X 1 2 3 ) }}", "1: unexpected right paren"),
    ('{{"a}}', "1: unterminated quoted string"),
    ('{{"\\q"}}', "1: invalid syntax"),
    ("hello\n\n{{`unterminated\n\n}}", "3: unterminated raw quoted string"),
    ("{{0xi}}", '1: illegal number syntax: "0xi"'),
    ("{{0x123.}}", '1: illegal number syntax: "0x123."'),
    ("{{1e}}", '1: illegal number syntax: "1e"'),
    ("{{-}}", '1: illegal number syntax: "-"'),
    ("{{089}}", '1: illegal number syntax: "089"'),
    ("{{99999999999999999999}}", '1: illegal number syntax: "99999999999999999999"'),
    ("{{1e999}}", '1: illegal number syntax: "1e999"'),
    ("{{ \x01 }}", "1: unrecognized character in action: U+0001"),
    ("{{:}}", "1: expected :="),
    ("{{(1}}", "1: unclosed left paren"),
    ("{{if}}{{end}}", "1: missing value for if"),
    ("{{if .x}}{{else range .y}}{{end}}", '1: unexpected "range" in else'),
    ("{{range .x}}{{else if .y}}{{end}}", '1: unexpected "if" in else'),
    # not offered
    ('{{template "x"}}', "1: {{template}} is not offered: a script is one template, without others"),
    ('{{define "x"}}{{end}}', "1: {{define}} is not offered: a script is one template, without others"),
    ('{{block "x" .}}{{end}}', "1: {{block}} is not offered: a script is one template, without others"),
    ("{{call .X}}", '1: function "call" is not offered'),
    ("{{html .X}}", '1: function "html" is not offered'),
    ("{{.X | js}}", '1: function "js" is not offered'),
    ("{{urlquery .X}}", '1: function "urlquery" is not offered'),
    ("{{'a'}}", "1: a character constant is not offered: text stands in double quotes"),
    ("{{0x_1p4}}", '1: illegal number syntax: "0x_1p4"'),
    (r'{{"\xff"}}', "1: invalid syntax"),
    (r'{{"\ud800"}}', "1: invalid syntax"),
    (r'{{"\U00110000"}}', "1: invalid syntax"),
    ("{{4i}}", '1: illegal number syntax: "4i"'),
    ("{{1+2i}}", '1: illegal number syntax: "1+2i"'),
]


@pytest.mark.parametrize(("text", "told"), REFUSED)
def test_what_is_no_template_is_refused_in_gos_words(text, told):
    with pytest.raises(TemplateError) as raised:
        Template.parse(text)
    assert str(raised.value) == f"template: interpolate:{told}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{if true}}" * 200 + "{{end}}" * 200, "max control structure depth exceeded"),
        ("{{" + "(" * 200 + "1" + ")" * 200 + "}}", "max expression depth exceeded"),
        (
            "{{if true}}" * 50 + "{{" + "(" * 60 + "1" + ")" * 60 + "}}" + "{{end}}" * 50,
            "max expression depth",
        ),
    ],
)
def test_what_is_nested_too_deep_is_refused(text, told):
    with pytest.raises(TemplateError, match=told):
        Template.parse(text)


def test_what_is_nested_as_deep_as_may_be_is_rendered():
    assert Template.parse("{{" + "(" * 100 + "1" + ")" * 100 + "}}").render({}) == "1"
    value = "v"
    for _ in range(100):
        value = {"x": value}
    assert Template.parse("{{with .x}}" * 100 + "{{.}}" + "{{end}}" * 100).render(value) == "v"


def test_a_chain_of_else_if_is_not_nested():
    text = "{{if false}}" + "{{else if false}}" * 1000 + "{{else}}x{{end}}"
    assert Template.parse(text).render({}) == "x"
