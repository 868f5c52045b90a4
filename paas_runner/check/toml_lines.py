"""A document as TOML with comments, for a reader; what is printed reads back equal."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from datetime import date, time
from typing import Any, TypeAlias

from paas_runner.config.lines import KeyPath

Comments: TypeAlias = Mapping[KeyPath, str]

WIDTH = 100
"""Of a comment, in characters."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def lines(table: Mapping[str, Any], comments: Comments, at: KeyPath = (), head: str = "") -> Iterator[str]:
    """The lines of a table, its single values first; `head` is its name, without numbers of arrays."""
    for key, value in table.items():
        if not _is_table(value):
            yield from _comment(comments, (*at, key))
            yield f"{_key(key)} = {_inline(value)}"
    for key, value in table.items():
        name = f"{head}.{_key(key)}" if head else _key(key)
        if isinstance(value, Mapping):
            yield from ("", *_comment(comments, (*at, key)), f"[{name}]")
            yield from lines(value, comments, (*at, key), name)
        elif _is_table(value):
            for number, each in enumerate(value):
                yield from ("", *_comment(comments, (*at, key, number)), f"[[{name}]]")
                yield from lines(each, comments, (*at, key, number), name)


def _is_table(value: object) -> bool:
    """Whether it gets a header, or several."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, Mapping) for each in value)
    return isinstance(value, Mapping)


def _comment(comments: Comments, at: KeyPath) -> Iterator[str]:
    for line in textwrap.wrap(comments.get(at, ""), WIDTH):
        yield f"# {line}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _inline(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case date() | time():
            return value.isoformat()
        case list():
            return f"[{', '.join(map(_inline, value))}]"
        case Mapping():
            return f"{{{', '.join(f'{_key(name)} = {_inline(each)}' for name, each in value.items())}}}"
        case _:
            return _text(str(value))


def _text(value: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for one character that JSON leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
