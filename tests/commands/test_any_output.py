"""Outputs that are not what one hopes for: no UTF-8, no room."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from paas_runner.errors import Exit

CONFIG = """
[[runners]]
  name = "größe ✓"
  url = "http://127.0.0.1:1"
  token = "glrt-made-up-token"
  executor = "local-docker"
"""
PROGRAMS = {
    "paas-runner": "from paas_runner.cli import main as program",
    "heptapod-paas-runner": "from paas_runner.cli import service as program",
    "heptapod-paas-runner-register": "from register.commands import main as program",
}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.toml"
    path.touch(mode=0o600)
    path.write_text(CONFIG)
    return path


def run(program, *arguments, stdout=subprocess.PIPE, **variables):
    code = f"import sys; {PROGRAMS[program]}; sys.exit(program())"
    environ = {"PATH": os.environ["PATH"]} | variables
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environ,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(("encoding", "name"), [("iso-8859-1", "größe ok"), ("ascii", "gr\\xf6\\xdfe ok")])
def test_a_locale_without_a_sign_gets_another(config, encoding, name):
    done = run("paas-runner", "check", "--offline", config, PYTHONIOENCODING=encoding)
    told = done.stdout.decode(encoding)
    assert b"Traceback" not in done.stderr
    assert "ok configuration" in " ".join(told.split())
    assert name in told


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("paas-runner", ["--help"]),
        ("paas-runner", ["check", "--offline", "CONFIG"]),
        ("paas-runner", ["check", "--json", "--offline", "CONFIG"]),
        ("paas-runner", ["list", "CONFIG"]),
        ("heptapod-paas-runner", ["--version"]),
        ("heptapod-paas-runner-register", ["--help"]),
    ],
)
def test_an_output_without_room_is_said_and_has_its_exit_code(config, program, arguments):
    given = [config if each == "CONFIG" else each for each in arguments]
    with Path("/dev/full").open("w") as full:
        done = run(program, *given, stdout=full)
    assert done.returncode == Exit.STATE
    assert done.stderr.decode().strip().endswith("the output cannot be written: No space left on device")
    assert b"Traceback" not in done.stderr


def test_each_program_says_its_version():
    assert run("heptapod-paas-runner", "--version").stdout == run("paas-runner", "--version").stdout
