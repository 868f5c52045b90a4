"""Patterns, against the documented examples of the library that GitLab Runner uses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.inner.files.globs import GlobError, fixed_part, parse

MATCHES = [
    ("abc", "abc"),
    ("*", "abc"),
    ("*c", "abc"),
    ("a*", "a"),
    ("a*", "abc"),
    ("a*/b", "abc/b"),
    ("a*b*c*d*e*/f", "axbxcxdxe/f"),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/f"),
    ("a*b?c*x", "abxbbxdbxebxczzx"),
    ("ab[c]", "abc"),
    ("ab[b-d]", "abc"),
    ("ab[^e-g]", "abc"),
    ("ab[!e-g]", "abc"),
    ("a?b", "a☺b"),
    ("a[^a]b", "a☺b"),
    ("[a-ζ]*", "α"),
    ("[\\]a]", "]"),
    ("[\\-]", "-"),
    ("[x\\-]", "x"),
    ("[x\\-]", "-"),
    ("[-]", "-"),
    ("[x-]", "x"),
    ("[x-]", "-"),
    ("[-x]", "-"),
    ("[[&&x~~y||]", "&"),
    ("*x", "xxx"),
    ("a/**", "a"),
    ("a/**", "a/b"),
    ("a/**", "a/b/c"),
    ("**/c", "c"),
    ("**/c", "b/c"),
    ("**/c", "a/b/c"),
    ("a/**/b", "a/b"),
    ("a/**/c", "a/b/c"),
    ("a/**/d", "a/b/c/d"),
    ("**/**/x", "a/b/x"),
    ("a/**/b/**/c", "a/x/b/c/b/y/c"),
    ("**/*.py", "a/.hidden/b.py"),
    ("*", ".hidden"),
    ("a\\*b", "a*b"),
    ("a\\{b\\}", "a{b}"),
    ("ab{c,d}", "abc"),
    ("ab{c,d,*}", "abcde"),
    ("{a,b}{c,d}", "bc"),
    ("{a{b,c},d}", "ac"),
    ("x{,y}", "x"),
    ("{a/b,c}/d", "a/b/d"),
    ("{**/x,y}", "a/b/x"),
    ("[{]", "{"),
    ("abc**", "abc"),
    ("**abc", "xabc"),
    ("binaries/**/*.o", "binaries/x/y.o"),
    ("a.b", "a.b"),
    ("a\nb*", "a\nbc"),
]

OTHERS = [
    ("a*", "ab/c"),
    ("a*/b", "a/c/b"),
    ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f"),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/fff"),
    ("a*b?c*x", "abxbbxdbxebxczzy"),
    ("ab[e-g]", "abc"),
    ("ab[^c]", "abc"),
    ("ab[^b-d]", "abc"),
    ("a\\*b", "ab"),
    ("a???b", "a☺b"),
    ("*[a-ζ]", "A"),
    ("a?b", "a/b"),
    ("a*b", "a/b"),
    ("[x\\-]", "z"),
    ("**/c", "a/b"),
    ("**/c", "abcd"),
    ("**/c", "a/abc"),
    ("a/\\**", "a/b/c"),
    ("a/**", "ab"),
    ("a.b", "axb"),
    ("*/c", "c"),
    ("**abc", "x/abc"),
]


@pytest.mark.parametrize(("pattern", "path"), MATCHES)
def test_a_path_that_a_pattern_means(pattern: str, path: str) -> None:
    assert parse(pattern).matches(path)


@pytest.mark.parametrize(("pattern", "path"), OTHERS)
def test_a_path_that_a_pattern_does_not_mean(pattern: str, path: str) -> None:
    assert not parse(pattern).matches(path)


@pytest.mark.parametrize(
    "pattern",
    ["[]a]", "[", "[^", "[^bc", "a[", "a\\", "[a-", "[z-a]", "{a,b", "a}", "{a,{b}", "ab{c,d}[", "[a/b]"],
)
def test_a_text_that_is_no_pattern(pattern: str) -> None:
    with pytest.raises(GlobError):
        parse(pattern)


def test_a_pattern_does_not_stand_for_thousands_of_others() -> None:
    with pytest.raises(GlobError, match="more than 1000"):
        parse("{a,b}" * 40)


def test_a_pattern_with_many_stars_is_answered_in_no_time() -> None:
    assert not parse("*a" * 30 + "b").matches("a" * 250)
    assert not parse("/".join(["**", "*"] * 20) + "/x").matches("/".join("a" * 60))


@given(st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=1), min_size=1))
def test_every_path_is_its_own_pattern_once_its_characters_are_escaped(names: list[str]) -> None:
    path = "/".join(names)
    assert parse("".join(f"\\{c}" if c != "/" else c for c in path)).matches(path)
    assert parse("**").matches(path)


@given(st.text(alphabet="a*?[]{},\\-^!/b", max_size=20), st.text(alphabet="ab/-", max_size=8))
def test_any_text_is_a_pattern_or_refused(pattern: str, path: str) -> None:
    try:
        parse(pattern).matches(path)
    except GlobError as error:
        assert str(error)  # noqa: PT017 - either way is right


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("a/b/c", ("a/b/c", "")),
        ("a/b/*.o", ("a/b", "*.o")),
        ("**/x", ("", "**/x")),
        ("/abs/x?/y", ("/abs", "x?/y")),
        ("a/{b/c,d}/e", ("a", "{b/c,d}/e")),
        ("*", ("", "*")),
    ],
)
def test_the_beginning_of_a_pattern_without_any_meaning(pattern: str, parts: tuple[str, str]) -> None:
    assert fixed_part(pattern) == parts
