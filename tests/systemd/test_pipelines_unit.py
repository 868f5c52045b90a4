"""The unit of the pipelines server as systemd reads it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "paas-pipelines.service"
MOST_EXPOSURE = 2.5


@pytest.fixture
def analyze(tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("systemd-analyze is not installed")
    server = tmp_path / "program"
    server.touch(mode=0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/bin/paas-pipelines", str(server)))

    def run(*arguments):
        done = subprocess.run(
            [program, *arguments, unit], text=True, capture_output=True, check=False, timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_systemd_finds_nothing_wrong_with_it(analyze):
    assert analyze("verify", "--man=no") == (0, "")


def test_it_can_do_little_harm(analyze):
    code, told = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE * 10:.0f}")
    assert code == 0, told


def test_its_stop_is_prunners_graceful_one_and_its_reload_a_signal():
    """P098, P100, P105."""
    text = UNIT.read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    assert (settings["KillSignal"], settings["KillMode"]) == ("SIGINT", "mixed")
    assert settings["ExecReload"] == "/bin/kill -USR1 $MAINPID"
    assert settings["Type"] == "notify"
