"""Settings as declarations, the same for every kind of plugin.

A plugin, an executor for one, declares its keys as the fields of a frozen attrs class, each made by
`setting`; `declared` gives them back. Name, type, default, meaning and limits come from there alone: for the
reader of the configuration (`config.reader`), for registration, and for the documents.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from importlib.metadata import entry_points
from types import NoneType
from typing import Any, Protocol, get_args, get_origin, get_type_hints

import attrs

from paas_runner.setting_types import SCALARS, TEXTS, UnfitError, check_token


def setting(
    doc: str,
    *,
    default: Any = attrs.NOTHING,
    factory: Callable[[], Any] | None = None,
    key: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Iterable[str] = (),
    token: bool = False,
) -> Any:
    """Declare one configuration key as a field of a frozen attrs class.

    The field's annotation is the type: `str`, `int`, `float`, `bool`, `Secret`, `timedelta` (a number of
    seconds in the file), `Path`, `Url`, `GoDuration`, `ReadableFile`, `Fraction`, `Sequence[str]`,
    `Mapping[str, str]`, `Mapping[str, Sequence[str]]`, another such class for a sub-table, or a `Mapping`
    from `str` to such a class for sub-tables with names of the operator's; with `| None` it may be absent.
    Without default or factory the key is required. `key` is its name in the file when that is no Python name.
    A `Secret` that is sent in the header of a request is a `token`.

    A class may add `problems(self) -> Iterable[tuple[str, str]]`: contradictions between keys, as pairs of
    the key to point at and a sentence.
    """
    metadata = {
        "doc": doc,
        "key": key,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices),
        "token": token,
    }
    if factory is not None:
        return attrs.field(factory=factory, metadata=metadata)
    return attrs.field(default=default, metadata=metadata)


class PluginKind(Protocol):
    """What an entry point of ours names, whatever it adds to."""

    @property
    def settings(self) -> type[Any]:
        """A frozen attrs class whose fields, made by `setting`, are the keys that the plugin's table gets."""


def installed_plugins(group: str) -> Mapping[str, Callable[[], Any]]:
    """The entry points of a group on this machine by name; calling a value imports that plugin."""
    return {entry.name: entry.load for entry in entry_points(group=group)}


@attrs.frozen(kw_only=True)
class Key:
    """One declared key."""

    field: str
    written: str
    """Its name in the file."""

    kind: Any
    """The type of a value that is there."""

    doc: str
    required: bool
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    token: bool

    @property
    def expected(self) -> str:
        """What is accepted, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.kind == TEXTS:
            return "a list of texts"
        if self.kind not in SCALARS:
            return "a table"
        limit = "" if self.minimum is None else f" of at least {self.minimum:g}"
        return SCALARS[self.kind].expects + limit

    def check_limits(self, value: Any) -> None:
        """Raise `UnfitError` for a value beyond the declared limits."""
        if self.token:
            check_token(value)
        amount = value.total_seconds() if isinstance(value, timedelta) else value
        if (self.minimum is not None and amount < self.minimum) or (
            self.choices and value not in self.choices
        ):
            raise UnfitError
        if self.maximum is not None and amount > self.maximum:
            raise UnfitError(f"more than {self.maximum:g}, which is the most")


_DECLARED: dict[type[Any], Sequence[Key]] = {}


def declared(cls: type[Any]) -> Sequence[Key]:
    """The keys that a settings class declares; raises TypeError for a type that no setting may have."""
    if cls not in _DECLARED:
        _DECLARED[cls] = tuple(_keys(cls))
    return _DECLARED[cls]


def _keys(cls: type[Any]) -> Iterator[Key]:
    types = get_type_hints(cls)
    for field in attrs.fields(cls):
        if "doc" not in field.metadata:
            continue
        kind = _without_none(types[field.name])
        if not (kind in SCALARS or attrs.has(kind) or kind == TEXTS or get_origin(kind) is Mapping):
            raise TypeError(f"{cls.__name__}.{field.name}: {kind} is no type of a setting")
        yield Key(
            field=field.name,
            written=field.metadata["key"] or field.name,
            kind=kind,
            doc=field.metadata["doc"],
            required=field.default is attrs.NOTHING,
            minimum=field.metadata["minimum"],
            maximum=field.metadata["maximum"],
            choices=field.metadata["choices"],
            token=field.metadata["token"],
        )


def keys_of(cls: type[Any]) -> frozenset[str]:
    """The names in the file of all keys that a settings class declares."""
    return frozenset(key.written for key in declared(cls))


def contradictions(instance: Any) -> Iterable[tuple[str, str]]:
    """What a settings class says against its own values: a key each, and a sentence."""
    return instance.problems() if hasattr(instance, "problems") else ()


def _without_none(hint: Any) -> Any:
    """The type of a value that is there: `T` for `T | None`."""
    types = [each for each in get_args(hint) if each is not NoneType]
    return types[0] if NoneType in get_args(hint) else hint
