"""A trace in lines, as it comes: sections become headings, and what the runner does itself is folded."""

import re
from collections.abc import Iterator

_MARKER = re.compile(rb"section_(start|end):\d+:([^\r\n\[]*)[^\r\n]*?\r(?:\x1b\[0K)?")
_FOLDED = frozenset({b"prepare_executor", b"prepare_script", b"get_sources", b"cleanup_file_variables"})
_TOLD = re.compile(rb"WARNING: |ERROR: ")


class Log:
    """Of one job."""

    def __init__(self) -> None:
        self._rest = b""
        self._section = b""

    def lines(self, data: bytes) -> list[str]:
        """Those that are whole by now."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [text for line in whole for text in self._shown(line)]

    def last(self) -> list[str]:
        """What came without a newline."""
        return self.lines(b"\n") if self._rest else []

    def _shown(self, line: bytes) -> Iterator[str]:
        heading, done = False, 0
        for marker in _MARKER.finditer(line):
            yield from self._text(line[done : marker.start()], heading=heading)
            heading, done = marker[1] == b"start", marker.end()
            self._section = marker[2] if heading else b""
        if not done or line[done:]:
            yield from self._text(line[done:] + b"\n", heading=heading)

    def _text(self, text: bytes, *, heading: bool) -> Iterator[str]:
        """One line, as a terminal leaves it after its returns; nothing for what stands between markers."""
        folded = self._section in _FOLDED and not heading and not _TOLD.search(text)
        if text and not folded:
            shown = text.replace(b"\x1b[0K", b"").rstrip().rpartition(b"\r")[2].decode(errors="replace")
            yield f"== {shown}" if heading else shown
