"""The functions that templates have: Go's, and taskctl's `default`.

Not offered: the third bound of `slice`, which has no meaning here.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import quote_plus

from paas_pipelines.template.formatting import Byte, Held, bare, brief, formatted, go_type, held, show_all
from paas_pipelines.template.strings import CallError, Work, octets, of_octets

Call: TypeAlias = Callable[[Work, Sequence[Any]], Any]
"""Gets the arguments; raises `CallError`."""

_HTML = str.maketrans({'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"})
_SCRIPT = str.maketrans(
    {"\\": "\\\\", "'": "\\'", '"': '\\"'} | {char: f"\\u{ord(char):04X}" for char in "<>&="}
)


def _text(work: Work, values: Sequence[Any], *, line: bool = False) -> str:
    return show_all(work, [bare(value) for value in values], line=line)


def _printable(work: Work, values: Sequence[Any]) -> str:
    """As the escaping functions print: nil is no value."""
    return _text(work, ["<no value>" if bare(value) is None else value for value in values])


def _printf(work: Work, values: Sequence[Any]) -> str:
    pattern, *others = map(bare, values)
    return formatted(work, pattern, others)


def _script(work: Work, values: Sequence[Any]) -> str:
    text = _printable(work, values).translate(_SCRIPT)
    return "".join(char if char.isprintable() else f"\\u{ord(char):04X}" for char in text)


def _length(_work: Work, values: Sequence[Any]) -> int:
    value = bare(values[0])
    if isinstance(value, str):
        return len(octets(value))
    if isinstance(value, Mapping | list | tuple):
        return len(value)
    if value is None:
        raise CallError("len of nil pointer" if isinstance(values[0], Held) else "len of nil")
    raise CallError(f"len of type {go_type(value)}")


def _position(index: Any, most: int) -> int:
    if not isinstance(index, int) or isinstance(index, bool):
        told = "nil" if index is None else f"type {go_type(index)}"
        raise CallError(f"cannot index slice/array with {told}")
    if not 0 <= index <= most:
        raise CallError(f"index out of range: {index}")
    return index


def _index(_work: Work, values: Sequence[Any]) -> Any:
    item, *indexes = map(bare, values)
    if item is None:
        raise CallError("index of untyped nil")
    for index in indexes:
        if item is None:
            raise CallError("index of nil pointer")
        if isinstance(item, Mapping):
            if not isinstance(index, str):
                kind = (
                    "is nil; should be of type" if index is None else f"has type {go_type(index)}; should be"
                )
                raise CallError(f"value {kind} string")
            item = held(item.get(index)).value
        elif isinstance(item, str | list | tuple):
            sequence = octets(item) if isinstance(item, str) else item
            position = _position(index, len(sequence))
            if position == len(sequence):
                kind = "string" if isinstance(item, str) else "slice"
                raise CallError(f"reflect: {kind} index out of range")
            item = Byte(sequence[position]) if isinstance(item, str) else held(item[position]).value
        else:
            raise CallError(f"can't index item of type {go_type(item)}")
    return item


def _slice(_work: Work, values: Sequence[Any]) -> Any:
    item, *indexes = map(bare, values)
    if item is None:
        raise CallError("slice of untyped nil")
    if len(indexes) > 2:
        raise CallError(f"too many slice indexes: {len(indexes)}")
    if not isinstance(item, str | list | tuple):
        raise CallError(f"can't slice item of type {go_type(item)}")
    sequence = octets(item) if isinstance(item, str) else item
    bounds = [_position(index, len(sequence)) for index in indexes]
    first, last = [*bounds, *[0, len(sequence)][len(bounds) :]]
    if first > last:
        raise CallError(f"invalid slice index: {first} > {last}")
    part = sequence[first:last]
    return of_octets(part) if isinstance(part, bytes) else part


def _kind(value: Any) -> str:
    """Of what can be compared; empty for what cannot."""
    name = "" if value is None else go_type(value).replace("uint8", "int")
    return name if name in ("bool", "int", "float64", "string") else ""


def _compared(values: Sequence[Any], *, ordered: bool) -> bool:
    """Whether the first is the second, or below it; raises `CallError` where Go does not compare them."""
    first, second = values
    if not ordered and (first is None or second is None):
        return first is second
    kinds = _kind(first), _kind(second)
    if ordered and ("" in kinds or kinds == ("bool", "bool")):
        raise CallError("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise CallError(f"incompatible types for comparison: {go_type(first)} and {go_type(second)}")
    if not kinds[0]:
        raise CallError(f"non-comparable type {brief(second)}: {go_type(second)}")
    return bool(first < second if ordered else first == second)


def _equal(_work: Work, values: Sequence[Any]) -> bool:
    first, *others = map(bare, values)
    if not others:
        raise CallError("missing argument for comparison")
    return any(_compared((first, other), ordered=False) for other in others)


def _less(_work: Work, values: Sequence[Any]) -> bool:
    return _compared([bare(value) for value in values], ordered=True)


def _less_or_equal(work: Work, values: Sequence[Any]) -> bool:
    return _less(work, values) or _equal(work, values)


def _not(test: Call, work: Work, values: Sequence[Any]) -> bool:
    return not test(work, values)


def _default(_work: Work, values: Sequence[Any]) -> Any:
    """The second, or the first where that is empty; a number never is. nil is, other than taskctl's."""
    fallback, value = map(bare, values)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if value or number else fallback


def _last(_work: Work, values: Sequence[Any]) -> Any:
    """Of `and` and `or`, whose other arguments have decided nothing."""
    return values[-1]


FUNCTIONS: Mapping[str, tuple[Call, int, int | None]] = {
    "and": (_last, 1, None),
    "or": (_last, 1, None),
    "not": (lambda _work, values: not bare(values[0]), 1, 1),
    "len": (_length, 1, 1),
    "index": (_index, 1, None),
    "slice": (_slice, 1, None),
    "print": (_text, 0, None),
    "println": (partial(_text, line=True), 0, None),
    "printf": (_printf, 1, None),
    "html": (lambda work, values: _printable(work, values).translate(_HTML), 0, None),
    "js": (_script, 0, None),
    "urlquery": (lambda work, values: quote_plus(octets(_printable(work, values))), 0, None),
    "eq": (_equal, 1, None),
    "ne": (partial(_not, _equal), 2, 2),
    "lt": (_less, 2, 2),
    "le": (_less_or_equal, 2, 2),
    "gt": (partial(_not, _less_or_equal), 2, 2),
    "ge": (partial(_not, _less), 2, 2),
    "default": (_default, 2, 2),
}
"""Each with the fewest arguments that it takes, and the most; None is any number."""
