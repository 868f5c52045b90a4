"""The settings that a pipeline file gives a plug-in: checked when it is read, made when the task runs.

Whoever writes that file is not trusted: unlike in the TOML, no text of it stands for a variable, a file or a
secret of the server. A `Secret` is `{from_credential: name}` there, and known to the task alone.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from paas_pipelines.plugins.registry import Plugin, PluginError
from paas_runner.config.secret_references import Surroundings
from paas_runner.plain_text import did_you_mean
from paas_runner.secret import Secret
from paas_runner.setting_types import (
    SCALARS,
    TABLE_OF_LISTS,
    TEXTS,
    SecretText,
    UnfitError,
    class_of_tables,
)
from paas_runner.settings import Key, contradictions, declared, keys_of

Path_: TypeAlias = tuple[str, ...]
Fault: TypeAlias = tuple[Path_, str]
Reveal: TypeAlias = Callable[[Mapping[str, Any]], Secret]
"""The value of `{from_credential: …}`."""

_NOWHERE = Surroundings(environ={}, folder=Path("/"))
_ANY = Secret("*" * 32)


class _UnfitError(Exception):
    """A value that a key cannot have."""


def faults(plugin: Plugin, raw: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with settings as the file has them: each with the path of its key."""
    found: list[Fault] = []
    try:
        _instance(plugin.loaded().settings, raw, (), lambda _named: _ANY, found)
    except PluginError as error:
        found.append(((), str(error)))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - of foreign code
        found.append(((), str(plugin.broken(error))))
    yield from found


def instance(plugin: Plugin, raw: Mapping[str, Any], reveal: Reveal) -> Any:
    """The same as an instance; raises `PluginError`."""
    found: list[Fault] = []
    try:
        made = _instance(plugin.loaded().settings, raw, (), reveal, found)
    except PluginError:
        raise
    except (Exception, SystemExit) as error:
        raise plugin.broken(error) from error
    for at, text in found:
        raise PluginError(f"{plugin}: {'.'.join(at)}: {text}" if at else f"{plugin}: {text}")
    return made


def _instance(cls: type[Any], raw: Mapping[str, Any], at: Path_, reveal: Reveal, found: list[Fault]) -> Any:
    before = len(found)
    known = keys_of(cls)
    for name in raw:
        if name not in known:
            hint = did_you_mean(name, known).replace("`", '"')
            found.append(((*at, name), f'unknown key "{name}"' + (f", {hint}" if hint else "")))
    values = {}
    for key in declared(cls):
        here = (*at, key.written)
        if raw.get(key.written) is None:
            if key.required:
                found.append((at, f'needs a "{key.written}": {key.doc}'))
            continue
        try:
            values[key.field] = _value(key, raw[key.written], here, reveal, found)
        except UnfitError as error:
            found.append((here, f"{key.written} {error}" if str(error) else f"{key.written} {_must(key)}"))
        except _UnfitError as error:
            found.append((here, str(error)))
    if len(found) > before:
        return None
    made = cls(**values)
    found += [((*at, name), f"{name} {text}") for name, text in contradictions(made)]
    return made


def _value(key: Key, raw: Any, at: Path_, reveal: Reveal, found: list[Fault]) -> Any:
    if key.kind in (Secret, SecretText):
        if not isinstance(raw, Mapping) or not isinstance(raw.get("from_credential"), str):
            raise _UnfitError(f"{at[-1]} must be {{from_credential: name}}: no secret stands in this file")
        return reveal(raw)
    if key.kind is str or key.kind in SCALARS:
        value = raw if key.kind is str else SCALARS[key.kind].read(raw, _NOWHERE)
        if key.kind is str and not isinstance(raw, str):
            raise UnfitError
        key.check_limits(value)
        return value
    if key.kind == TEXTS:
        return _texts(raw)
    if not isinstance(raw, Mapping):
        raise UnfitError
    if attrs.has(key.kind):
        return _instance(key.kind, raw, at, reveal, found)
    if key.kind == TABLE_OF_LISTS:
        return {name: _texts(each) for name, each in raw.items()}
    if cls := class_of_tables(key.kind):
        if not all(isinstance(each, Mapping) for each in raw.values()):
            raise UnfitError
        return {name: _instance(cls, each, (*at, name), reveal, found) for name, each in raw.items()}
    if not all(isinstance(each, str) for each in raw.values()):
        raise _UnfitError(f"{at[-1]} must be a mapping of texts")
    return dict(raw)


def _texts(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list | tuple) or not all(isinstance(each, str) for each in raw):
        raise UnfitError
    return tuple(raw)


def _must(key: Key) -> str:
    return f"must be {key.expected}"
