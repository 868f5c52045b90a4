"""A strict reader of tables into settings classes: those whose fields `paas_runner.executor.setting` makes.

It reads to the end whatever is wrong, and notes each fault with the path of its key. cattrs could do it, but
would need a hook for every type, a factory for renamed keys and minima, and as many lines again to turn its
nested exceptions back into paths; what it would save is the loop in `values`.

Single values of the file: what each type accepts, how it is told, and environment references.

The type alone decides. Beside the types that `paas_runner.executor.setting` promises to everybody there are a
few of our own, told apart by name only: `Url`, `GoDuration`, `ReadableFile`, `Fraction`.
"""

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from types import NoneType
from typing import Any, NewType, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import attrs

from paas_runner.config.complaints import Findings
from paas_runner.config.lines import KeyPath
from paas_runner.config.secret_references import Surroundings, UnavailableError, is_literal
from paas_runner.job.durations import nanoseconds
from paas_runner.secret import Secret

Url = NewType("Url", str)
"""A base address over http or https, without trailing slash, credentials, query or fragment."""

GoDuration = NewType("GoDuration", timedelta)
"""Written as GitLab Runner does: "1h30m", or a whole number of nanoseconds."""

ReadableFile = NewType("ReadableFile", Path)
"""An existing file that we can read; a relative one is found beside the configuration."""

Fraction = NewType("Fraction", float)
"""More than 0, at most 1."""

_REFERENCE = re.compile(r"\$(?:(?P<bare>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)\})", re.ASCII)
_LARGEST_INTEGER = 2**63
_QUOTED_CHARACTERS = 60
_NAMES: Mapping[type, str] = {
    str: "text",
    bool: "boolean",
    int: "whole number",
    float: "number",
    datetime: "date and time",
    date: "date",
    time: "time",
    list: "list",
    dict: "table",
}


class UnfitError(Exception):
    """A value is not what its type accepts; a text, where there is one, says more than that."""


@attrs.frozen
class Scalar:
    """A type of single values: what it expects, in words, and how it is read, raising `UnfitError`.

    What may hold a credential, if only by mistake, is not `quotable`.
    """

    expects: str
    read: Callable[[Any, Surroundings], Any]
    quotable: bool = True


def described(raw: Any, *, quote: bool) -> str:
    """A value of the file for a complaint: itself if it is short and may be told, and what it is."""
    name = _NAMES[type(raw)]
    if raw == "":
        return "an empty text"
    if not quote or isinstance(raw, list | dict):
        return f"a {name}"
    if isinstance(raw, str):
        short = raw if len(raw) <= _QUOTED_CHARACTERS else raw[:_QUOTED_CHARACTERS] + "…"
        return f'"{short}" ({name})'
    if isinstance(raw, bool):
        return f"{str(raw).lower()} ({name})"
    if isinstance(raw, int) and abs(raw) >= _LARGEST_INTEGER:
        return "a whole number beyond 64 bits"
    return f"{raw} ({name})"


def _text(raw: Any, around: Surroundings) -> str:
    def value(reference: re.Match[str]) -> str:
        name = reference["bare"] or reference["braced"]
        if name not in around.environ:
            raise UnfitError(f"the environment variable {name} is not set")
        return around.environ[name]

    if not isinstance(raw, str):
        raise UnfitError
    return _REFERENCE.sub(value, raw)


def _secret(raw: Any, around: Surroundings) -> Secret:
    try:
        referred = around.dereferenced(raw) if isinstance(raw, str) else None
    except UnavailableError as error:
        raise UnfitError(str(error)) from None
    try:
        value = referred or _text(raw, around)
    except UnfitError as error:
        if error.args:  # what looks like a name may be a part of the secret
            raise UnfitError("refers to an environment variable that is not set") from None
        raise
    if not value:
        raise UnfitError("must not be empty")
    return Secret(value)


def _boolean(raw: Any, _: Surroundings) -> bool:
    if not isinstance(raw, bool):
        raise UnfitError
    return raw


def _integer(raw: Any, _: Surroundings) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or abs(raw) >= _LARGEST_INTEGER:
        raise UnfitError
    return raw


def _number(raw: Any, around: Surroundings) -> float:
    value = raw if isinstance(raw, float) else float(_integer(raw, around))
    if not math.isfinite(value):
        raise UnfitError
    return value


def _fraction(raw: Any, around: Surroundings) -> Fraction:
    value = _number(raw, around)
    if not 0 < value <= 1:
        raise UnfitError
    return Fraction(value)


def _seconds(raw: Any, around: Surroundings) -> timedelta:
    try:
        return timedelta(seconds=_number(raw, around))
    except OverflowError:
        raise UnfitError from None


def _go_duration(raw: Any, around: Surroundings) -> GoDuration:
    try:
        span = nanoseconds(raw) if isinstance(raw, str) else _integer(raw, around)
    except ValueError:
        raise UnfitError from None
    if span < 0:  # good in Go, and never meant
        raise UnfitError
    return GoDuration(timedelta(microseconds=span / 1000))


def _path(raw: Any, around: Surroundings) -> Path:
    value = _text(raw, around)
    if not value or "\0" in value:
        raise UnfitError
    return around.folder / value


def _readable_file(raw: Any, around: Surroundings) -> ReadableFile:
    path = _path(raw, around)
    try:
        if not path.is_file():
            raise UnfitError
        path.open("rb").close()
    except OSError as error:
        raise UnfitError(f"cannot be read: {error.strerror}") from None
    return ReadableFile(path)


def _url(raw: Any, around: Surroundings) -> Url:
    value = _text(raw, around)
    if any(mark in value for mark in "@?#"):
        raise UnfitError("credentials, query and fragment have no place in this address")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or " " in value or not value.isprintable():
        raise UnfitError
    return Url(value.rstrip("/"))


SCALARS: Mapping[Any, Scalar] = {
    str: Scalar("a text", _text),
    bool: Scalar("true or false", _boolean),
    int: Scalar("a whole number", _integer),
    float: Scalar("a number", _number),
    timedelta: Scalar("a number of seconds", _seconds),
    Secret: Scalar("a non-empty text", _secret, quotable=False),
    Path: Scalar("a path", _path),
    Url: Scalar("an http or https address", _url, quotable=False),
    GoDuration: Scalar('a duration such as "1h30m"', _go_duration),
    ReadableFile: Scalar("a readable file", _readable_file),
    Fraction: Scalar("a number above 0, at most 1", _fraction),
}


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
