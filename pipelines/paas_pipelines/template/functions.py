"""The functions that templates have: Go's, and taskctl's `default`."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote_plus

import attrs

from paas_pipelines.template.formatting import Byte, Held, bare, brief, go_type, held, show_all
from paas_pipelines.template.printing import formatted
from paas_pipelines.template.strings import CallError, Work, octets, of_octets

Call: TypeAlias = Callable[[Work, Sequence[Any]], Any]
"""Gets the arguments; raises `CallError`."""

_HTML = str.maketrans({'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"})
_SCRIPT = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "=": "\\u003D",
}


@attrs.frozen(kw_only=True)
class Offered:
    """A function, with the number of arguments it takes; `most` is None where there is no end."""

    call: Call
    least: int = 0
    most: int | None = None


def truth(value: Any) -> bool:
    """Neither zero, empty, false nor nil."""
    return bool(bare(value))


def _text(work: Work, values: Sequence[Any], *, line: bool = False) -> str:
    return show_all(work, [bare(value) for value in values], line=line)


def _printable(work: Work, values: Sequence[Any]) -> str:
    """As the escaping functions print: nil is no value."""
    return _text(work, ["<no value>" if bare(value) is None else value for value in values])


def _printf(work: Work, values: Sequence[Any]) -> str:
    pattern, *others = map(bare, values)
    return formatted(work, pattern, others)


def _script(work: Work, values: Sequence[Any]) -> str:
    def escaped(char: str) -> str:
        if char in _SCRIPT:
            return _SCRIPT[char]
        return char if char.isprintable() else f"\\u{ord(char):04X}"

    return "".join(escaped(char) for char in _printable(work, values))


def _length(_work: Work, values: Sequence[Any]) -> int:
    value = bare(values[0])
    if isinstance(value, str):
        return len(octets(value))
    if isinstance(value, Mapping | list | tuple):
        return len(value)
    if isinstance(values[0], Held) and value is None:
        raise CallError("len of nil pointer")
    raise CallError("len of nil" if value is None else f"len of type {go_type(value)}")


def _position(index: Any, most: int) -> int:
    if index is None:
        raise CallError("cannot index slice/array with nil")
    if not isinstance(index, int) or isinstance(index, bool):
        raise CallError(f"cannot index slice/array with type {go_type(index)}")
    if not 0 <= index <= most:
        raise CallError(f"index out of range: {index}")
    return index


def _index(_work: Work, values: Sequence[Any]) -> Any:
    item = bare(values[0])
    if item is None:
        raise CallError("index of untyped nil")
    for index in map(bare, values[1:]):
        match item:
            case None:
                raise CallError("index of nil pointer")
            case Mapping():
                if not isinstance(index, str):
                    told = f"value has type {go_type(index)}" if index is not None else "value is nil"
                    raise CallError(f"{told}; should be {'of type ' * (index is None)}string")
                item = held(item.get(index)).value
            case str() | list() | tuple():
                sequence = octets(item) if isinstance(item, str) else item
                position = _position(index, len(sequence))
                if position == len(sequence):
                    raise CallError(
                        f"reflect: {'string' if isinstance(item, str) else 'slice'} index out of range"
                    )
                item = Byte(sequence[position]) if isinstance(item, str) else held(item[position]).value
            case _:
                raise CallError(f"can't index item of type {go_type(item)}")
    return item


def _slice(_work: Work, values: Sequence[Any]) -> Any:
    """With two bounds at the most: a third one, for the capacity, has no meaning here."""
    item, indexes = bare(values[0]), values[1:]
    if item is None:
        raise CallError("slice of untyped nil")
    if len(indexes) > 2:
        raise CallError(f"too many slice indexes: {len(indexes)}")
    if not isinstance(item, str | list | tuple):
        raise CallError(f"can't slice item of type {go_type(item)}")
    sequence = octets(item) if isinstance(item, str) else item
    bounds = [_position(bare(index), len(sequence)) for index in indexes]
    first, last = [*bounds, *[0, len(sequence)][len(bounds) :]]
    if first > last:
        raise CallError(f"invalid slice index: {first} > {last}")
    part = sequence[first:last]
    return of_octets(part) if isinstance(part, bytes) else part


def _kind(value: Any) -> str:
    """Of what can be compared; empty for what cannot."""
    name = go_type(value) if value is not None else ""
    return {"uint8": "int"}.get(name, name) if name in ("bool", "int", "uint8", "float64", "string") else ""


def _equal(_work: Work, values: Sequence[Any]) -> bool:
    first = bare(values[0])
    if len(values) < 2:
        raise CallError("missing argument for comparison")
    for other in map(bare, values[1:]):
        if first is None or other is None:
            same = first is other
        elif _kind(first) != _kind(other):
            raise CallError(f"incompatible types for comparison: {go_type(first)} and {go_type(other)}")
        elif _kind(first):
            same = first == other
        elif go_type(first) != go_type(other):
            types = f"{brief(first)}: {go_type(first)}, {go_type(other)}: {brief(other)}"
            raise CallError(f"non-comparable types {types}")
        else:
            raise CallError(f"non-comparable type {brief(other)}: {go_type(other)}")
        if same:
            return True
    return False


def _less(_work: Work, values: Sequence[Any]) -> bool:
    first, second = map(bare, values)
    kinds = _kind(first), _kind(second)
    if "" in kinds:
        raise CallError("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise CallError(f"incompatible types for comparison: {go_type(first)} and {go_type(second)}")
    if kinds[0] == "bool":
        raise CallError("invalid type for comparison")
    return bool(first < second)


def _less_or_equal(work: Work, values: Sequence[Any]) -> bool:
    return _less(work, values) or _equal(work, values)


def _not(test: Call, work: Work, values: Sequence[Any]) -> bool:
    return not test(work, values)


def _default(_work: Work, values: Sequence[Any]) -> Any:
    """The second, or the first where that is empty; a number never is. nil is, other than taskctl's."""
    fallback, value = map(bare, values)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if value or number else fallback


def _unreachable(_work: Work, _values: Sequence[Any]) -> Any:
    raise CallError("evaluated by the evaluation itself")


FUNCTIONS: Mapping[str, Offered] = {
    "and": Offered(call=_unreachable, least=1),
    "or": Offered(call=_unreachable, least=1),
    "not": Offered(call=lambda _work, values: not truth(values[0]), least=1, most=1),
    "len": Offered(call=_length, least=1, most=1),
    "index": Offered(call=_index, least=1),
    "slice": Offered(call=_slice, least=1),
    "print": Offered(call=_text),
    "println": Offered(call=functools.partial(_text, line=True)),
    "printf": Offered(call=_printf, least=1),
    "html": Offered(call=lambda work, values: _printable(work, values).translate(_HTML)),
    "js": Offered(call=_script),
    "urlquery": Offered(call=lambda work, values: quote_plus(octets(_printable(work, values)))),
    "eq": Offered(call=_equal, least=1),
    "ne": Offered(call=functools.partial(_not, _equal), least=2, most=2),
    "lt": Offered(call=_less, least=2, most=2),
    "le": Offered(call=_less_or_equal, least=2, most=2),
    "gt": Offered(call=functools.partial(_not, _less_or_equal), least=2, most=2),
    "ge": Offered(call=functools.partial(_not, _less), least=2, most=2),
    "default": Offered(call=_default, least=2, most=2),
}
