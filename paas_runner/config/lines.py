"""Where a key stands in a TOML text.

`tomllib` gives no positions, but it reads every prefix of a valid text that does not stop inside a value. So
a key begins on the line after the longest readable prefix without it. The text is read about a dozen times
for one key: this is meant for complaints.
"""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PROBE = "of no file: to see which table a text ends in"


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
    """The line, from 1, on which a key of a valid `text` begins; an absent key has the line of its table.

    A key that is there in another case alone is found, too.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    at = _as_written(_longest(lines, len(lines))[1], at)
    if not at:
        return 1
    last = bisect_left(
        range(len(lines) + 1), True, key=lambda count: _present_part(_longest(lines, count)[1], at) == at
    )
    return _longest(lines, last - 1)[0] + 1


def repeated_on(text: str, line: int) -> tuple[KeyPath, int] | None:
    """The key that the statement which ends on `line` gives once more, and the line on which it is first.

    `text` is readable before that statement. None where the statement has another fault.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    length, document = _longest(lines, line - 1)
    before, statement = "\n".join(lines[:length]), "\n".join(lines[length:line])
    opens_a_table = statement.lstrip().startswith("[")
    try:
        keys = tomllib.loads(statement if opens_a_table else statement.partition("=")[0] + "= 0")
        probed = tomllib.loads(f'{before}\n"{_PROBE}" = 0')
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    table = () if opens_a_table else _place_of_probe(probed) or ()
    at = _with_last_tables(document, (*table, *_chain(keys)))
    return (at, line_of(before, at)) if _present_part(document, at) else None


def _place_of_probe(value: Any) -> KeyPath | None:
    """The table in which a text ends, by the key that was added to its end."""
    if isinstance(value, dict) and _PROBE in value:
        return ()
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, each in steps:
        if (found := _place_of_probe(each)) is not None:
            return (step, *found)
    return None


def _chain(keys: Any) -> Iterator[str]:
    """The steps of a statement's key."""
    while isinstance(keys, dict) and keys:
        [(step, keys)] = keys.items()
        yield step
        keys = keys[0] if isinstance(keys, list) else keys


def _with_last_tables(document: Any, at: KeyPath) -> KeyPath:
    """The path with the number of a table wherever it goes on in the last one of several."""
    whole: KeyPath = ()
    for step in at:
        if isinstance(document, list) and document and isinstance(step, str):
            whole, document = (*whole, len(document) - 1), document[-1]
        whole = (*whole, step)
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            document = None
    return whole


def _as_written(document: dict[str, Any], at: KeyPath) -> KeyPath:
    """What there is of a path, with its keys in the case in which they stand there."""
    value: Any = document
    written: KeyPath = ()
    for step in at:
        found = step
        if isinstance(value, dict) and isinstance(step, str) and step not in value:
            found = next((key for key in value if key.lower() == step.lower()), step)
        try:
            value = value[found]
        except (KeyError, IndexError, TypeError):
            break
        written = (*written, found)
    return written


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
