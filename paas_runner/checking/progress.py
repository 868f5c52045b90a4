"""What a reader at a terminal is told while a check takes long: one line, which goes away again."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

PATIENCE_SECONDS = 1.0
_CLEAR_LINE = "\r\x1b[K"


class TerminalProgress:
    """Writes to `out` what has been waited for longer than a second; nothing when that is no terminal."""

    def __init__(self, out: TextIO) -> None:
        """Nothing is waited for yet."""
        self._out = out
        self._waiting: list[str] = []

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show `what` while the block takes longer than a second."""
        if not self._out.isatty():
            yield
            return
        timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._begin, what)
        try:
            yield
        finally:
            timer.cancel()
            self._end(what)

    def _begin(self, what: str) -> None:
        self._waiting.append(what)
        self._show()

    def _end(self, what: str) -> None:
        if what in self._waiting:
            self._waiting.remove(what)
            self._show()

    def _show(self) -> None:
        text = f"waiting for {', '.join(self._waiting)} …" if self._waiting else ""
        self._out.write(_CLEAR_LINE + text)
        self._out.flush()
