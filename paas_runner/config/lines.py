"""Where a key stands in a TOML text.

`tomllib` gives no positions, but it reads every prefix of a valid text that does not stop inside a value. So
a key begins on the line after the longest readable prefix without it. The text is read about a dozen times
for one key: this is meant for complaints.
"""

import re
import tomllib
from bisect import bisect_left
from typing import Any, TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(at: KeyPath) -> str:
    """The path as a reader writes it: `runners[0].docker."odd key"`."""
    text = ""
    for step in at:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if _BARE.fullmatch(step) else f'"{step}"')
    return text


def line_of(text: str, at: KeyPath) -> int:
    """The line, from 1, on which a key of a valid `text` begins; an absent key has the line of its table."""
    lines = text.replace("\r\n", "\n").split("\n")
    at = _present_part(_longest(lines, len(lines))[1], at)
    if not at:
        return 1
    last = bisect_left(
        range(len(lines) + 1), True, key=lambda count: _present_part(_longest(lines, count)[1], at) == at
    )
    return _longest(lines, last - 1)[0] + 1


def _present_part(document: dict[str, Any], at: KeyPath) -> KeyPath:
    value: Any = document
    for depth, step in enumerate(at):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return at[:depth]
    return at


def _longest(lines: list[str], count: int) -> tuple[int, dict[str, Any]]:
    """The longest readable prefix of at most `count` lines: its length and content."""
    for length in range(count, 0, -1):
        try:
            return length, tomllib.loads("\n".join(lines[:length]))
        except (tomllib.TOMLDecodeError, RecursionError):
            continue
    return 0, {}
