"""A task's entries as one session of a shell of this machine, and what the session reports of them.

The shell reads a text from a file that has no name, so that neither arguments nor a disk have any of it, and
writes into another one how far it got. Both are opened by way of `/proc/<our id>/fd`: no program of the task
inherits them. Each entry is parsed as a whole before any of it runs, in the folder where all of them begin.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

_BROKEN, _NO_REPORT = 2, 125
_ENDED = re.compile(rb"(\d+) (\d+)")
_CANNOT_RUN = re.compile(rb"!(\d+)")


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
    """Bash's `eval` is better than its `.`, in which an entry's `return` would end all of them."""
    if bash := shutil.which("bash"):
        return Shell(program=bash, reads='eval "$(<{})"')
    return Shell(program=shutil.which("sh") or "/bin/sh", reads=". {}")


@attrs.frozen(kw_only=True)
class Report:
    """What became of a session's entries; the first is number 0."""

    codes: Mapping[int, int] = attrs.field(factory=dict)
    """The exit codes of those that ended, and the shell went on."""

    broken: int | None = None
    """The one that cannot be run, and its shell ended with it."""

    why: str = ""
    """What the shell says of that."""

    @property
    def ended(self) -> int:
        """How many have ended, and the shell went on."""
        return len(self.codes)


def session(entries: Sequence[str], *, folder: Path, report: str, tolerant: bool, files: int | None) -> bytes:
    """The text for the shell, which appends to the file `report`.

    A `tolerant` one goes on after entries that fail. With `files` its limit of open files is put to that.
    """
    parts = ["trap 'exit 130' INT\n"]  # or it would go on when a program has survived the signal
    if files is not None:
        parts.append(f"ulimit -S -n {files}\n")
    for number, entry in enumerate(entries):
        text = _quoted(f"{entry}\n\n")  # bash trips over one that ends with a backslash and one newline
        told = f"command echo {number} $? >>{report} || exit {_NO_REPORT}"
        parts.append(
            f"{{ command cd -- {_quoted(str(folder))} && (eval 'set -n\n'{text}); }} 2>>{report}"
            f" || {{ command echo '!{number}' >>{report}; exit {_BROKEN}; }}\n"
            f"eval {text}\n"
        )
        parts.append(f"{told}\n" if tolerant else f"case $? in 0) {told};; *) exit;; esac\n")
    return "".join(parts).encode(errors="replace")


def reported(text: bytes) -> Report:
    """What the file has; lines that are none of ours are what the shell said about the next one."""
    codes: dict[int, int] = {}
    said: list[bytes] = []
    for line in text.splitlines():
        if found := _ENDED.fullmatch(line):
            codes[int(found[1])] = int(found[2])
            said.clear()
        elif found := _CANNOT_RUN.fullmatch(line):
            return Report(codes=codes, broken=int(found[1]), why=_words(said))
        else:
            said.append(line)
    return Report(codes=codes)


@contextmanager
def nameless_file(content: bytes = b"") -> Iterator[tuple[int, str]]:
    """A file in memory with that content: its descriptor, and the path by which others of this user open it."""
    descriptor = os.memfd_create("task")
    try:
        with open(descriptor, "wb", closefd=False) as file:  # noqa: PTH123 - it has no path
            file.write(content)
        yield descriptor, f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


def killed_leftovers(marker: bytes) -> None:
    """Kill all that has this entry in its environment, as often as there are more: their keeper is dead."""
    while found := [process for process in Path("/proc").glob("[0-9]*") if _has(process, marker)]:
        for process in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(int(process.name), 9)


def _has(process: Path, marker: bytes) -> bool:
    with suppress(OSError):
        return marker in (process / "environ").read_bytes().split(b"\0")
    return False


def _words(said: Sequence[bytes]) -> str:
    """Without what `set -x` has added, and without the name of the shell."""
    lines = (line.decode(errors="replace") for line in said if not line.startswith(b"+"))
    return "\n".join(re.sub(r"^\w+: (line \d+: |\d+: )?(eval: (line \d+: )?)?", "", line) for line in lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
