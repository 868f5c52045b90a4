"""Dotenv files are read as prunner reads them (P085, P086); the table is that of godotenv 1.5.1's tests."""

import contextlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paas_pipelines.definitions.dotenv import DotenvError, read_dotenv


@pytest.fixture
def read(tmp_path):
    """What one file with this text sets."""

    def read(text):
        (tmp_path / ".env").write_text(text, newline="")
        return read_dotenv([tmp_path / ".env"])

    return read


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("FOO=bar", "FOO", "bar"),
        ("FOO =bar", "FOO", "bar"),
        ("FOO= bar", "FOO", "bar"),
        ("FOO=", "FOO", ""),
        ("FOO = \nBAR=1", "FOO", ""),
        ('FOO="bar"', "FOO", "bar"),
        ("FOO='bar'", "FOO", "bar"),
        ("FOO=''", "FOO", ""),
        (r'FOO="escaped\"bar"', "FOO", 'escaped"bar'),
        ("""FOO="'d'\"""", "FOO", "'d'"),
        ("OPTION_A: 1", "OPTION_A", "1"),
        ("OPTION_A: Foo=bar", "OPTION_A", "Foo=bar"),
        ("OPTION_A=1:B", "OPTION_A", "1:B"),
        ("export OPTION_A=2", "OPTION_A", "2"),
        (r"export OPTION_B='\n'", "OPTION_B", r"\n"),
        ("export exportFoo=2", "exportFoo", "2"),
        ("exportFOO=2", "exportFOO", "2"),
        ("export_FOO =2", "export_FOO", "2"),
        ("export.FOO= 2", "export.FOO", "2"),
        ("export\tOPTION_A=2", "OPTION_A", "2"),
        ("  export OPTION_A=2", "OPTION_A", "2"),
        (r'FOO="bar\nbaz"', "FOO", "bar\nbaz"),
        ("FOO.BAR=foobar", "FOO.BAR", "foobar"),
        ("FOO=foobar=", "FOO", "foobar="),
        ("FOO=bar ", "FOO", "bar"),
        ("KEY=value value", "KEY", "value value"),
        ("FOO=bar # this is foo", "FOO", "bar"),
        ("FOO=bar#baz", "FOO", "bar#baz"),
        ("FOO=bar # baz # other", "FOO", "bar # baz"),
        (r"FOO='a\''", "FOO", "a\\"),
        ("FOO=#bar", "FOO", "#bar"),
        ('FOO="bar#baz" # comment', "FOO", "bar#baz"),
        ("FOO='bar#baz' # comment", "FOO", "bar#baz"),
        ('baz="foo"#bar', "baz", "foo"),
        (r'FOO="bar\n\ b\az"', "FOO", "bar\n baz"),
        (r'FOO="bar\\\n\ b\az"', "FOO", "bar\\\n baz"),
        (r'FOO="bar\\r\ b\az"', "FOO", r"bar\r baz"),
        (" KEY =value", "KEY", "value"),
        ("\tKEY=value", "KEY", "value"),
        ('KEY="line 1\nline 2"', "KEY", "line 1\nline 2"),
        ("KEY='line 1\r\nline 2'\r\n", "KEY", "line 1\nline 2"),
        ("K='this is \\'quoted\\'\nend'", "K", "this is \\'quoted\\'\nend"),
        ("FOO=test\nBAR=$FOO", "BAR", "test"),
        ("FOO=test\nBAR=${FOO}bar", "BAR", "testbar"),
        ('FOO=test\nBAR="quote $FOO"', "BAR", "quote test"),
        ("BAR='quote $FOO'", "BAR", "quote $FOO"),
        ("BAR=$FOO", "BAR", ""),
        (r'FOO="foo\$BAR"', "FOO", "foo$BAR"),
        (r'FOO="foo\${BAR}"', "FOO", "foo${BAR}"),
        ('FOO=test\nBAR="foo\\${FOO} ${FOO}"', "BAR", "foo${FOO} test"),
        ("FOO=a$b", "FOO", "a$b"),
        ("ÄÖ=ü", "ÄÖ", "ü"),
        ("\ufeffFOO=bar", "FOO", "bar"),
    ],
)
def test_a_value_is_what_godotenv_makes_of_it(read, text, name, value):
    assert read(text)[name] == value


@pytest.mark.parametrize(
    "text", ["", "\n", "\r\n", "\t\t ", "# Comment", "\t # comment\n#", '="value"', "FOO"]
)
def test_what_names_no_variable_sets_none(read, text):
    assert read(text) == {}


def test_the_environment_of_the_process_is_not_put_into_values(read, monkeypatch):
    monkeypatch.setenv("HOME", "/root")
    assert read("A=$HOME") == {"A": ""}


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("INVALID LINE\nfoo=bar", 1, "an unexpected character in the name of a variable"),
        ("A=1\nlol$wut=hunter2", 2, "an unexpected character in the name of a variable"),
        ("A=1\nB-C=hunter2", 2, "an unexpected character in the name of a variable"),
        ('A=1\n\n# x\nB="hunter2\n\n', 4, "a quoted value without its end"),
        ("A=1\nB='hunter2\0'", 2, "a character with the code 0"),
    ],
)
def test_a_malformed_file_is_fatal_and_told_with_its_line_but_no_value(read, tmp_path, text, line, what):
    with pytest.raises(DotenvError) as raised:
        read(text)
    file = tmp_path / ".env"
    assert str(raised.value) == f"loading env file {file}: {what}\n{file}:{line}"


def test_later_files_override_earlier_and_missing_ones_are_passed_over(tmp_path):
    (tmp_path / ".env").write_text("A=1\nB=1")
    (tmp_path / ".env.local").write_text("B=2\nC=${A}")
    files = [tmp_path / ".env", tmp_path / "missing", tmp_path / ".env.local"]
    assert read_dotenv(files) == {"A": "1", "B": "2", "C": ""}


def test_an_empty_first_name_disables_the_reading(tmp_path):
    (tmp_path / ".env").write_text("A=1")
    assert read_dotenv(["", tmp_path / ".env"]) == {}


def test_a_file_that_cannot_be_read_is_fatal(tmp_path):
    (tmp_path / ".env").mkdir()
    with pytest.raises(DotenvError, match=r"loading env file .*: Is a directory"):
        read_dotenv([tmp_path / ".env"])


@given(st.binary() | st.text(alphabet="AB_=:'\"\\$({})\n\r \t#nexport").map(str.encode))
def test_any_file_gives_an_environment_or_a_complaint(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "any.env"
    file.write_bytes(data)
    with contextlib.suppress(DotenvError):
        found = read_dotenv([file])
        assert all("\0" not in name + value and "=" not in name for name, value in found.items())
        assert all(os.fsencode(name + value) is not None for name, value in found.items())


def test_a_large_file_takes_no_longer_than_it_must(read):
    lines = "".join(f"A{number}=$A{number - 1} # x\n#\n\n" for number in range(20000))
    assert len(read(lines)) == 20000
