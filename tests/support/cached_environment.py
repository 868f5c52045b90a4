"""Programs of others in virtual environments of their own, kept in pytest's cache."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.alone import alone


def cached_environment(
    config: pytest.Config, requirement: str, more: Callable[[Path], None] = lambda _: None
) -> Path:
    """An environment with the requirement and what `more` adds. Without a package index: skip, in CI fail."""
    if config.cache is None:
        pytest.skip("pytest's cache is switched off")
    version = f"{sys.implementation.cache_tag}-{requirement.replace('==', '-')}"
    folder = Path(config.cache.mkdir(version)) / "venv"
    with alone(folder.with_name("lock")):
        if not (folder / "complete").exists():
            try:
                _install(folder, requirement, more)
            except subprocess.SubprocessError as error:
                reason = f"{requirement} cannot be installed: {getattr(error, 'output', None) or error}"
                (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return folder


def _install(folder: Path, requirement: str, more: Callable[[Path], None]) -> None:
    run(sys.executable, "-m", "venv", "--clear", str(folder))
    pip = str(folder / "bin" / "pip")
    run(pip, "install", "--quiet", "--retries", "1", "--timeout", "20", requirement)
    more(folder)
    (folder / "complete").touch()


def run(*command: str) -> None:
    """One step of an installation; raises `SubprocessError` with the output of the command."""
    subprocess.run(
        command, check=True, timeout=240, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
