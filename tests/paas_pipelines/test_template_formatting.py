"""Values are printed as Go's fmt does; the cases are facts of its own table of tests."""

import math

import pytest
from paas_pipelines.template.evaluation import Template

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
    ("%x|%X|% x|%#x|%# X", ("xyz",) * 5, "78797a|78797A|78 79 7a|0x78797a|0X78 0X79 0X7A"),
    ("%.1x", "日本語", "e6"),
    ("%q", '"\n\a☺\x00', '"\\"\\n\\a☺\\x00"'),
    ("%+q", "日本語", '"\\u65e5\\u672c\\u8a9e"'),
    ("%#q|%#q|%#q", ("abc", "\n", "`"), '`abc`|"\\n"|"`"'),
    ("%010q", "⌘", '0000000"⌘"'),
    ("%.3q", "日本語日本語", '"日本語"'),
    ("%t|%6t|%v", (True, False, True), "true| false|true"),
    ("%v|%10v|%s|%d", (None, None, None, None), "<nil>|     <nil>|%!s(<nil>)|%!d(<nil>)"),
    # JSON's numbers are float64
    ("%d", 3, "%!d(float64=3)"),
    ("%5d", 3, "%!d(float64=    3)"),
    ("%s", 1e6, "%!s(float64=1e+06)"),
    ("%v|%g|%G", (1e6, 1e6, 1e6), "1e+06|1e+06|1E+06"),
    ("%e|%E", (1234.5678e3, -7), "1.234568e+06|-7.000000E+00"),
    ("%f|%F|%.1f|%.f", (1234.5678e-8, 1, 0.25, 2.5), "0.000012|1.000000|0.2|2"),
    ("%.3g|%.3g|%.10g", (1, 100, 100000), "1|100|100000"),
    ("%+07.2f|%+07.2f|%-07.2f|", (1, -1, 1), "+001.00|-001.00|1.00   |"),
    ("%+10.2f|% .3e", (1, 1), "     +1.00| 1.000e+00"),
    ("%+v|%+g", (1, 1), "1|+1"),
    ("%x|%x|%X", (1, 1.5, 123), "0x1p+00|0x1.8p+00|0X1.ECP+06"),
    (
        "%020f|%20f|% f|%+f",
        (math.inf, -math.inf, math.inf, math.nan),
        " " * 16 + "+Inf|" + " " * 16 + "-Inf| Inf|+NaN",
    ),
    ("%c", 65, "%!c(float64=65)"),
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
    ("%d|%5d|%-5d|%05d|%+d|% d", "127", "127|  127|127  |00127|+127| 127"),
    ("%04x|%X|%#x|%o|%#o|%O|%b|%#b", "127", "007f|7F|0x7f|177|0177|0o177|1111111|0b1111111"),
    ("%d|%010d|%20.8d|%+.3d", "-12345", "-12345|-000012345|           -00012345|-12345"),
    ("%020.8d|%-20.8d|", "1234", "            00001234|00001234            |"),
    ("%.d|%6.0d|%#X|%#o", "0", "|      |0X0|0"),
    ("%c|%q|%U|%3c", "0x672c", "本|'本'|U+672C|  本"),
    ("%c|%q", "-1", "\ufffd|'\ufffd'"),
    ("%+q|%q", "'☺'", "'\\u263a'|'☺'"),
    ("%s|%v|%T|%f", "3", "%!s(int=3)|3|int|%!f(int=3)"),
]


@pytest.mark.parametrize(("pattern", "constant", "printed"), OWN)
def test_printf_prints_numbers_of_the_template_as_go_does(pattern, constant, printed):
    count = pattern.count("%") + pattern.count("*")
    text = "{{printf `" + pattern + "` " + " ".join([constant] * count) + "}}"
    assert Template.parse(text).render({}) == printed
