"""A strict reader of tables into settings classes: those whose fields `paas_runner.executor.setting` makes.

It reads to the end whatever is wrong, and notes each fault with the path of its key. cattrs could do it, but
would need a hook for every type, a factory for renamed keys and minima, and as many lines again to turn its
nested exceptions back into paths; what it would save is the loop in `values`.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import attrs

from paas_runner.config.complaints import Findings
from paas_runner.config.lines import KeyPath
from paas_runner.config.secret_references import Surroundings, is_literal
from paas_runner.config.values import SCALARS, UnfitError, described
from paas_runner.secret import Secret

TEXTS = Sequence[str]
TABLE_OF_LISTS = Mapping[str, Sequence[str]]


def keys_of(cls: type[Any]) -> frozenset[str]:
    """The names in the file of all keys that a settings class declares."""
    return frozenset(key.written for key in _keys(cls))


def did_you_mean(word: str, known: Collection[str]) -> str:
    """A question naming the nearest known word; empty if none is near."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"did you mean `{near[0]}`?" if near else ""


@attrs.frozen(kw_only=True)
class Reader:
    """Reads one file's tables; `aliases` are, by class, names that are accepted for keys with a warning."""

    findings: Findings
    around: Surroundings
    aliases: Mapping[type[Any], Mapping[str, str]]

    def values(self, cls: type[Any], table: Mapping[str, Any], at: KeyPath) -> dict[str, Any]:
        """The fields of `cls` that `table` gives, None for a wrong one; other keys are not looked at."""
        values = {}
        for key in _keys(cls):
            written = self._written(cls, key.written, table, at)
            if written is not None:
                values[key.field] = self._value(key, table[written], (*at, written))
            elif key.required:
                self.findings.wrong((*at, key.written), "nothing", expected=key.expected)
        return values

    def instance(self, cls: type[Any], table: Mapping[str, Any], at: KeyPath) -> Any:
        """An instance of `cls` from its keys in `table`; None if a fault was noted."""
        before = len(self.findings.faults)
        values = self.values(cls, table, at)
        if len(self.findings.faults) > before:
            return None
        instance = cls(**values)
        if hasattr(instance, "problems"):
            for key, sentence in instance.problems():
                self.findings.wrong((*at, key), sentence)
        return None if len(self.findings.faults) > before else instance

    def refuse_unknown(self, table: Mapping[str, Any], at: KeyPath, known: Collection[str]) -> None:
        """Note every key of `table` that is not `known`, with the nearest one that is."""
        for key in table:
            if key not in known:
                self.findings.wrong((*at, key), "unknown key", hint=did_you_mean(key, known))

    def _written(self, cls: type[Any], key: str, table: Mapping[str, Any], at: KeyPath) -> str | None:
        """The name by which `table` has the key, if it has it."""
        found = key if key in table else None
        for alias, meant in self.aliases.get(cls, {}).items():
            if meant != key or alias not in table:
                continue
            if found:
                self.findings.wrong((*at, alias), f"another name of `{key}`, which is also there; keep one")
            else:
                self.findings.warn((*at, alias), f"accepted, but its name is `{key}`")
                found = alias
        return found

    def _value(self, key: "_Key", raw: Any, at: KeyPath) -> Any:
        """A single value, a sub-table's instance or a table of texts; None if a fault was noted."""
        if key.kind in SCALARS:
            return self._scalar(key, raw, at)
        if key.kind == TEXTS:
            return self._list(raw, at)
        if not isinstance(raw, dict):
            self.findings.wrong(at, described(raw, quote=False), expected=key.expected)
            return None
        if attrs.has(key.kind):
            self.refuse_unknown(raw, at, keys_of(key.kind) | self.aliases.get(key.kind, {}).keys())
            return self.instance(key.kind, raw, at)
        if key.kind == TABLE_OF_LISTS:
            return {name: self._list(value, (*at, name)) for name, value in raw.items()}
        return self._texts(raw, at)

    def _list(self, raw: Any, at: KeyPath) -> tuple[str, ...] | None:
        if not isinstance(raw, list) or not all(isinstance(each, str) and each for each in raw):
            self.findings.wrong(at, described(raw, quote=False), expected="a list of texts")
            return None
        return tuple(raw)

    def _scalar(self, key: "_Key", raw: Any, at: KeyPath) -> Any:
        scalar = SCALARS[key.kind]
        if key.kind is Secret and is_literal(raw):
            self.findings.literal_secrets = True
        try:
            value = scalar.read(raw, self.around)
            key.check_limits(value)
        except UnfitError as error:
            if error.args:
                self.findings.wrong(at, str(error))
            else:
                found = described(raw, quote=scalar.quotable)
                hint = did_you_mean(raw, key.choices) if isinstance(raw, str) else ""
                self.findings.wrong(at, found, expected=key.expected, hint=hint)
            return None
        return value

    def _texts(self, raw: dict[str, Any], at: KeyPath) -> dict[str, Any]:
        for key, value in raw.items():
            if not isinstance(value, str):  # never quoted: environments hold credentials
                self.findings.wrong((*at, key), described(value, quote=False), expected="a text")
        return raw


@attrs.frozen(kw_only=True)
class _Key:
    """What a field made by `setting` says about its key."""

    field: str
    written: str
    kind: Any
    required: bool
    minimum: float | None
    choices: tuple[str, ...]

    @property
    def expected(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.kind == TEXTS:
            return "a list of texts"
        if self.kind not in SCALARS:
            return "a table"
        limit = "" if self.minimum is None else f" of at least {self.minimum:g}"
        return SCALARS[self.kind].expects + limit

    def check_limits(self, value: Any) -> None:
        amount = value.total_seconds() if isinstance(value, timedelta) else value
        if (self.minimum is not None and amount < self.minimum) or (
            self.choices and value not in self.choices
        ):
            raise UnfitError


def _keys(cls: type[Any]) -> Iterator[_Key]:
    types = get_type_hints(cls)
    for field in attrs.fields(cls):
        if "doc" not in field.metadata:
            continue
        kind = _without_none(types[field.name])
        if not (kind in SCALARS or attrs.has(kind) or kind == TEXTS or get_origin(kind) is Mapping):
            raise TypeError(f"{cls.__name__}.{field.name}: {kind} is no type of a setting")
        yield _Key(
            field=field.name,
            written=field.metadata["key"] or field.name,
            kind=kind,
            required=field.default is attrs.NOTHING,
            minimum=field.metadata["minimum"],
            choices=field.metadata["choices"],
        )


def _without_none(hint: Any) -> Any:
    """The type of a value that is there: `T` for `T | None`."""
    types = [each for each in get_args(hint) if each is not NoneType]
    return types[0] if NoneType in get_args(hint) else hint
