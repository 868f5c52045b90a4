import pytest

from paas_runner.config.lines import KeyPath, dotted, line_of

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
