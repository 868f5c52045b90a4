import pytest

from paas_runner.config.lines import KeyPath, dotted, line_of, repeated_on

TEXT = '''\
# a comment

concurrent = 8  # line 3

state_file = """
first
concurrent = "not a key"
[runners]
"""
# line 10
inline = {one = 1, two = {three = 3}}
dotted.key.deep = true
several = [
  1,
  # inside
  {in_a_list = 2},
]
after = 1

[[runners]]
  name = "first"
  environment = [
    "A=1",

    "B=2",
  ]
  last = 1

  [runners.docker]
    image = "debian"

# before the second one
[[runners]]
  docker.image = "alpine"
  [runners.cache.s3]
    BucketName = \'\'\'
x\'\'\'
  ["odd".'ke.y']
'''


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("at", "line"),
    [
        (("concurrent",), 3),
        (("state_file",), 5),
        (("inline",), 11),
        (("inline", "two", "three"), 11),
        (("dotted",), 12),
        (("dotted", "key", "deep"), 12),
        (("several",), 13),
        (("several", 1, "in_a_list"), 13),
        (("after",), 18),
        (("runners",), 20),
        (("runners", 0), 20),
        (("runners", 0, "name"), 21),
        (("runners", 0, "environment"), 22),
        (("runners", 0, "last"), 27),
        (("runners", 0, "docker"), 29),
        (("runners", 0, "docker", "image"), 30),
        (("runners", 1), 33),
        (("runners", 1, "docker", "image"), 34),
        (("runners", 1, "cache"), 35),
        (("runners", 1, "cache", "s3", "BucketName"), 36),
        (("odd", "ke.y"), 38),
    ],
)
def test_a_key_is_found_on_the_line_where_it_begins(at: KeyPath, line: int, newline: str) -> None:
    assert line_of(TEXT.replace("\n", newline), at) == line


@pytest.mark.parametrize(
    ("at", "line"),
    [
        (("absent",), 1),
        (("runners", 0, "url"), 20),
        (("runners", 1, "cache", "s3", "AccessKey"), 35),
        (("runners", 1, "cache", "gcs", "BucketName"), 35),
        (("runners", 7, "name"), 20),
        (("concurrent", "below"), 3),
    ],
)
def test_an_absent_key_is_found_on_the_line_of_its_nearest_table(at: KeyPath, line: int) -> None:
    assert line_of(TEXT, at) == line


def test_an_empty_text_has_one_line() -> None:
    assert line_of("", ("runners",)) == 1


def test_a_last_line_without_newline_is_a_line() -> None:
    assert line_of("a = 1\nb = 2", ("b",)) == 2


def test_a_path_is_written_as_in_toml_with_indices() -> None:
    assert dotted(("runners", 0, "tls-ca-file")) == "runners[0].tls-ca-file"
    assert dotted(("a", "odd key", "b")) == 'a."odd key".b'
    assert dotted(()) == ""


@pytest.mark.parametrize(
    ("text", "line", "key", "first"),
    [
        ("a = 1\na = 2", 2, "a", 1),
        ("# c\na = 1\n\na = '''\n'''\n", 5, "a", 2),
        ("[a]\nb = 1\n[a]\n", 3, "a", 1),
        ("[[r]]\nx = 1\n[[r]]\ny = 1\nx = 2\nx = 3\n", 6, "r[1].x", 5),
        ("[[r]]\n[r.d]\n\n[r.d]\n", 4, "r[0].d", 2),
        ("[[r]]\n[[r.s]]\nx = 1\n[[r.s]]\nx = 1\n  x = 2\n", 6, "r[0].s[1].x", 5),
        ("[r]\nx = 1\n[[r]]\n", 3, "r", 1),
        ("\n[a]\nb.c = 1\n[a.b]\n", 4, "a.b", 3),
        ("a = 1\na.b = 2\n", 2, "a.b", 1),
        ("a = {b = 1}\n[a.c]\n", 2, "a.c", 1),
        ("d = {i = 1}\nd = {i = 2}\n", 2, "d", 1),
        ("'odd key' = 1\n\"odd key\" = 1\n", 2, '"odd key"', 1),
    ],
)
def test_of_a_key_that_is_there_twice_the_first_place_is_found(
    text: str, line: int, key: str, first: int
) -> None:
    found = repeated_on(text, line)

    assert found is not None
    assert (dotted(found[0]), found[1]) == (key, first)


def test_a_statement_with_another_fault_repeats_no_key() -> None:
    assert repeated_on("a = 1\nb == 2\n", 2) is None
    assert repeated_on("a = 1\nb = 2\n", 2) is None
