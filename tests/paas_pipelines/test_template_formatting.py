"""Values are printed as Go's fmt does; the cases are facts of its own table of tests."""

import math

import pytest
from paas_pipelines.template.evaluation import Template
from paas_pipelines.template.strings import TemplateError

PLAIN = [
    (3, "3"),
    (1000000, "1e+06"),
    (999999, "999999"),
    (1234567, "1.234567e+06"),
    (100000.5, "100000.5"),
    (0.1, "0.1"),
    (0.0001, "0.0001"),
    (0.00001, "1e-05"),
    (-0.0, "-0"),
    (-7, "-7"),
    (1234.5678e3, "1.2345678e+06"),
    (1e21, "1e+21"),
    (1e100, "1e+100"),
    (5e-324, "5e-324"),
    (10**400, "+Inf"),
    (-(10**400), "-Inf"),
    (math.nan, "NaN"),
    (True, "true"),
    (None, "<no value>"),
    ("<&{{", "<&{{"),
    ("half \ud800", "half \ufffd"),
    ([], "[]"),
    ({}, "map[]"),
    ([1, "a", None, True, [2], {"b": 1e6}], "[1 a <nil> true [2] map[b:1e+06]]"),
    ({"b": 2, "a": {"c": []}}, "map[a:map[c:[]] b:2]"),
]


@pytest.mark.parametrize(("value", "printed"), PLAIN)
def test_variables_are_printed_as_go_prints_json(value, printed):
    assert Template.parse("{{.x}}").render({"x": value}) == printed


VERBS = [
    ("%s", "abc", "abc"),
    ("%5s|%-5s|%05s", ("abc", "abc", "abc"), "  abc|abc  |00abc"),
    ("%.5s", "日本語日本語", "日本語日本"),
    ("%2s", "☺", " ☺"),
    ("%x|%8x", ("xyz",) * 2, "78797a|  78797a"),
    ("%.1x", "日本語", "e6"),
    ("%q", '"\n\a☺\x00', '"\\"\\n\\a☺\\x00"'),
    ("%010q", "⌘", '0000000"⌘"'),
    ("%.3q", "日本語日本語", '"日本語"'),
    ("%t|%6t|%v", (True, False, True), "true| false|true"),
    ("%v|%10v|%s|%d", (None, None, None, None), "<nil>|     <nil>|%!s(<nil>)|%!d(<nil>)"),
    # JSON's numbers are float64
    ("%d", 3, "%!d(float64=3)"),
    ("%5d", 3, "%!d(float64=    3)"),
    ("%s", 1e6, "%!s(float64=1e+06)"),
    ("%v|%g", (1e6, 1e6), "1e+06|1e+06"),
    ("%e|%e", (1234.5678e3, -7), "1.234568e+06|-7.000000e+00"),
    ("%f|%f|%.1f|%.f", (1234.5678e-8, 1, 0.25, 2.5), "0.000012|1.000000|0.2|2"),
    ("%.3g|%.3g|%.10g", (1, 100, 100000), "1|100|100000"),
    ("%+07.2f|%+07.2f|%-07.2f|", (1, -1, 1), "+001.00|-001.00|1.00   |"),
    ("%+10.2f|%.3e", (1, 1), "     +1.00|1.000e+00"),
    ("%+v|%+g", (1, 1), "1|+1"),
    (
        "%020f|%20f|%+f|%05v",
        (math.inf, -math.inf, math.nan, math.nan),
        " " * 16 + "+Inf|" + " " * 16 + "-Inf|+NaN|  NaN",
    ),
    # what is in collections
    ("%s|%d", ([1, "a"], [1, "a"]), "[%!s(float64=1) a]|[%!d(float64=1) %!d(string=a)]"),
    ("%q|%x", (["a", None], {"k": "hi"}), '["a" <nil>]|map[6b:6869]'),
    ("%5.1f", [1, 2.25], "[  1.0   2.2]"),
    (
        "%T %T %T %T %T %T",
        (1, "a", True, [1], {}, None),
        "float64 string bool []interface {} map[string]interface {} <nil>",
    ),
    # mistakes
    ("%", (), "%!(NOVERB)"),
    ("%d%%", (), "%!d(MISSING)%"),
    ("hi%d", (), "hi%!d(MISSING)"),
    ("%!", 1, "%!!(float64=1)"),
    ("%z", "x", "%!z(string=x)"),
    ("x", (1, "a", None), "x%!(EXTRA float64=1, string=a, <nil>)"),
    ("%1000000000d", 3, "%!(NOVERB)%!(EXTRA float64=3)"),
]


@pytest.mark.parametrize(("pattern", "values", "printed"), VERBS)
def test_printf_prints_variables_as_go_does(pattern, values, printed):
    values = values if isinstance(values, tuple) else (values,)
    names = " ".join(f".v{number}" for number in range(len(values)))
    variables = {f"v{number}": value for number, value in enumerate(values)} | {"pattern": pattern}
    assert Template.parse("{{printf .pattern " + names + "}}").render(variables) == printed


OWN = [
    ("%d|%5d|%-5d|%05d|%+d", "127", "127|  127|127  |00127|+127"),
    ("%04x|%x", "127", "007f|7f"),
    ("%d|%010d|%20.8d|%+.3d", "-12345", "-12345|-000012345|           -00012345|-12345"),
    ("%020.8d|%-20.8d|", "1234", "            00001234|00001234            |"),
    ("%x|%+05d|%-05d|", "-10", "-a|-0010|-10  |"),
    ("%s|%v|%T|%f", "3", "%!s(int=3)|3|int|%!f(int=3)"),
]


@pytest.mark.parametrize(("pattern", "constant", "printed"), OWN)
def test_printf_prints_numbers_of_the_template_as_go_does(pattern, constant, printed):
    count = pattern.count("%") + pattern.count("*")
    text = "{{printf `" + pattern + "` " + " ".join([constant] * count) + "}}"
    assert Template.parse(text).render({}) == printed


REFUSED = [
    *[(pattern, "`x`", pattern) for pattern in ("%#q", "%+q", "% x", "%X", "%[1]", "%*", "%p")],
    *[(pattern, "1", pattern) for pattern in ("%c", "%U", "%b", "%o", "%O", "%#x", "% d")],
    *[(pattern, "1.5", pattern) for pattern in ("%E", "%F", "%G", "%5b")],
    ("%q", "65", "%q of an int"),
    ("%x", "1.5", "%x of a float64, as all numbers of variables are,"),
]


@pytest.mark.parametrize(("pattern", "constant", "what"), REFUSED)
def test_what_printf_does_not_offer_is_refused(pattern, constant, what):
    with pytest.raises(TemplateError) as raised:
        Template.parse("{{printf `" + pattern + "` " + constant + "}}").render({})
    assert f"error calling printf: {what.removesuffix('1]')} is not offered" in str(raised.value)
