"""The functions that templates have: Go's but those that escape for other languages, and `default`."""

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from paas_pipelines.template.formatting import formatted, go_type, of_json, show_all
from paas_pipelines.template.strings import CallError, Work

Call: TypeAlias = Callable[..., Any]
"""Gets what the rendering may still take, and the arguments; raises `CallError`."""

NOT_OFFERED = frozenset({"call", "html", "js", "urlquery"})
"""Functions of Go's that are none here."""

_ORDERED = ("int", "float64", "string")


def _print(work: Work, *values: Any, line: bool = False) -> str:
    return show_all(work, values, line=line)


def _printf(work: Work, pattern: Any, *values: Any) -> str:
    if not isinstance(pattern, str):
        raise CallError(f"expected string; got {go_type(pattern)}")
    return formatted(work, pattern, values)


def _length(_work: Work, value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping | list | tuple):
        return len(value)
    raise CallError(f"len of type {go_type(value)}")


def _position(index: Any, most: int) -> int:
    if not isinstance(index, int) or isinstance(index, bool):
        raise CallError(f"cannot index slice/array with type {go_type(index)}")
    if not 0 <= index <= most:
        raise CallError(f"index out of range: {index}")
    return index


def _index(_work: Work, item: Any, *indexes: Any) -> Any:
    for index in indexes:
        if isinstance(item, Mapping):
            if not isinstance(index, str):
                raise CallError(f"value has type {go_type(index)}; should be string")
            item = of_json(item.get(index))
        elif isinstance(item, list | tuple):
            item = of_json(item[_position(index, len(item) - 1)])
        elif isinstance(item, str):
            item = item.encode()[_position(index, len(item.encode()) - 1)]
        else:
            raise CallError(f"can't index item of type {go_type(item)}")
    return item


def _slice(_work: Work, item: Any, *indexes: Any) -> Any:
    if len(indexes) > 2:
        raise CallError(f"too many slice indexes: {len(indexes)}")
    if not isinstance(item, str | list | tuple):
        raise CallError(f"can't slice item of type {go_type(item)}")
    sequence = item.encode() if isinstance(item, str) else item
    bounds = [_position(index, len(sequence)) for index in indexes]
    first, last = [*bounds, *[0, len(sequence)][len(bounds) :]]
    if first > last:
        raise CallError(f"invalid slice index: {first} > {last}")
    part = sequence[first:last]
    return part.decode(errors="replace") if isinstance(part, bytes) else part


def _equal(_work: Work, first: Any, *others: Any) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    return any(_same(first, other) for other in others)


def _same(first: Any, second: Any) -> bool:
    if first is None or second is None:
        return first is second
    if (kind := _common_type(first, second)) not in ("bool", *_ORDERED):
        raise CallError(f"non-comparable type {kind}")
    return bool(first == second)


def _ordered(compare: Callable[[Any, Any], bool], _work: Work, first: Any, second: Any) -> bool:
    if not {go_type(first), go_type(second)}.issubset(_ORDERED):
        raise CallError("invalid type for comparison")
    _common_type(first, second)
    return compare(first, second)


def _common_type(first: Any, second: Any) -> str:
    if (kind := go_type(first)) != go_type(second):
        raise CallError(f"incompatible types for comparison: {kind} and {go_type(second)}")
    return kind


def _default(_work: Work, fallback: Any, value: Any) -> Any:
    """The second, or the first where that is empty; a number never is. nil is, other than taskctl's."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if value or number else fallback


def _last(_work: Work, *values: Any) -> Any:
    """Of `and` and `or`, whose other arguments have decided nothing."""
    return values[-1]


FUNCTIONS: Mapping[str, tuple[Call, int, int | None]] = {
    "and": (_last, 1, None),
    "or": (_last, 1, None),
    "not": (lambda _work, value: not value, 1, 1),
    "len": (_length, 1, 1),
    "index": (_index, 1, None),
    "slice": (_slice, 1, None),
    "print": (_print, 0, None),
    "println": (partial(_print, line=True), 0, None),
    "printf": (_printf, 1, None),
    "eq": (_equal, 1, None),
    "ne": (lambda work, first, second: not _equal(work, first, second), 2, 2),
    "lt": (partial(_ordered, operator.lt), 2, 2),
    "le": (partial(_ordered, operator.le), 2, 2),
    "gt": (partial(_ordered, operator.gt), 2, 2),
    "ge": (partial(_ordered, operator.ge), 2, 2),
    "default": (_default, 2, 2),
}
"""Each with the fewest arguments that it takes, and the most; None is any number."""
