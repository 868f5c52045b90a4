"""Commands on a real terminal and in a pipe: the same words, and nothing left that is no word."""

import sys
from pathlib import Path

import pytest

from tests.commands.test_cli import run
from tests.support.terminal_screen import Screen, on_a_terminal

PROGRAM = Path(sys.executable).parent / "paas-runner"
WRONG = 'concurrent = "many"\ncheck_interval = -1\n'


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    path.write_text(WRONG)
    return path


@pytest.fixture
def piped(config):
    done = run("paas-runner", "check", config)
    assert done.returncode == 78
    assert "\x1b" not in done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_terminal_shows_the_words_of_a_pipe_in_colours(config, piped):
    code, written = on_a_terminal(PROGRAM, "check", config, columns=300)
    assert code == 78
    assert "\x1b[31m✗\x1b[0m configuration" in written
    assert Screen(written).lines == piped


@pytest.mark.parametrize(
    "environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": "dumb", "FORCE_COLOR": "1"}]
)
def test_a_terminal_without_colours_shows_plain_text(config, piped, environ):
    code, written = on_a_terminal(PROGRAM, "check", config, columns=300, **environ)
    assert code == 78
    assert "\x1b" not in written
    assert [line.rstrip() for line in written.splitlines()] == piped


def test_a_pipe_stays_plain_whatever_the_environment_wishes(config, piped, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    assert run("paas-runner", "check", config).stdout.splitlines() == piped


def test_long_lines_are_folded_below_themselves(config):
    _, written = on_a_terminal(PROGRAM, "check", config, columns=60)
    lines = Screen(written).lines
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("✗ configuration  ")
    assert lines[1].startswith(" " * 17)


def test_json_on_a_terminal_is_json_alone(config):
    code, written = on_a_terminal(PROGRAM, "check", config, "--json")
    assert code == 78
    assert "\x1b" not in written
    assert written.startswith("{")
