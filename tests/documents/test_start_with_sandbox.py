"""docs/start/sandbox.md, typed as it stands there: three terminals, a job, a kill, and nothing left."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.requirements import need
from tests.support.site_program import ROOT

pytestmark = [pytest.mark.long, pytest.mark.process]

PAGE = (ROOT / "docs" / "start" / "sandbox.md").read_text()
DEMO, SANDBOX, SERVICE, SUBMIT, LOOK, BREAK, TAKE_DOWN = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
SERVICE_AGAIN = re.search(r"`(\.venv/bin/paas-runner run [^`]+)` there", PAGE)[1]
SECONDS = 60


@pytest.fixture
def folder(tmp_path):
    """What a checkout has, as far as the page needs it."""
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    return tmp_path


@contextmanager
def terminal(folder, block):
    """A block that goes on while others are typed; Ctrl-C at the end."""
    process = subprocess.Popen(
        ["sh", "-c", block],
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.wait(SECONDS)


def typed(folder, block):
    done = subprocess.run(
        ["sh", "-c", block], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return done.stdout + done.stderr


def printed(folder):
    path = folder / "sandbox.out"
    return path.read_text() if path.exists() else ""


def told_of_the_end(text):
    """Both the log of the job and the chain of decisions about it."""
    return "Hello from hello" in text and "the host is gone" in text


def until(what):
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end
        time.sleep(0.3)


def test_the_page_leads_from_nothing_to_a_job_through_a_kill_and_leaves_nothing(folder):
    need("sh", "curl", "tee", "sed", "git")
    variables = SUBMIT.splitlines()[0]
    with terminal(folder, SANDBOX):
        until(lambda: "Ready" in printed(folder))
        assert (folder / "sandbox.out").stat().st_mode & 0o077 == 0
        with terminal(folder, SERVICE) as service:
            until(lambda: "is running" in typed(folder, ".venv/bin/paas-runner status sandbox.toml"))
            assert '"jobs"' in typed(folder, SUBMIT)
            until(lambda: told_of_the_end(typed(folder, f"{variables}\n{LOOK}")))
            assert "is not running" in typed(folder, f"{variables}\n{BREAK}")
            service.wait(SECONDS)
        with terminal(folder, SERVICE_AGAIN):
            until(lambda: "is running" in typed(folder, ".venv/bin/paas-runner status sandbox.toml"))
            assert "nothing is left" in typed(folder, TAKE_DOWN)
    assert [path.name for path in folder.iterdir()] == [".venv"]
