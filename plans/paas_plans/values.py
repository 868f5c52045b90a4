"""Requests and responses as JSON and back: what comes back is equal to what went in.

JSON's own types are themselves; keys with one `$` are ours: `{"$type": "Disk", "size": 1}` is an object of a
class, `{"$type": "bytes", "$value": "…"}` anything else, `{"$secret": …}` a secret, in clear or `"$sealed"`.
A `$` at the beginning of anybody else's key is doubled. A value has to be of exactly the type that is
expected, of no subclass: so whatever fits can be stored, and read again.
"""

import base64
import inspect
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum, Flag
from functools import cache
from itertools import repeat
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NewType, TypeAlias, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import attrs

from paas_plans.errors import DocumentError
from paas_plans.plan import path_words
from paas_plans.secret import HIDDEN, Cipher, fields_of, is_secret, lacks_mark

Json: TypeAlias = Any
"""None, bool, int, float, str, and lists and dicts of them."""

_Place: TypeAlias = tuple[str | int, ...]


_SELF = (NoneType, bool, int, str)
_OTHERS: Mapping[type, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    float: (repr, float),  # those that JSON has no number for
    bytes: (lambda data: base64.b64encode(data).decode(), base64.b64decode),
    datetime: (datetime.isoformat, datetime.fromisoformat),
    timedelta: (
        lambda time: f"{time.days} d {time.seconds}.{time.microseconds:06} s",
        lambda text: timedelta(*map(int, re.findall(r"-?\d+", text))),
    ),
    UUID: (str, UUID),
    Path: (str, Path),
    tuple: (list, tuple),
    set: (list, set),
    frozenset: (list, frozenset),
}
_READERS = {kind.__name__: read for kind, (_, read) in _OTHERS.items()}
_CONTAINERS = (list, tuple, set, frozenset)
_UNIONS = (Union, UnionType)
_JSON = (*_SELF, float, list, dict)
_LEAVES = {*_SELF, *_OTHERS} - {*_CONTAINERS}
_PLAIN = _LEAVES - {datetime, int}  # any value of the type will do
_DEEPEST = 100  # far from where Python ends
_LONGEST_BITS = 14_000  # about 4,200 digits: Python reads no more of them
_STORABLE = (
    "classes of attrs, dataclasses, enums, Literal and JSON's own, bytes, times, UUID, Path, tuples and sets"
)


def _kind(value: object) -> type:
    return Path if isinstance(value, Path) else type(value)


def encode(value: Any, *, cipher: Cipher | None) -> Json:
    """Raises `DocumentError` where a part of it is of a type that cannot be stored; see `misfits`."""
    kind = _kind(value)
    if kind in _SELF or (kind is float and math.isfinite(value)):
        return value
    if kind is list:
        return [encode(item, cipher=cipher) for item in value]
    if kind is dict and all(type(key) is str for key in value):
        return {
            f"${key}" if key[:1] == "$" else key: encode(item, cipher=cipher) for key, item in value.items()
        }
    if kind in _OTHERS:
        return {"$type": kind.__name__, "$value": encode(_OTHERS[kind][0](value), cipher=cipher)}
    if isinstance(value, Enum):
        return {"$type": kind.__name__, "$value": value.value if isinstance(value, Flag) else value.name}
    if (fields := fields_of(kind)) is None:
        raise DocumentError(f"an object of the type {kind.__name__} cannot be stored")
    data = {"$type": kind.__name__}
    for field in fields:
        item = encode(getattr(value, field.name), cipher=cipher)
        data[field.name] = _sealed(item, cipher) if is_secret(field) else item
    return data


def _sealed(data: Json, cipher: Cipher | None) -> Json:
    if cipher is None:
        return {"$secret": data}
    token = cipher.encrypt(json.dumps(data).encode())
    return {"$secret": base64.b64encode(token).decode(), "$sealed": True}


def decode(data: Json, expected: Any, *, cipher: Cipher | None) -> Any:
    """A value of that type; raises `DocumentError`. What a class has no field for (any more) is left out."""
    value = _Reader(_classes_in(expected), cipher).read(data, ())
    if wrong := misfits(value, expected):
        raise DocumentError("; ".join(wrong))
    return value


def for_people(data: Json) -> Json:
    """What `encode` made without what is ours, its secrets hidden."""
    if isinstance(data, list):
        return [for_people(item) for item in data]
    if not isinstance(data, dict):
        return data
    if "$secret" in data:
        return HIDDEN
    if "$value" in data:
        return for_people(data["$value"])
    return {_key(key): for_people(item) for key, item in data.items()}


def _key(key: str) -> str:
    return key[1:] if key[:2] == "$$" else key


@attrs.frozen
class _Reader:
    classes: Mapping[str, type]
    cipher: Cipher | None

    def read(self, data: Json, place: _Place) -> Any:
        if type(data) is list:
            return [self.read(item, (*place, index)) for index, item in enumerate(data)]
        if type(data) is not dict:
            return data
        if "$secret" in data:
            return self._secret(self._unsealed(data, place), place)
        if "$type" in data:
            return self._typed(str(data["$type"]), data, place)
        return {_key(key): self.read(item, (*place, key)) for key, item in data.items()}

    def _unsealed(self, data: dict[str, Json], place: _Place) -> Json:
        if "$sealed" not in data:
            return data["$secret"]
        if self.cipher is None:
            raise DocumentError(f"{_words(place)} is sealed: give the store the key that it was sealed with")
        try:
            return json.loads(self.cipher.decrypt(base64.b64decode(data["$secret"])))
        except Exception:  # noqa: BLE001 - a cipher raises what it likes
            raise DocumentError(f"{_words(place)} was sealed with another key than the store's") from None

    def _secret(self, data: Json, place: _Place) -> Any:
        try:
            return self.read(data, place)
        except DocumentError:  # which may name keys that are secrets, too
            raise DocumentError(f"{_words(place)} is a secret of another type than expected") from None

    def _typed(self, name: str, data: dict[str, Json], place: _Place) -> Any:
        kind = self.classes.get(name)
        if kind is None and name not in _READERS:
            raise DocumentError(f"{_words(place)} is stored as a {name}, which is not expected")
        try:
            if kind is None:
                return _READERS[name](self.read(data["$value"], place))
            if issubclass(kind, Enum):
                return kind(data["$value"]) if issubclass(kind, Flag) else kind[data["$value"]]
            return self._made(kind, data, place)
        except DocumentError:
            raise
        except Exception as error:  # noqa: BLE001 - a constructor raises what it likes, and quotes secrets
            raise DocumentError(f"{_words(place)} is refused by {name}: {type(error).__name__}") from None

    def _made(self, kind: type, data: dict[str, Json], place: _Place) -> Any:
        fields = [field for field in fields_of(kind) or () if field.name in data]
        items = [(field, self.read(data[field.name], (*place, field.name))) for field in fields]
        given = {getattr(field, "alias", field.name): item for field, item in items if field.init}
        if lacking := _asked(kind) - given.keys():
            raise DocumentError(f"{_words(place)} lacks {', '.join(sorted(lacking))}")
        value = kind(**given)
        for field, item in items:  # also what the constructor converts, which was converted before
            object.__setattr__(value, field.name, item)
        return value


def misfits(value: object, expected: Any) -> list[str]:
    """Why a value is not of that type, each with its place in it; quotes nothing of it."""
    if type(value) is expected and expected in _PLAIN:
        return []
    return [f"{_words(place)} {text}" for place, text in _misfits(value, expected, ())]


def _misfits(value: Any, expected: Any, place: _Place) -> Iterator[tuple[_Place, str]]:
    kind = _kind(value)
    wanted, origin, args = (kind, kind, ()) if kind is expected else _shape(expected)
    if len(place) > _DEEPEST:
        yield place[:3], f"is nested more than {_DEEPEST} deep"
    elif origin in _UNIONS and kind not in args:
        tries = {arg: list(_misfits(value, arg, place)) for arg in args}
        if all(tries.values()):
            near = [wrong for arg, wrong in tries.items() if _shape(arg)[1] is kind]
            yield from near[0] if near else [_other(kind, wanted, place)]
    elif origin is Literal:
        if not any(type(arg) is kind and arg == value for arg in args):
            yield place, f"is none of {', '.join(map(repr, args))}"
    elif kind is origin or origin in _UNIONS or (origin is float and kind is int):
        yield from _inner_misfits(value, kind, () if origin in _UNIONS else args, place)
    elif origin is Any and kind in _JSON:
        yield from _inner_misfits(value, kind, (), place)
    else:
        yield _other(kind, wanted, place)


def _inner_misfits(value: Any, kind: type, args: Any, place: _Place) -> Iterator[tuple[_Place, str]]:
    if kind is dict:
        for key, item in value.items():
            if type(key) is str:
                yield from _misfits(item, args[1] if args else Any, (*place, key))
            else:
                yield place, f"has a key of the type {type(key).__name__}, not str"
    elif kind in _CONTAINERS:
        fixed = kind is tuple and args and args[-1] is not ...
        if fixed and len(args) != len(value):
            yield place, f"has {len(value)} items, not {len(args)}"
        each = args if fixed else repeat(args[0] if args else Any)
        for index, (item, arg) in enumerate(zip(value, each, strict=False)):
            yield from _misfits(item, arg, (*place, index))
    elif kind is int and value.bit_length() > _LONGEST_BITS:
        yield place, "is a number of more than 4,000 digits"
    elif kind is datetime and value.utcoffset() is None:
        yield place, "is a time without a zone: say datetime.now(UTC)"
    elif kind not in _LEAVES:
        for field, hint in zip(fields_of(kind) or (), hints_of(kind).values(), strict=True):
            inner = (*place, field.name)
            wrong = _misfits(getattr(value, field.name), hint, inner)
            yield from ((inner, text) for _, text in wrong) if is_secret(field) else wrong


def _other(kind: type, wanted: Any, place: _Place) -> tuple[_Place, str]:
    return place, f"is of the type {kind.__name__}, not {_name(wanted)}"


def _name(wanted: Any) -> str:
    return "JSON's own" if wanted is Any else wanted.__name__ if isinstance(wanted, type) else str(wanted)


def _words(place: _Place) -> str:
    return path_words(place) if place else "it"


def _where(place: _Place) -> str:
    return f"{path_words(place)}: " if place else ""


def _shape(expected: Any) -> tuple[Any, Any, tuple[Any, ...]]:
    """A type without what says nothing of its values, what it is of, and of what."""
    if isinstance(expected, NewType):
        return _shape(expected.__supertype__)
    wanted = NoneType if expected is None else expected
    return wanted, get_origin(wanted) or wanted, get_args(wanted)


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    """The types of the fields of a class."""
    fields = fields_of(kind)
    hints = get_type_hints(kind) if fields else {}
    return {field.name: hints.get(field.name, Any) for field in fields or ()}


@cache
def _asked(kind: Any) -> set[str]:
    """What its constructor has no default for."""
    parameters = inspect.signature(kind).parameters
    return {name for name, parameter in parameters.items() if parameter.default is parameter.empty}


def complaints(expected: Any) -> list[str]:
    """What of a type cannot be stored, or must be marked as a secret or none, each with its place in it."""
    found: list[str] = []
    _survey(expected, (), {}, found)
    return found


@cache
def _classes_in(expected: Any) -> dict[str, type]:
    """Those that a value of that type may have in it, by name."""
    classes: dict[str, type] = {}
    _survey(expected, (), classes, [])
    return classes


def _survey(expected: Any, place: _Place, classes: dict[str, type], found: list[str]) -> None:
    wanted, origin, args = _shape(expected)
    if wanted is Any or origin in _LEAVES or wanted in classes.values():
        return
    if origin in (*_UNIONS, *_CONTAINERS) or (origin is dict and (not args or _shape(args[0])[0] is str)):
        for arg in args:
            if arg is not ...:
                _survey(arg, place, classes, found)
    elif isinstance(wanted, type) and (issubclass(wanted, Enum) or fields_of(wanted) is not None):
        _survey_class(wanted, place, classes, found)
    elif origin is not Literal or not all(type(arg) in _SELF for arg in args):
        found.append(f"{_where(place)}{_name(wanted)} cannot be stored; {_STORABLE} can")


def _survey_class(kind: type, place: _Place, classes: dict[str, type], found: list[str]) -> None:
    if classes.setdefault(kind.__name__, kind) is not kind or kind.__name__ in _READERS:
        found.append(f"{_where(place)}another class is named {kind.__name__} as well")
        return
    fields = fields_of(kind) or ()
    try:
        hints, asked = hints_of(kind), _asked(kind) if fields else set()
    except Exception as error:  # noqa: BLE001 - annotations are any code
        found.append(f"{_where(place)}the annotations of {kind.__name__} cannot be read: {error}")
        return
    if others := asked - {getattr(field, "alias", field.name) for field in fields if field.init}:
        told = f"to make a {kind.__name__} takes {', '.join(sorted(others))} beside its fields"
        found.append(f"{_where(place)}{told}")
    for field in fields:
        inner = (*place, field.name)
        if lacks_mark(field):
            found.append(f"{_words(inner)} looks like a secret: mark it with secret() or not_secret()")
        if is_secret(field) and field.repr:
            found.append(f"{_words(inner)} is a secret that whoever logs its object tells: add repr=False")
        _survey(hints[field.name], inner, classes, found)
