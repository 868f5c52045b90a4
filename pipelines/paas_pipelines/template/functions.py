"""The functions that templates have: Go's but those that escape for other languages, and `default`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from paas_pipelines.template.formatting import formatted, go_type, of_json, show_all
from paas_pipelines.template.strings import CallError, Work

Call: TypeAlias = Callable[[Work, Sequence[Any]], Any]
"""Gets the arguments; raises `CallError`."""

NOT_OFFERED = frozenset({"call", "html", "js", "urlquery"})
"""Functions of Go's that are none here."""

_COMPARABLE = frozenset({"bool", "int", "float64", "string"})


def _printf(work: Work, values: Sequence[Any]) -> str:
    pattern, *others = values
    if not isinstance(pattern, str):
        raise CallError(f"expected string; got {go_type(pattern)}")
    return formatted(work, pattern, others)


def _length(_work: Work, values: Sequence[Any]) -> int:
    value = values[0]
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


def _index(_work: Work, values: Sequence[Any]) -> Any:
    item, *indexes = values
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


def _slice(_work: Work, values: Sequence[Any]) -> Any:
    item, *indexes = values
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


def _compared(values: Sequence[Any], *, ordered: bool) -> bool:
    """Whether the first is the second, or below it; raises `CallError` where Go does not compare them."""
    first, second = values
    kinds = go_type(first), go_type(second)
    if not ordered and "nil" in kinds:
        return first is second
    if ordered and (not _COMPARABLE.issuperset(kinds) or kinds == ("bool", "bool")):
        raise CallError("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise CallError(f"incompatible types for comparison: {kinds[0]} and {kinds[1]}")
    if kinds[0] not in _COMPARABLE:
        raise CallError(f"non-comparable type {kinds[1]}")
    return bool(first < second if ordered else first == second)


def _equal(_work: Work, values: Sequence[Any]) -> bool:
    first, *others = values
    if not others:
        raise CallError("missing argument for comparison")
    return any(_compared((first, other), ordered=False) for other in others)


def _less(_work: Work, values: Sequence[Any]) -> bool:
    return _compared(values, ordered=True)


def _less_or_equal(work: Work, values: Sequence[Any]) -> bool:
    return _less(work, values) or _equal(work, values)


def _not(test: Call, work: Work, values: Sequence[Any]) -> bool:
    return not test(work, values)


def _default(_work: Work, values: Sequence[Any]) -> Any:
    """The second, or the first where that is empty; a number never is. nil is, other than taskctl's."""
    fallback, value = values
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if value or number else fallback


def _last(_work: Work, values: Sequence[Any]) -> Any:
    """Of `and` and `or`, whose other arguments have decided nothing."""
    return values[-1]


FUNCTIONS: Mapping[str, tuple[Call, int, int | None]] = {
    "and": (_last, 1, None),
    "or": (_last, 1, None),
    "not": (lambda _work, values: not values[0], 1, 1),
    "len": (_length, 1, 1),
    "index": (_index, 1, None),
    "slice": (_slice, 1, None),
    "print": (show_all, 0, None),
    "println": (partial(show_all, line=True), 0, None),
    "printf": (_printf, 1, None),
    "eq": (_equal, 1, None),
    "ne": (partial(_not, _equal), 2, 2),
    "lt": (_less, 2, 2),
    "le": (_less_or_equal, 2, 2),
    "gt": (partial(_not, _less_or_equal), 2, 2),
    "ge": (partial(_not, _less), 2, 2),
    "default": (_default, 2, 2),
}
"""Each with the fewest arguments that it takes, and the most; None is any number."""
