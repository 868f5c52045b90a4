"""Strings as Go has them, how it quotes them, and what is raised by templates.

A Go string is bytes. Here it is a `str`, in which a byte that is no UTF-8 is a surrogate, as
`errors="surrogateescape"` makes it; `whole` makes text of it that can be written anywhere.
"""

import ast
import re
from collections.abc import Iterable

MOST_CHARACTERS = 1_000_000
"""Of what one template is rendered to, and of each text that it makes on the way."""

MOST_WORK = 16_000_000
"""Of one rendering: a character that is made is one, a step of the evaluation `STEP`."""

STEP = 50

_ESCAPE = (
    r"\\(?:[abfnrtv\\]|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
    r"|U(?!0000[dD][89a-fA-F])[0-9a-fA-F]{8}|MARK)"
)
_QUOTED = {mark: re.compile(f"(?:[^\\\\]|{_ESCAPE.replace('MARK', mark)})*") for mark in "'\""}
_NAMES = {char: f"\\{letter}" for letter, char in zip("abfnrtv\\", "\a\b\f\n\r\t\v\\", strict=True)}
_BYTE = re.compile(r"(\\\\)|\\x([89a-fA-F][0-9a-fA-F])")
_SURROGATE = re.compile("[\ud800-\udfff]")


class TemplateError(Exception):
    """A template that cannot be parsed or rendered; the text is as Go's."""


class CallError(Exception):
    """What a function says of its arguments."""


class BoundError(Exception):
    """More text, work or depth than a rendering may have."""


class Work:
    """What a rendering may still take."""

    def __init__(self, left: int = MOST_WORK) -> None:
        self._left = left

    def spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise BoundError("rendering takes too much work")

    def joined(self, parts: Iterable[str]) -> str:
        """The text, which has its bound, too."""
        text = "".join(parts)
        self.spend(len(text))
        if len(text) > MOST_CHARACTERS:
            raise BoundError(f"text is longer than {MOST_CHARACTERS} characters")
        return text


def octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def of_octets(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def whole(text: str) -> str:
    """With U+FFFD for what is no UTF-8."""
    return text if text.isascii() else octets(text).decode("utf-8", "replace")


def foreign(text: str) -> str:
    """Text of a variable, without the halves of characters that JSON may have."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def quote(text: str, mark: str = '"', *, only_ascii: bool = False) -> str:
    """As Go's %q; with `'` as the mark, of one character."""
    return mark + "".join(_quoted(char, mark, only_ascii) for char in text) + mark


def _quoted(char: str, mark: str, only_ascii: bool) -> str:
    if char == mark:
        return f"\\{mark}"
    if char in _NAMES:
        return _NAMES[char]
    code = ord(char)
    if char.isprintable() and (code < 0x80 or not only_ascii):
        return char
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unquoted(text: str) -> str:
    """What a constant in quotes means; raises ValueError as Go's strconv.Unquote."""
    mark, inner = text[0], text[1:-1]
    if mark == "`":
        return inner.replace("\r", "")
    if not _QUOTED[mark].fullmatch(inner):
        raise ValueError("invalid syntax")
    if mark == '"':  # a byte that is no character of its own
        text = _BYTE.sub(lambda match: match[1] or rf"\udc{match[2]}", text)
    try:
        return of_octets(octets(ast.literal_eval(text)))
    except (SyntaxError, ValueError):  # beyond the last character, or a zero byte
        raise ValueError("invalid syntax") from None
