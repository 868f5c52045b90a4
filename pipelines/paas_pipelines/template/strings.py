"""Strings as Go has them, how it quotes them, and what is raised by templates."""

import ast
import re
from collections.abc import Iterable

MOST_CHARACTERS = 1_000_000
"""Of what one template is rendered to, and of each text that it makes on the way."""

MOST_WORK = 16_000_000
"""Of one rendering: a character that is made is one, a step of the evaluation `STEP`."""

STEP = 50

_QUOTED = re.compile(
    r'"(?:[^\\]|\\(?:[abfnrtv\\"]|x[0-7][0-9a-fA-F]|[01][0-7]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}))*"'
)
_NAMES = {char: f"\\{letter}" for letter, char in zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True)}
_HALVES = re.compile("[\ud800-\udfff]")


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


def whole(text: str) -> str:
    """With U+FFFD for the halves of characters that JSON may have."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


def quote(text: str) -> str:
    """As Go's %q."""
    return f'"{"".join(map(_quoted, text))}"'


def _quoted(char: str) -> str:
    if char in _NAMES or char.isprintable():
        return _NAMES.get(char, char)
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unquoted(text: str) -> str:
    """What a constant in quotes means; raises ValueError as Go's strconv.Unquote, also for single bytes."""
    if text.startswith("`"):
        return text[1:-1].replace("\r", "")
    try:
        meant: str = ast.literal_eval(text) if _QUOTED.fullmatch(text) else "\ud800"
    except (SyntaxError, ValueError):  # beyond the last character, or a zero byte
        meant = "\ud800"
    if meant != whole(meant):
        raise ValueError("invalid syntax")
    return meant
