"""TOML that is proved before it is used: written with `toml`, read back with `tomllib`, compared.

The package's own encoder corrupts control characters, backslashes, tables in lists and every type that it
does not know, without an error. This one renders values itself and leaves only the order of the top tables
to the package.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import toml

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class UnwritableTomlError(ValueError):
    """The data cannot be written as TOML."""


def dumps(document: Mapping[str, Any]) -> str:
    """The document as TOML text; raises `UnwritableTomlError` for what would not come back equal."""
    try:
        text = toml.dumps(dict(document), encoder=_Encoder())
        same = tomllib.loads(text) == document
    except (TypeError, ValueError, IndexError) as error:
        raise UnwritableTomlError(f"cannot be written as TOML: {error}") from error
    if not same:
        raise UnwritableTomlError("does not read back equal from TOML")
    return text


if TYPE_CHECKING:
    _Base = toml.TomlEncoder[dict[str, Any]]
else:
    _Base = toml.TomlEncoder


class _Encoder(_Base):
    def dump_sections(self, o: Any, sup: str) -> Any:
        """Scalars and arrays of tables as text; plain tables are returned for the package to place."""
        prefix = f"{sup}." if sup and not sup.endswith(".") else sup
        lines: list[str] = []
        arrays: list[str] = []
        tables: dict[str, Any] = {}
        for key, value in o.items():
            name = _key(key)
            if isinstance(value, Mapping):
                tables[name] = value
            elif _is_array_of_tables(value):
                arrays += [_table(f"[[{prefix}{name}]]", f"{prefix}{name}", entry) for entry in value]
            else:
                lines.append(f"{name} = {_value(value)}\n")
        return "".join(lines + arrays), tables


def _table(header: str, path: str, content: Mapping[str, Any]) -> str:
    text, tables = _Encoder().dump_sections(content, path)
    inner = [_table(f"[{path}.{name}]", f"{path}.{name}", table) for name, table in tables.items()]
    return "".join([f"{header}\n", text, *inner])


def _is_array_of_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key must be text, not {type(key).__name__}")
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(str(value))
        case int():
            return str(int(value))
        case float():
            return repr(value)
        case datetime() | date() | time():
            return value.isoformat()
        case list() | tuple():
            return "[" + ", ".join(_value(entry) for entry in value) + "]"
        case Mapping():
            return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
        case _:
            raise TypeError(f"no TOML type for {type(value).__name__}")
