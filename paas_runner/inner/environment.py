"""Variables on their way to a script's processes: by the kernel where it takes them, else by the shell.

Linux starts no program with an entry of 128 KiB or more, nor with more than a share of its stack. A shell may
have such variables for all that: it sets them itself, its own commands know them, and other programs fail.
"""

import os
import re
import shlex
from collections.abc import Mapping

from paas_runner.inner.job import Workspace

MOST_ENTRY_BYTES = 128 * 1024 - 1  # `MAX_ARG_STRLEN` in linux/binfmts.h, which counts a byte for the end
_MOST_BYTES = 1024 * 1024  # of all entries: half of what the usual limit of a stack allows
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_READ_ONLY = frozenset({"BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"})


def process_environment(variables: Mapping[str, str], workspace: Workspace) -> dict[str, str]:
    """What a process of the job on the host itself has in its environment."""
    private = str(workspace.files)
    own = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": private, "TMPDIR": private}
    return {**own, **variables}


def startable(environment: Mapping[str, str]) -> dict[str, str]:
    """Those variables with which a program can be started; the longest are left out."""
    found, size = {}, 0
    for name, value in sorted(environment.items(), key=lambda item: len(item[1])):
        entry = len(f"{name}={value}".encode(errors="surrogateescape"))
        size += entry
        if entry <= MOST_ENTRY_BYTES and size <= _MOST_BYTES:
            found[name] = value
    return found


def exports(environment: Mapping[str, str]) -> list[str]:
    """Lines for a shell that set variables.

    Variables whose names no shell knows, or that it does not allow to be set, are left out.
    """
    return [
        f"export {name}={shlex.quote(value)}"
        for name, value in environment.items()
        if _NAME.fullmatch(name) and name not in _READ_ONLY
    ]
