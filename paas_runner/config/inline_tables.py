"""Inline tables as TOML 1.1 has them, which GitLab Runner reads: over several lines, with a comma at the end.

`tomllib` reads TOML 1.0, whose inline tables are on one line. The difference is white space, comments and one
comma, all outside of texts: it is taken out where TOML 1.1 allows it, and nowhere else, so that what is wrong
there stays wrong here. The line breaks come back at the end of the line on which the table ends: all that
follows keeps its line.
"""

import re
import tomllib
from collections.abc import Sequence

import attrs

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[ \t]+"
    r"|[^\s\"'#\[\]{},]+"
    r"|.",
    re.DOTALL,
)
_GAP = (" ", "\t", "\n", "#")
"""How a token begins that is no part of a value."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""What no comment may have in it."""

_UNCLOSED = frozenset({'"', "'"})
"""What is left of a text without an end: it would go on in the next line."""

_CLOSES = {"}": "{", "]": "["}


def as_read_here(text: str) -> str:
    """The text itself if `tomllib` reads it, else with its inline tables as TOML 1.0 has them."""
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError):
        lines = text.replace("\r\n", "\n")
        tokens = _TOKEN.findall(lines)
        if "\r" not in lines and not _UNCLOSED.intersection(tokens):
            return _Rewriting(tokens=tokens).text()
    return text


@attrs.define
class _Rewriting:
    tokens: Sequence[str]
    _at: int = 0
    _open: list[str] = attrs.field(factory=list)
    _before: str = ""
    """The last token that is no gap."""

    _owed: int = 0
    """Line breaks that were taken out."""

    def text(self) -> str:
        out = []
        while self._at < len(self.tokens):
            out.append(self._next())
        return "".join(out)

    def _next(self) -> str:
        part = self.tokens[self._at]
        in_table = bool(self._open) and self._open[-1] == "{"
        if in_table and part.startswith(_GAP):
            return self._gap()
        self._at += 1
        if part == "\n":
            owed, self._owed = self._owed, 0
            return "\n" * (1 + owed)
        if part.startswith(_GAP):
            return part
        if in_table and part == "," and self._before not in ("{", ",") and self._after() == "}":
            return " "
        if part in ("{", "["):
            self._open.append(part)
        elif part in _CLOSES and self._open and self._open[-1] == _CLOSES[part]:
            self._open.pop()
        self._before = part
        return part

    def _gap(self) -> str:
        """All between two tokens of an inline table."""
        begin = self._at
        while self._at < len(self.tokens) and self.tokens[self._at].startswith(_GAP):
            self._at += 1
        gap = "".join(self.tokens[begin : self._at])
        allowed = self._before in ("{", ",") or self._after() in (",", "}")
        if "\n" not in gap or not allowed or _CONTROL.search(gap):
            return gap
        self._owed += gap.count("\n")
        return " "

    def _after(self) -> str:
        """The next token that is no gap."""
        rest = (self.tokens[at] for at in range(self._at, len(self.tokens)))
        return next((each for each in rest if not each.startswith(_GAP)), "")
