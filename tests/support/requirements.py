"""What a test needs of the machine: without it the test is skipped, in CI it fails."""

import os
import pty
import shutil
from typing import NoReturn

import pytest


def missing_here(reason: str) -> NoReturn:
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


def pseudo_terminal() -> tuple[int, int]:
    """Both ends of one, the person's and the program's; a container without /dev/pts has none."""
    try:
        return pty.openpty()
    except OSError as error:
        missing_here(f"no pseudo-terminal can be opened ({error.strerror}): is /dev/pts mounted?")


def need(*programs: str, root: bool = False) -> None:
    if root and os.geteuid() != 0:
        missing_here("only root can make a root file system and change into it")
    if missing := [program for program in programs if shutil.which(program) is None]:
        missing_here(f"not installed: {', '.join(missing)}")
