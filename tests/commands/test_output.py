"""What commands print with: the same words everywhere, colours and what is going on only on a terminal."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from paas_runner.commands.output import Coloured, Painted, Table, note, show, show_json
from paas_runner.commands.progress import StatusLine
from paas_runner.logs import redactor
from paas_runner.secret import Secret
from tests.support.terminal_screen import Screen, Terminal

HOSTS = Table(
    head=("NAME", "JOBS", "WHY"),
    rows=[
        (Painted("one", "green"), "3", "its job runs"),
        (
            ("t", Painted("w", "bold red"), "o"),
            "12",
            "created a while ago, and nothing is known of its job",
        ),
    ],
)
PLAIN = [
    "hosts",
    "",
    "NAME  JOBS  WHY",
    "one   3     its job runs",
    "two   12    created a while ago, and nothing is known of its job",
]


def shown(*parts, out=None):
    out = out or Terminal()
    show(*parts, out=out)
    return out.getvalue()


def test_a_pipe_gets_plain_aligned_text():
    assert shown("hosts", "", HOSTS, out=io.StringIO()).splitlines() == PLAIN


def test_a_terminal_gets_the_same_words_with_colours():
    written = shown("hosts", "", HOSTS)
    assert "\x1b[32mone\x1b[0m" in written
    assert Screen(written).styled
    assert Screen(written).lines == PLAIN


def test_no_color_leaves_the_colours_out(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    written = shown("hosts", "", HOSTS)
    assert "\x1b" not in written
    assert Screen(written).lines == PLAIN


@pytest.mark.parametrize("name", ["dumb", "unknown"])
def test_a_dumb_terminal_gets_what_a_pipe_gets(monkeypatch, name):
    monkeypatch.setenv("TERM", name)
    assert shown("hosts", "", HOSTS).splitlines() == PLAIN


def test_on_a_narrow_terminal_only_the_last_column_is_folded_and_nothing_is_lost(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = Screen(shown(HOSTS)).lines
    assert max(map(len, lines)) <= 40
    assert [line[:12] for line in lines[2:]] == ["two   12    ", *[" " * 12] * (len(lines) - 3)]
    assert " ".join(line[12:] for line in lines[2:]).split() == HOSTS.rows[1][2].split()


def test_on_a_terminal_narrower_than_the_other_columns_nothing_is_lost_either(monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    told = " ".join(Screen(shown(HOSTS)).lines)
    assert all(word in told for word in ("one", "two", "12", "created", "nothing"))


@pytest.mark.parametrize("width", [10, 30, 42, 45, 60])
def test_no_letter_is_lost_beside_a_column_that_is_wide_itself(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    path = "/var/lib/paas-runner/of-somebody/config.toml"
    lines = Screen(shown(Table(rows=[("? real: organisation", path), ("? git", "2.39.5")]))).lines
    assert "".join(line[22:].strip() for line in lines) == f"{path}2.39.5"


def test_on_a_terminal_a_line_that_is_too_wide_is_broken_between_words(monkeypatch):
    monkeypatch.setenv("COLUMNS", "24")
    line = "    next in 4 s: ask whether the host takes it"
    assert Screen(shown(line)).lines == ["    next in 4 s: ask", "      whether the host", "      takes it"]
    assert shown(line, out=io.StringIO()) == f"{line}\n"


def test_numbers_stand_to_the_right_where_they_are_said_to_be():
    table = Table(head=("NAME", "JOBS"), rows=[("a", "3"), ("bb", "100")], left=1)
    assert shown(table, out=io.StringIO()) == "NAME  JOBS\na        3\nbb     100\n"
    assert Screen(shown(table)).lines == ["NAME  JOBS", "a        3", "bb     100"]


def test_nothing_to_show_prints_nothing(capsys):
    show()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("out", [io.StringIO, Terminal])
def test_what_is_quoted_can_neither_move_the_cursor_nor_tell_a_secret(out):
    redactor.add([Secret("output-canary")])
    row = ("a \x1b[2J\r\x07b", ("is ", Painted("output-canary", "red")))
    written = shown("x \x1b[2J", Table(rows=[row]), out=out())
    assert "\x1b[2J" not in written
    assert "\x07" not in written
    assert "output-canary" not in written


def test_a_trace_keeps_its_colours_on_a_terminal_and_nothing_else_of_what_it_sends_there():
    line = Coloured("\x1b[32mfine\x1b[0m\x1b[2J\x1b]0;x\x07 \x1b[31;1mwrong output-canary\x07\x1b")
    redactor.add([Secret("output-canary")])
    written = shown(("│ ", line))
    assert "\x1b[32mfine\x1b[0m" in written
    assert not [unwanted for unwanted in ("\x07", "output-canary", "\x1b[2J") if unwanted in written]
    [row] = Screen(written).lines
    assert row.startswith("│ fine")
    assert "wrong [secret]" in row
    assert shown(("│ ", line), out=io.StringIO()) == "│ fine ]0;x  wrong [secret]  \n"


def test_square_brackets_are_no_markup():
    assert "[red]x[/red] :smile:" in shown("[red]x[/red] :smile:")


def test_a_message_goes_to_the_standard_error(capsys):
    note("a second look in 3 s")
    assert capsys.readouterr() == ("", "a second look in 3 s\n")


def test_what_the_output_cannot_encode_is_another_sign_or_an_escape(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    show("é ✓ 中", Table(rows=[("→",)]), out=out)
    assert out.buffer.getvalue().decode("latin-1") == "é ok \\u4e2d\n->\n"


def test_a_stream_that_was_closed_before_the_start_is_told_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    show("an answer", HOSTS)
    show_json({"answer": 42})
    monkeypatch.undo()
    monkeypatch.setattr(sys, "stderr", None)
    note("a message")
    StatusLine().show("at work")
    monkeypatch.undo()
    assert capsys.readouterr() == ("", "")


def test_a_secret_is_not_told_in_json_either(capsys):
    redactor.add([Secret('pässword-"canary"')])
    show_json({"why": 'the server said: pässword-"canary"'})
    assert "canary" not in capsys.readouterr().out


VALUE = {"name": "é → 😀", "odd": "\x9b\x7f\ud83d\u2028\n", "numbers": [1, 2.5, None]}


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
@pytest.mark.parametrize("indent", [2, None])
def test_json_reads_back_equal_in_every_encoding_and_is_safe_to_look_at(monkeypatch, encoding, indent):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    show_json(VALUE, indent=indent)
    text = out.buffer.getvalue().decode(encoding)
    assert json.loads(text) == VALUE
    assert all(char.isprintable() or char == "\n" for char in text)
    assert ("é → 😀" in text) == (encoding == "utf-8")
    assert len(text.splitlines()) == (1 if indent is None else 9)


def test_structlog_does_without_rich_in_our_programs(tmp_path):
    config = tmp_path / "config.toml"
    config.write_text("concurrent = 1\n")
    program = Path(sys.executable).with_name("paas-runner")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", program, "list", config],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    imported = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    assert "rich.console" not in imported[: imported.index("structlog")]


@pytest.mark.parametrize(
    "arguments",
    [
        ["paas-runner", "status", "absent.toml"],
        ["paas-runner-inner", "exec", "x"],
        ["paas-pipelines", "debug"],
    ],
)
def test_no_program_of_ours_loads_the_command_line_of_a_library(arguments, tmp_path):
    program = Path(sys.executable).with_name(arguments[0])
    done = subprocess.run(
        [sys.executable, "-X", "importtime", program, *arguments[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "structlog" in imported
    assert not imported & {"click", "pygments", "rich.console"}
