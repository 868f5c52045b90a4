"""The text of a configuration, with one section more or less and every other byte as it was."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from register.document import UneditableError, unused_keys, with_entries, with_section, without_section

SECTION = {"name": "new", "url": "https://x", "limit": 3, "docker": {"image": "a"}, "list": ["a", "b"]}

WITH_COMMENTS = """\
# top
concurrent = 3  # three

[[runners]]
  name = "a"   # first
  # inside a
  [runners.docker]
    image = '''
[[runners]]
not a section
'''
# about b
[[runners]]
  name = "b"
# between

[[runners]] # c
  name = "c"
  volumes = [
    "[[runners]]",
  ]
# the end
"""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "concurrent = 1",
        "concurrent = 1\n",
        "# a comment",
        WITH_COMMENTS,
        "[[runners]]\nname = 'a'\n[quota_computation]\nx = 1\n",
        "[[runners]]\nname = 'a'\n\n[session]\n[[runners]]\nname = 'b'\n",
    ],
)
def test_a_section_is_added_at_the_end_and_nothing_else_changes(text):
    result = with_section(text, SECTION)
    assert result.startswith(text)
    before = tomllib.loads(text)
    assert tomllib.loads(result) == {**before, "runners": [*before.get("runners", []), SECTION]}


def test_line_ends_of_another_system_are_kept():
    result = with_section("concurrent = 1\r\n", SECTION)
    assert result.count("\n") == result.count("\r\n") > 3


def test_an_empty_list_of_runners_makes_room_and_comments_stay():
    result = with_section("# top\nconcurrent = 1 # one\nrunners = []\n", SECTION)
    assert result.startswith("# top\nconcurrent = 1 # one\n")
    assert tomllib.loads(result)["runners"] == [SECTION]


def test_sections_in_one_line_are_not_touched():
    with pytest.raises(UneditableError, match="write them as"):
        with_section('runners = [{name = "a"}]\n', SECTION)


def test_a_text_that_is_no_toml_is_refused_without_quoting_it():
    with pytest.raises(UneditableError) as refused:
        with_section("token = secret-value", SECTION)
    assert "secret-value" not in str(refused.value)


VALUES = st.recursive(
    st.text() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.lists(st.text()),
    lambda inner: st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_any_section_is_read_back_as_it_was_meant(section):
    assert tomllib.loads(with_section("concurrent = 1\n", section))["runners"] == [section]


@pytest.mark.parametrize(
    ("index", "gone"),
    [
        (
            0,
            WITH_COMMENTS[
                WITH_COMMENTS.index('[[runners]]\n  name = "a"') : WITH_COMMENTS.index("# about b")
            ],
        ),
        (1, '[[runners]]\n  name = "b"\n'),
        (2, '[[runners]] # c\n  name = "c"\n  volumes = [\n    "[[runners]]",\n  ]\n'),
    ],
)
def test_a_section_goes_with_its_keys_and_the_comments_after_it_stay(index, gone):
    result = without_section(WITH_COMMENTS, index)
    assert result == WITH_COMMENTS.replace(gone, "")
    names = [runner["name"] for runner in tomllib.loads(result)["runners"]]
    assert names == [name for number, name in enumerate("abc") if number != index]


def test_the_last_section_leaves_a_file_without_runners():
    assert without_section("concurrent = 1\n\n[[runners]]\nname = 'a'\n", 0) == "concurrent = 1\n\n"


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=3), min_size=1, max_size=3), st.data())
def test_what_was_added_last_can_be_removed_again(sections, data):
    text = "concurrent = 1\n"
    for section in sections:
        text = with_section(text, section)
    index = data.draw(st.integers(0, len(sections) - 1))
    left = [section for number, section in enumerate(sections) if number != index]
    assert tomllib.loads(without_section(text, index)).get("runners", []) == left


def test_a_section_in_several_pieces_is_left_to_its_owner():
    with pytest.raises(UneditableError, match="by hand"):
        without_section('runners = [{name = "a"}, {name = "b"}]\n', 0)


def test_entries_are_added_to_a_flat_table_alone():
    assert tomllib.loads(with_entries('a = "1"', {"b-2": 'q"uote'})) == {"a": "1", "b-2": 'q"uote'}
    with pytest.raises(UneditableError, match="a flat table"):
        with_entries("[section]\n", {"a": "1"})


def test_names_that_are_taken_get_a_number():
    assert unused_keys({"a", "a-2"}, ["a", "b"]) == {"a": "a-3", "b": "b"}
