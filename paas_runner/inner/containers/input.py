"""A script as a container's shell reads it: pure.

All of it comes by standard input, the variables too: neither the arguments of a process nor what the engine
tells of a container has any of them. The shell gets one command, so that what the script starts finds nothing
of it to read.
"""

import re
import shlex

from paas_runner.inner.job_script import Script

_SHELL = "if command -v bash >/dev/null 2>&1; then bash; else sh; fi; exit $?"
COMMAND = ("sh", "-c", _SHELL)
"""What an image's entrypoint is given. The shell is no first process, which signals would not reach."""

TERMINATE = ("sh", "-c", "kill -TERM -1; kill -TERM 1")
"""Run beside a script: SIGTERM for all others; the first process gets it only if it wants to."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_READ_ONLY = frozenset({"BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"})


def shell_input(script: Script) -> bytes:
    """What the shell reads; raises ValueError for text that no shell can be given.

    Errors go the way of all output: by two ways they would come in any order. Variables whose names no shell
    knows, or that it does not allow to be set, are left out.
    """
    exports = [
        f"export {name}={shlex.quote(value)}"
        for name, value in script.environment.items()
        if _NAME.fullmatch(name) and name not in _READ_ONLY
    ]
    folder = shlex.quote(str(script.workspace.project))
    body = "\n".join([*exports, f"cd {folder} || exit 1", script.text()])
    if "\0" in body:
        raise ValueError("it contains a NUL character")
    return f"eval {shlex.quote(body)} </dev/null 2>&1\nexit\n".encode()
