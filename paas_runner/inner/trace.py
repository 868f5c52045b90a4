"""A job's trace: as it is stored and sent, and what the runner itself writes into it.

It is masked, valid UTF-8, limited, counted in bytes. The runner's own lines and sections look as those of
GitLab Runner do (spec gitlab-runner-api.md §10.2, §10.3).
"""

import codecs
import contextlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import attrs

from paas_runner.inner.masking import Masks

MOST_PIECE_BYTES = 1024 * 1024  # spec gitlab-runner-api.md §4.1
_BOLD_CYAN, _BOLD_GREEN, _BOLD_RED = "\x1b[36;1m", "\x1b[32;1m", "\x1b[31;1m"
_YELLOW, _RESET, _CLEAR = "\x1b[0;33m", "\x1b[0;m", "\x1b[0K"


class Trace:
    """All of a job's output, in memory, because the coordinator may ask for any part of it again."""

    def __init__(self, secrets: Iterable[str], limit_bytes: int, prefixes: Iterable[str] | None = ()) -> None:
        """What `prefixes` means is told by `Masks`."""
        self._masks = Masks(secrets, prefixes)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._limit = limit_bytes
        self._full = False
        self._bytes = bytearray()
        self._crc = 0

    def write(self, data: bytes) -> None:
        """Take output; a possible beginning of a secret shows only when more has come."""
        if self._full:
            return
        self._keep(self._masks.feed(self._decoder.decode(data).encode()))

    def finish(self) -> None:
        """Nothing will follow: show what was held back."""
        rest = self._masks.feed(self._decoder.decode(b"", final=True).encode())
        self._keep(rest + self._masks.flush())

    @property
    def size(self) -> int:
        """The number of bytes to be sent so far."""
        return len(self._bytes)

    @property
    def checksum(self) -> str:
        """The CRC-32 of these bytes, as it goes into a PUT (spec gitlab-runner-api.md §3.1)."""
        return f"crc32:{self._crc:08x}"

    def piece(self, start: int) -> bytes:
        """The bytes from `start` on, at most as many as one PATCH may carry."""
        return bytes(self._bytes[start : start + MOST_PIECE_BYTES])

    def _keep(self, data: bytes) -> None:
        if self._full:
            return
        room = self._limit - len(self._bytes)
        if len(data) > room:
            self._full = True
            cut = data[:room].decode(errors="ignore").encode()
            data = cut + _exceeded(self._limit)
        self._bytes += data
        self._crc = zlib.crc32(data, self._crc)


def _exceeded(limit: int) -> bytes:
    """What stands at the end of a trace that was cut; it comes on top of the limit (§4.4)."""
    text = (
        f"Job's log exceeded limit of {limit} bytes.\n"
        "Job execution will continue but no more output will be collected."
    )
    return f"\n\x1b[33;1m{text}\x1b[0;m\n".encode()


@attrs.frozen(kw_only=True)
class Narrator:
    """Lines and sections; every line ends with a newline."""

    write: Callable[[bytes], None]
    clock: Callable[[], datetime]
    with_sections: bool
    during: Callable[[str], contextlib.AbstractContextManager[None]] = lambda _: contextlib.nullcontext()
    """What goes on around each section, by its name."""

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
        """A part of the trace that can be folded; the title always shows."""
        self._section_marker("section_start", name)
        self._put(f"{_CLEAR}{_BOLD_CYAN}{title}{_RESET}{_RESET}\n")
        try:
            with self.during(name):
                yield
        finally:
            self._section_marker("section_end", name)

    def _section_marker(self, kind: str, name: str) -> None:
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
