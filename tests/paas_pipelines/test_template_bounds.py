"""Whatever the text and whatever the variables: it is rendered or refused, soon, and in little memory."""

import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_pipelines.template.evaluation import Template
from paas_pipelines.template.strings import TemplateError

from tests.support.often import often

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters() | st.sampled_from("{}\ud800%"), max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)
WORDS = st.sampled_from(
    [
        *("{{", "}}", "{{-", "-}}", "{{/*", "*/}}", "(", ")", "|", ",", ".", ".a", ".b.c", "$", "$x", "$x:="),
        *(
            "$x=",
            ":=",
            "=",
            "if",
            "else",
            "end",
            "range",
            "with",
            "break",
            "continue",
            "nil",
            "true",
            "false",
        ),
        *(
            "and",
            "or",
            "not",
            "eq",
            "lt",
            "index",
            "slice",
            "len",
            "print",
            "printf",
            "html",
            "js",
            "urlquery",
        ),
        *(
            "default",
            "template",
            "call",
            "1",
            "-1",
            "0x1F",
            "1e3",
            ".5",
            "'a'",
            "'\\n'",
            '"\\"%d%s%v"',
            "#",
            "\n",
        ),
        *("`%q%x%[1]d%*d%1000000000d`", "é", "\0", "__class__", ".__class__", ".real"),
    ]
)
TEXTS = st.lists(WORDS | st.text(max_size=4), max_size=24).flatmap(
    lambda words: st.sampled_from([" ".join(words), "".join(words), "{{" + " ".join(words) + "}}"])
)


@settings(max_examples=often(300), deadline=None)
@given(TEXTS, st.dictionaries(st.sampled_from("abc"), VALUES))
def test_any_text_is_rendered_or_refused(text, variables):
    try:
        rendered = Template.parse(text).render(variables)
    except TemplateError as wrong:
        rendered = str(wrong)
    assert rendered.encode() is not None


@settings(max_examples=often(200), deadline=None)
@given(st.text(st.characters(codec="utf-8")).filter(lambda text: "{{" not in text))
def test_text_without_braces_is_unchanged(text):
    assert Template.parse(text).render({"a": 1}) == text


@settings(max_examples=often(200), deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8")) | WORDS).map("".join))
def test_values_are_never_rendered(value):
    """Not P060, by decision: what is in a value is not interpreted."""
    assert Template.parse("<{{.a}}>").render({"a": value, "b": "secret"}) == f"<{value}>"
    assert Template.parse("{{range .}}<{{.}}>{{end}}").render({"a": value}) == f"<{value}>"


def test_halves_of_characters_become_whole_ones():
    text = "\ud800{{range $k, $v := .}}{{$k}}{{$v}}{{end}}{{.}}"
    assert Template.parse(text).render({"\ud800": "\udc80"}) == "\ufffd" * 3 + "map[\ufffd:\ufffd]"


def test_a_value_that_looks_like_a_template_is_literal():
    assert Template.parse("echo {{.a}}").render({"a": "{{ .b }}", "b": "secret"}) == "echo {{ .b }}"


@pytest.mark.parametrize(
    "text",
    ["{{.__class__}}", "{{.a.__class__}}", "{{.a.real}}", "{{.b.keys}}", "{{.c.append}}", "{{$.items}}"],
)
def test_attributes_of_values_cannot_be_reached(text):
    with pytest.raises(TemplateError):
        Template.parse(text).render({"a": 1, "b": {"x": 1}, "c": []})


def nested(depth, wrap):
    value = 1
    for _ in range(depth):
        value = wrap(value)
    return value


BOMBS = [
    ("{{printf `%999999d%999999d` 1 1}}", {}),
    ("{{printf `%.999999f%.999999f` 1.0 1.0}}", {}),
    ("{{printf .p .n}}", {"p": "%999999v" * 1000, "n": 1}),
    ("{{range .a}}{{range $.a}}{{range $.a}}{{end}}{{end}}{{end}}", {"a": [0] * 10_000}),
    ("{{range 1000000000}}{{end}}", {}),
    ("{{range .a}}{{printf `%.999999g` 0.1}}{{end}}", {"a": [0] * 10_000}),
    ("{{$x := `xx`}}{{range .a}}{{$x = print $x $x}}{{end}}", {"a": [0] * 100}),
    (
        "{{range .a}}{{len $.s}}{{eq $.s $.t}}{{end}}",
        {"a": [0] * 50_000, "s": "x" * 900_000, "t": "x" * 900_000},
    ),
    ("{{range .a}}{{$.s}}{{end}}", {"a": [0] * 10, "s": "x" * 900_000}),
    ("{{.a}}", {"a": nested(300, lambda value: [value])}),
    ("{{printf `%d` .a}}", {"a": nested(300, lambda value: {"a": value})}),
    ("{{eq .a .a}}", {"a": nested(300, lambda value: [value])}),
    ("{{range .a}}{{end}}", {"a": "x" * 1_000_000}),
    ("{{.a}}", {"a": [[0] * 1000] * 1000}),
]


@pytest.mark.parametrize(("text", "variables"), BOMBS)
def test_a_bomb_does_not_go_off(text, variables):
    template = Template.parse(text)
    before = time.process_time()
    with pytest.raises(TemplateError):
        template.render(variables)
    seconds = time.process_time() - before
    assert seconds < 20  # about one, of a core that nobody else uses


@pytest.mark.parametrize(("text", "variables"), BOMBS[:3])
def test_a_bomb_takes_little_memory(text, variables):
    template = Template.parse(text)
    tracemalloc.start()
    with pytest.raises(TemplateError):
        template.render(variables)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 32_000_000


def test_the_message_of_a_bound_says_where():
    with pytest.raises(TemplateError) as raised:
        Template.parse("x\n{{.a}}{{.a}}").render({"a": "x" * 600_000})
    assert str(raised.value) == (
        'template: interpolate:2:8: executing "interpolate" at <.a>: text is longer than 1000000 characters'
    )


def test_a_million_characters_may_be_rendered():
    assert len(Template.parse("{{.a}}{{.a}}").render({"a": "ä" * 500_000})) == 1_000_000
