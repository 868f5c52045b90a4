"""The programs on this machine that the service calls."""

import re
import subprocess

from paas_runner.check_result import CheckResult, fault, fine

SECONDS = 10.0
_VERSION = re.compile(r"git version (\S+)")


def git() -> CheckResult:
    """Whether git is there, and which one; whether it is new enough, the executor says that needs it."""
    try:
        told = subprocess.run(
            ["git", "--version"], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except FileNotFoundError:
        return fault("git", "not found on PATH", "install it")
    except (OSError, subprocess.TimeoutExpired) as error:
        return fault("git", f"cannot be called ({type(error).__name__})")
    version = _VERSION.match(told.stdout)
    if told.returncode or not version:
        return fault("git", f"does not work: exit code {told.returncode}", "try `git --version`")
    return fine("git", version[1])
