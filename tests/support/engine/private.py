"""A Docker engine for tests: started by the first process that needs it, shared, ended with the last."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.alone import alone

GUARDIAN = Path(__file__).with_name("guardian.py")
PATIENCE_SECONDS = 90.0


class NoEngineError(Exception):
    """Why there can be none here."""


def missing_for_a_private_engine() -> Sequence[str]:
    """What is missing on this machine, or to this user."""
    programs = [name for name in ("dockerd", "containerd", "iptables") if shutil.which(name) is None]
    return programs if os.geteuid() == 0 else [*programs, "root's rights"]


@contextmanager
def private_engine(folder: Path, *options: str) -> Iterator[str]:
    """The URL of the engine that lives in `folder`, started if it does not run yet.

    Raises `NoEngineError`.
    """
    folder.mkdir(exist_ok=True)
    with (folder / "users").open("w") as users:
        with alone(folder / "starting"):
            fcntl.flock(users, fcntl.LOCK_SH)  # an engine that is just ending is waited for
            if not (folder / "ready").exists():
                _start(folder, options)
        yield f"unix://{folder / 'socket'}"


def wait_for_the_end(folder: Path) -> None:
    """Return when nothing is left of the engine in `folder`, which no process needs any more."""
    while (folder / "guarded").exists():
        time.sleep(0.02)


def _start(folder: Path, options: Sequence[str]) -> None:
    (folder / "failed").unlink(missing_ok=True)
    command = [sys.executable, "-I", str(GUARDIAN), str(folder), *options]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)  # goes on behind our back
    ends = time.monotonic() + PATIENCE_SECONDS
    while not (folder / "ready").exists():
        if (folder / "failed").exists():
            raise NoEngineError(f"dockerd does not start:\n{(folder / 'failed').read_text()}")
        if time.monotonic() > ends:
            raise NoEngineError(f"dockerd is not ready within {PATIENCE_SECONDS:g} seconds")
        time.sleep(0.05)
