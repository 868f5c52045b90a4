"""Inline tables of TOML 1.1 are read as they are meant, and nothing is read that is wrong there."""

import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.config import Config, ConfigError
from paas_runner.config.inline_tables import as_read_here
from paas_runner.config.lines import line_of

LoadText = Callable[..., Config]

TEXTS = {
    '"}"': "}",
    "'{, '": "{, ",
    '"\\" # {"': '" # {',
    '"""\n}, # no\n\\""""""': '\n}, # no\n"""'[1:],
    "'''\n{\n''''": "{\n'",
    '""': "",
    "1": 1,
    "true": True,
}
texts = st.sampled_from(sorted(TEXTS)).map(lambda written: (written, TEXTS[written]))
keys = st.sampled_from([("a", "a"), ('"b }"', "b }"), ("'c,'", "c,"), ("d-1", "d-1")])
gaps = st.sampled_from(["", " ", "\n", "\r\n\t", " # why }, {\n", "\n\n # it's \"so\n  # and so\n"])
Written = tuple[str, Any]


@st.composite
def lists(draw: st.DrawFn, inner: st.SearchStrategy[Written]) -> Written:
    entries = draw(st.lists(inner, max_size=3))
    comma = draw(st.sampled_from(["", ","])) if entries else ""
    written = ",".join(f"{draw(gaps)}{each}{draw(gaps)}" for each, _ in entries)
    return f"[{written}{comma}{draw(gaps)}]", [value for _, value in entries]


@st.composite
def tables(draw: st.DrawFn, inner: st.SearchStrategy[Written]) -> Written:
    entries = draw(st.lists(st.tuples(keys, inner), max_size=3, unique_by=lambda entry: entry[0][1]))
    comma = draw(st.sampled_from(["", ","])) if entries else ""
    written = ",".join(f"{draw(gaps)}{key} = {value}{draw(gaps)}" for (key, _), (value, _) in entries)
    meant = {name: value for (_, name), (_, value) in entries}
    return f"{{{written}{comma}{draw(gaps)}}}", meant


values = tables(st.recursive(texts, lambda inner: lists(inner) | tables(inner), max_leaves=8))


@given(value=values, after=st.sampled_from(["", " # why", "\n\n", " \t"]))
def test_what_is_written_over_several_lines_is_what_is_read(value: Written, after: str) -> None:
    written, meant = value
    text = f"first = 1\nvalue = {written}{after}\n\n[last]\n  key = 2\n"

    found = as_read_here(text)

    assert tomllib.loads(found) == {"first": 1, "value": meant, "last": {"key": 2}}
    line = text.replace("\r\n", "\n").count("\n")
    assert (line_of(found, ("value",)), line_of(found, ("last",))) == (2, line - 1)


@pytest.mark.parametrize(
    "wrong",
    [
        "a = {,}",
        "a = {\n,\n}",
        "a = {b = 1,,}",
        "a = {b\n= 1}",
        "a = {b =\n1}",
        "a = {b.\nc = 1}",
        "a = {b = 1\nc = 2}",
        "a = {b = 1\n} c = 2",
        "a = {b = 1\n} }",
        "a = {b = 1 # with \x01\n}",
        "a = {b = 1 # without an end",
        "a = {\n b = 1,\n b = 2\n}",
        'a = {b = "\n"}',
        "a = {\n}\r\r\n",
        'a = [{b = ",\n{b}"}\n]',
        "a = {b = [1\n 2]}",
        "a = {b = {\n c = 1,\n ]}",
        "[a\n]",
    ],
)
def test_what_is_wrong_there_stays_wrong(wrong: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(as_read_here(wrong))


@given(text=st.text(alphabet="ab={}[],\n\"'#. \\1", max_size=40))
def test_nothing_but_gaps_and_commas_is_taken_out(text: str) -> None:
    found = as_read_here(text)

    if "#" not in text:
        assert [each for each in found if each not in " \n,"] == [each for each in text if each not in " \n,"]
    assert found.count("\n") <= text.count("\n")


def test_a_configuration_with_them_is_read_and_its_complaints_have_their_lines(load_text: LoadText) -> None:
    section = """\
[[runners]]
  url = "https://gitlab.example"
  token = "glrt-aaaaaaaaaaaaaaaa"
  executor = "clever-docker"
  cc_orga_id = "orga_1"
  cc_token = "made-up"
  docker = {
    image = "alpine",  # small
    tmpfs = {
      "/run" = "rw",
    },
  }
  limit = %s
"""

    assert load_text(section % "1").runners[0].forwarded == {
        "docker": {"image": "alpine", "tmpfs": {"/run": "rw"}}
    }
    with pytest.raises(ConfigError, match=r"config.toml:13: runners\[0\].limit"):
        load_text(section % "-1")
    with pytest.raises(ConfigError, match=r"config.toml:13: not valid TOML: Invalid value"):
        load_text(section % "= 1")
