"""Tokens of Go's template language, each with its line, and whether there is space before it."""

import re
from collections.abc import Iterator

import attrs

from paas_pipelines.template.strings import quote

KEYWORDS = frozenset(
    {"if", "else", "end", "range", "with", "break", "continue", "nil", "define", "template", "block"}
)
_SPACE = " \t\r\n"
_LEFT = re.compile(r"\{\{(-[ \t\r\n])?(/\*)?")
_COMMENT_END = re.compile(r"\*/([ \t\r\n]-)?\}\}")
_NUMBER = (
    r"(?:[+-]|(?=\.?[0-9]))(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?"
    r"|0[oO][0-7_]*|0[bB][01_]*|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)
_TOKEN = re.compile(
    r"(?P<right>[ \t\r\n]+-\}\}|\}\})|(?P<space>[ \t\r\n]+)"
    r'|(?P<string>"(?:[^"\\\n]|\\[^\n])*")|(?P<raw>`[^`]*`)|(?P<char>\'(?:[^\'\\\n]|\\[^\n])*\')'
    r"|(?P<declare>:=)|(?P<assign>=)|(?P<pipe>\|)|(?P<open>\()|(?P<close>\))"
    rf"|(?P<number>{_NUMBER})|(?P<variable>\$\w*)|(?P<field>\.\w+)|(?P<dot>\.)|(?P<word>\w+)"
    r"|(?P<mark>[!#%&*,/;<>?@\[\\\]^{}~])"
)
_UNFINISHED = {
    '"': "unterminated quoted string",
    "`": "unterminated raw quoted string",
    "'": "unterminated character constant",
    ":": "expected :=",
}


@attrs.frozen(kw_only=True)
class Token:
    """The kind is a group's name above, a keyword, or one of text, left, bool, error and eof."""

    kind: str
    text: str
    start: int
    line: int
    spaced: bool = False

    def __str__(self) -> str:
        if self.kind == "eof":
            return "EOF"
        if self.kind == "error":
            return self.text
        if self.kind in KEYWORDS or self.kind == "dot":
            return f"<{self.text}>"
        return quote(self.text[:10]) + "..." if len(self.text) > 10 else quote(self.text)


def tokens(text: str) -> Iterator[Token]:
    """All of a template, up to the first that is none: that one is an error with what Go says of it."""
    position, line = 0, 1
    while (left := _LEFT.search(text, position)) is not None:
        before = text[position : left.start()]
        kept = before.rstrip(_SPACE) if left[1] else before
        if kept:
            yield Token(kind="text", text=kept, start=position, line=line)
        line += before.count("\n")
        position = left.end()
        if left[2]:
            end = _COMMENT_END.search(text, position)
            if end is None or text.find("*/", position) != end.start():
                told = "unclosed comment" if "*/" not in text[position:] else _BAD_COMMENT
                yield Token(kind="error", text=told, start=position, line=line)
                return
            trims = bool(end[1])
            position = end.end()
            line += text.count("\n", left.start(), position)
        else:
            yield Token(kind="left", text="{{", start=left.start(), line=line)
            line += left[0].count("\n")
            for token in _inside(text, position, line):
                yield token
            if token.kind == "error":
                return
            line, position = token.line + token.text.count("\n"), token.start + len(token.text)
            trims = len(token.text) > 2
        if trims:
            following = position + len(text[position:]) - len(text[position:].lstrip(_SPACE))
            line += text.count("\n", position, following)
            position = following
    if position < len(text):
        yield Token(kind="text", text=text[position:], start=position, line=line)
        line += text.count("\n", position)
    yield Token(kind="eof", text="", start=len(text), line=line)


_BAD_COMMENT = "comment ends before closing delimiter"


def _inside(text: str, position: int, line: int) -> Iterator[Token]:
    """An action's tokens, to its right delimiter or an error."""
    depth, spaced = 0, False
    while True:
        match = _TOKEN.match(text, position)
        kind = match.lastgroup if match else None
        wrong = ""
        if match is None or kind is None:
            wrong = _stray(text[position : position + 1])
        elif kind in ("variable", "field", "dot", "word") and not _ends(text, match.end()):
            wrong = f"bad character {_named(text[match.end()])}"
        elif kind == "number" and (tail := re.match(r"[\w+-]", text[match.end() : match.end() + 1])):
            wrong = f"bad number syntax: {quote(match[0] + tail[0])}"
        elif kind == "right" and depth:
            wrong = "unclosed left paren"
        elif kind == "close" and not depth:
            wrong = "unexpected right paren"
        if match is None or kind is None or wrong:
            yield Token(kind="error", text=wrong, start=position, line=line)
            return
        depth += (kind == "open") - (kind == "close")
        if kind == "word":
            kind = match[0] if match[0] in KEYWORDS else "bool" if match[0] in ("true", "false") else "word"
        if kind != "space":
            yield Token(kind=kind, text=match[0], start=position, line=line, spaced=spaced)
        if kind == "right":
            return
        spaced = kind == "space"
        line += match[0].count("\n")
        position = match.end()


def _ends(text: str, position: int) -> bool:
    return position == len(text) or text[position] in " \t\r\n.,|:)(" or text.startswith("}}", position)


def _stray(char: str) -> str:
    if not char:
        return "unclosed action"
    return _UNFINISHED.get(char, f"unrecognized character in action: {_named(char)}")


def _named(char: str) -> str:
    return f"U+{ord(char):04X}" + (f" '{char}'" if char.isprintable() else "")
