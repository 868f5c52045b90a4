"""What the runner itself writes into a trace (spec gitlab-runner-api.md §10.2, §10.3)."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime

import attrs

_BOLD_CYAN, _BOLD_GREEN, _BOLD_RED = "\x1b[36;1m", "\x1b[32;1m", "\x1b[31;1m"
_YELLOW, _RESET, _CLEAR = "\x1b[0;33m", "\x1b[0;m", "\x1b[0K"


@attrs.frozen(kw_only=True)
class Narrator:
    """Lines and sections; every line ends with a newline."""

    write: Callable[[bytes], None]
    clock: Callable[[], datetime]
    with_sections: bool

    def line(self, text: str) -> None:
        """A plain line."""
        self._put(f"{_CLEAR}{text}\n")

    def notice(self, text: str) -> None:
        """A green line: a step of a stage, or that all went well."""
        self._put(f"{_BOLD_GREEN}{text}{_RESET}\n")

    def warning(self, text: str) -> None:
        """A yellow line."""
        self._put(f"{_YELLOW}WARNING: {text}{_RESET}\n")

    def error(self, text: str) -> None:
        """A red line."""
        self._put(f"{_BOLD_RED}ERROR: {text}{_RESET}\n")

    @contextlib.contextmanager
    def section(self, name: str, title: str) -> Iterator[None]:
        """A part of the trace that can be folded; the title shows in any case."""
        self._mark("section_start", name)
        self._put(f"{_CLEAR}{_BOLD_CYAN}{title}{_RESET}{_RESET}\n")
        try:
            yield
        finally:
            self._mark("section_end", name)

    def _mark(self, kind: str, name: str) -> None:
        if self.with_sections:
            self._put(f"{kind}:{int(self.clock().timestamp())}:{name}\r{_CLEAR}")

    def _put(self, text: str) -> None:
        self.write(text.encode(errors="replace"))


def echo(command: str) -> str:
    """A command as it is shown before it runs; nothing for an empty one."""
    first, newline, _ = command.strip().partition("\n")
    if not first:
        return ""
    return f"{_BOLD_GREEN}$ {first}{' # collapsed multi-line command' if newline else ''}{_RESET}"
