"""A task's entries as one session of a shell of this machine, and what the session reports of them.

The shell reads a text from a file that has no name, so that neither arguments nor a disk have any of it, and
writes into another one how far it got. Both are opened by way of `/proc/<our id>/fd`: no program of the task
inherits them. Each entry is parsed as a whole before any of it runs, in the folder where all of them begin.
"""

import os
import re
import secrets
import shutil
import signal
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

_BROKEN, _NO_REPORT = 2, 125
_MARK = secrets.token_hex(8)
"""Begins a line of ours in a report: what `set -x` adds to it may be anything."""

_ENDED = re.compile(rf"{_MARK} (\d+)".encode())
_CANNOT_RUN = f"{_MARK} !".encode()
_MOST_ROUNDS = 100


@attrs.frozen(kw_only=True)
class Shell:
    """Bash where there is one, else the POSIX shell."""

    program: str
    reads: str
    """By which argument it takes the text of a file that it is formatted with."""

    def command(self, path: str) -> Sequence[str]:
        """To run the text that is there."""
        return (self.program, "-c", self.reads.format(path), Path(self.program).name)


def shell_of_this_machine() -> Shell:
    """Bash's `eval` is better than its `.`, in which an entry's `return` would end all of them.

    A text that cannot be read is a failure: nothing would end well.
    """
    if bash := shutil.which("bash"):
        return Shell(program=bash, reads='[[ -r {0} ]] && eval "$(<{0})"')
    return Shell(program=shutil.which("sh") or "/bin/sh", reads=". {}")


@attrs.frozen(kw_only=True)
class Report:
    """What became of a session's entries."""

    codes: Sequence[int] = ()
    """The exit codes of the first ones: those after which the shell went on."""

    broken: bool = False
    """Whether the next one cannot be run, which ended the shell."""

    why: str = ""
    """What the shell says of that."""


def session(entries: Sequence[str], *, folder: Path, report: str, tolerant: bool, files: int | None) -> bytes:
    """The text for the shell, which appends to the file `report`.

    A `tolerant` one goes on after entries that fail. With `files` its limit of open files is put to that.
    """
    parts = ["trap 'exit 130' INT\n"]  # or it would go on when a program has survived the signal
    if files is not None:
        parts.append(f"ulimit -S -n {files}\n")
    told = f"command echo {_MARK} $? >>{report} || exit {_NO_REPORT}"
    for entry in entries:
        text = _quoted(f"{entry}\n\n")  # bash trips over one that ends with a backslash and one newline
        parts.append(
            f"{{ command cd -- {_quoted(str(folder))} && (eval 'set -n\n'{text}); }} 2>>{report}"
            f" || {{ command echo '{_MARK} !' >>{report}; exit {_BROKEN}; }}\n"
            f"eval {text}\n"
        )
        parts.append(f"{told}\n" if tolerant else f"case $? in 0) {told};; *) exit;; esac\n")
    return "".join(parts).encode(errors="replace")


def reported(text: bytes) -> Report:
    """What the file has; lines that are none of ours are what the shell said about the next entry."""
    codes: list[int] = []
    said: list[bytes] = []
    for line in text.splitlines():
        if found := _ENDED.fullmatch(line):
            codes.append(int(found[1]))
            said.clear()
        elif line == _CANNOT_RUN:
            return Report(codes=codes, broken=True, why=_words(said))
        else:
            said.append(line)
    return Report(codes=codes)


@contextmanager
def nameless_file(content: bytes = b"") -> Iterator[tuple[int, str]]:
    """A file in memory: its descriptor, and the path by which other processes of this user open it."""
    descriptor = os.memfd_create("task")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield descriptor, f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


def kill_all_with(*wanted: AbstractSet[bytes]) -> None:
    """Kill all processes with any of these in their environment: for want of a keeper."""
    for _ in range(_MOST_ROUNDS if wanted else 0):
        environments = ((process, _environment(process)) for process in Path("/proc").glob("[0-9]*"))
        found = [process for process, has in environments if any(entries <= has for entries in wanted)]
        if not found:
            return
        for process in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(int(process.name), signal.SIGKILL)


def _environment(process: Path) -> AbstractSet[bytes]:
    with suppress(OSError):
        return frozenset((process / "environ").read_bytes().split(b"\0"))
    return frozenset()


def _words(said: Sequence[bytes]) -> str:
    """Without what `set -x` has added, and without the name of the shell."""
    lines = (line.decode(errors="replace") for line in said if not line.startswith(b"+"))
    return "\n".join(re.sub(r"^\w+: (line \d+: |\d+: )?(eval: (line \d+: )?)?", "", line) for line in lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
