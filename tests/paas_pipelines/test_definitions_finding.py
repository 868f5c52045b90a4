"""Definition files are found by a glob as zglob's, which prunner uses (P009, P011, P082, P083)."""

import itertools
import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paas_pipelines.definitions.finding import find
from paas_pipelines.definitions.reading import DefinitionsError
from paas_pipelines.server.settings import DEFAULT_PATTERN


def plant(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """The tree of zglob's own tests."""
    plant(
        tmp_path,
        *("foo/bar/baz.txt", "foo/bar/baz/noo.txt", "foo/baz/x", "hoo/bar/x"),
        *("zzz/bar/baz/zoo.jpg", "zzz/bar/baz/joo.png", ".git/hidden/pipelines.yml"),
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("foo/bar/*", ["foo/bar/baz.txt"]),
        ("foo/bar/**", ["foo/bar/baz.txt"]),
        ("foo/b[a][r]/*", ["foo/bar/baz.txt"]),
        ("foo/b[a-z]?/*", ["foo/bar/baz.txt", "foo/baz/x"]),
        ("foo/b[!z][^z]/*", ["foo/bar/baz.txt"]),
        ("foo/b[c-z]*/*", []),
        ("foo/b[z-c]*/*", []),
        ("*oo/*/x", ["foo/baz/x", "hoo/bar/x"]),
        ("*oo/*.txt", []),
        ("*oo/*/*.txt", ["foo/bar/baz.txt"]),
        ("*oo/**/*.txt", ["foo/bar/baz.txt", "foo/bar/baz/noo.txt"]),
        ("foo/**/**/*.txt", ["foo/bar/baz.txt", "foo/bar/baz/noo.txt"]),
        ("./*/*/x", ["foo/baz/x", "hoo/bar/x"]),
        ("**/bar/**/*.txt", ["foo/bar/baz.txt", "foo/bar/baz/noo.txt"]),
        ("**/bar/**/*.{jpg,png}", ["zzz/bar/baz/joo.png", "zzz/bar/baz/zoo.jpg"]),
        ("zzz/bar/baz/zoo.{jpg,png}", ["zzz/bar/baz/zoo.jpg"]),
        ("zzz/bar/{baz,z}/zoo.jpg", ["zzz/bar/baz/zoo.jpg"]),
        ("{foo/bar,zzz/bar/{baz,none}}/*.{txt,png}", ["foo/bar/baz.txt", "zzz/bar/baz/joo.png"]),
        ("**/pipelines.{yml,yaml}", [".git/hidden/pipelines.yml"]),
        ("foo/bar/baz.txt", ["foo/bar/baz.txt"]),
    ],
)
def test_what_a_pattern_finds(tree, pattern, files):
    assert find(".", pattern) == files
    assert find(tree, pattern) == [f"{tree}/{file}" for file in files]


def test_the_default_crosses_folders_and_sorts_by_path(tmp_path):
    plant(
        tmp_path, "b/c/pipelines.yaml", "b/pipelines.yml", "pipelines.yml", "a/pipelines.yml", "a/other.yml"
    )
    plant(tmp_path, "Z/pipelines.yml", "ä/pipelines.yml")
    found = [os.path.relpath(file, tmp_path) for file in find(tmp_path, DEFAULT_PATTERN)]
    assert found == [
        *("Z/pipelines.yml", "a/pipelines.yml", "b/c/pipelines.yaml"),
        *("b/pipelines.yml", "pipelines.yml", "ä/pipelines.yml"),
    ]


def test_path_and_pattern_are_joined_as_go_joins_them(tree):
    assert find("foo//", "/bar/../bar/*.txt") == ["foo/bar/baz.txt"]
    assert find("", "foo/bar/*.txt") == ["foo/bar/baz.txt"]
    assert find("{foo,hoo}", "*/x") == ["foo/baz/x", "hoo/bar/x"]


def test_wildcards_without_a_match_are_no_files(tree):
    assert find(".", "**/nothing.yml") == []


@pytest.mark.parametrize("pattern", ["pipelines.yml", "foo/bar/none.txt"])
def test_a_plain_name_that_does_not_exist_is_an_error(tree, pattern):
    with pytest.raises(DefinitionsError) as raised:
        find(tree, pattern)
    assert str(raised.value) == f"finding files with glob: file does not exist\n{tree}/{pattern}"


def test_a_name_with_the_signs_of_wildcards_is_plain_where_it_exists(tree):
    plant(tree, "a[1].yml")
    assert find(".", "a[1].yml") == ["a[1].yml"]


def test_a_base_folder_that_does_not_exist_is_an_error(tree):
    with pytest.raises(DefinitionsError, match="finding files with glob: open missing: no such file"):
        find("missing", DEFAULT_PATTERN)
    with pytest.raises(DefinitionsError, match="not a directory"):
        find("foo/baz/x", DEFAULT_PATTERN)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_a_folder_that_cannot_be_read_is_an_error_instead_of_pipelines_that_vanish(tree):
    (tree / "foo").chmod(0)
    try:
        with pytest.raises(DefinitionsError, match="open foo: permission denied"):
            find(".", DEFAULT_PATTERN)
    finally:
        (tree / "foo").chmod(0o700)


def test_folders_are_no_definition_files(tree):
    (tree / "sub/pipelines.yml").mkdir(parents=True)
    plant(tree, "sub/pipelines.yml/pipelines.yml")
    assert find("sub", DEFAULT_PATTERN) == ["sub/pipelines.yml/pipelines.yml"]


def test_links_are_followed(tmp_path):
    plant(tmp_path, "elsewhere/app/pipelines.yml")
    base = tmp_path / "base"
    (base / "nested").mkdir(parents=True)
    (base / "nested/app").symlink_to(tmp_path / "elsewhere/app")
    (base / "pipelines.yml").symlink_to(tmp_path / "missing")
    assert find(base, DEFAULT_PATTERN) == [f"{base}/nested/app/pipelines.yml", f"{base}/pipelines.yml"]


def test_links_in_a_circle_end(tmp_path):
    plant(tmp_path, "a/pipelines.yml")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to("self")
    (tmp_path / "b").symlink_to("a")
    assert find(tmp_path, DEFAULT_PATTERN) == [f"{tmp_path}/a/pipelines.yml"]


def test_a_file_that_links_lead_to_as_well_is_found_once_by_its_own_path(tmp_path):
    plant(tmp_path, "z/pipelines.yml")
    (tmp_path / "a").symlink_to("z")
    (tmp_path / "z/pipelines.yaml").symlink_to("pipelines.yml")
    assert find(tmp_path, DEFAULT_PATTERN) == [f"{tmp_path}/z/pipelines.yml"]


def test_a_link_counts_for_a_pattern_that_names_it(tmp_path):
    plant(tmp_path, "releases/5/config/pipelines.yml")
    (tmp_path / "current").symlink_to("releases/5")
    file = f"{tmp_path}/current/config/pipelines.yml"
    assert find(tmp_path, "**/current/**/pipelines.yml") == [file]
    assert find(tmp_path, "current/*/pipelines.yml") == [file]


def test_packages_that_link_to_each_other_are_looked_through_once(tmp_path):
    names = [f"package{number}" for number in range(12)]
    for name, other in itertools.product(names, names):
        plant(tmp_path, f"{name}/index.js")
        (tmp_path / name / "needs").mkdir(exist_ok=True)
        (tmp_path / name / "needs" / other).symlink_to(tmp_path / other)
    assert find(tmp_path, DEFAULT_PATTERN) == []
    assert len(find(tmp_path, "**/*.js")) == len(names)


def test_more_alternatives_than_anybody_writes_are_refused(tree):
    with pytest.raises(DefinitionsError, match="more than 1000 alternatives"):
        find(".", "{a,b}" * 40)


NAMES = ["a", "b", "ab", ".c", "x.yml"]
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)
PATTERNS = st.lists(st.sampled_from([*NAMES, "*", "**", "?", "a*", "{a,b}", "{x,y}.yml", "[ab]"]), max_size=4)


def as_zglob_compiles_it(pattern):
    text = re.escape(pattern).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    text = text.replace(r"\[ab\]", "[ab]").replace(r"\{a,b\}", "(a|b)").replace(r"\{x,y\}", "(x|y)")
    return re.compile(text.replace("[^/]*[^/]*", "[^/]*"))


@given(st.sets(PATHS, max_size=8), PATTERNS, st.sampled_from(NAMES))
def test_the_walk_finds_what_the_pattern_as_one_expression_matches(tmp_path_factory, files, segments, last):
    base = tmp_path_factory.mktemp("walk")
    for file in files:
        if not any(other.startswith(f"{file}/") for other in files):
            plant(base, file)
    pattern = "/".join(["**", *segments, last])
    expression = as_zglob_compiles_it(pattern)
    below = sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.is_file())
    assert find(base, pattern) == [f"{base}/{path}" for path in below if expression.fullmatch(path)]
