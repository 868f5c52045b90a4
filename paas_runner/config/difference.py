"""What a new configuration changes, described for the log: values as in the file, secrets never.

A runner is the same one when it has the same key, whatever has become of its name, its address or its token.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs

from paas_runner.config.model import Config
from paas_runner.config.runner import Runner

NEED_A_RESTART = (
    "state_file",
    "state_store",
    "state_store_password",
    "state_store_mode",
    "state_store_member",
    "installation_id",
    "paas_costs_keep_days",
    "log_remote",
    "traces",
)
"""Keys that hold for the life of the process."""

_NO_SETTINGS = ("path", "warnings", "runners", "notify", "known_as")


def with_restart_keys_of(old: Config, new: Config) -> tuple[Config, Sequence[str]]:
    """The new configuration with the old values of what needs a restart, and which keys that concerns."""
    keys = [key for key in NEED_A_RESTART if getattr(old, key) != getattr(new, key)]
    return attrs.evolve(new, **{key: getattr(old, key) for key in keys}), keys


def differences(old: Config, new: Config) -> Sequence[str]:
    """One line for each key with another value, and for each runner that comes or goes."""
    before = {runner.short_token: runner for runner in old.runners}
    after = {runner.short_token: runner for runner in new.runners}
    lines = [*_changes(old, new)]
    lines += [f"{_title(runner)}: removed" for key, runner in before.items() if key not in after]
    for key, runner in after.items():
        if key in before:
            lines += [f"{_title(before[key])}: {line}" for line in _changes(before[key], runner)]
        else:
            lines.append(f"{_title(runner)}: added, {runner.url}")
    return [*lines, *_receivers(old, new)]


def _receivers(old: Config, new: Config) -> Iterator[str]:
    """The same for who is told when something is wrong; their addresses are secrets."""
    before = {receiver.name: receiver for receiver in old.notify}
    after = {receiver.name: receiver for receiver in new.notify}
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            yield f'notify "{name}": removed'
        elif name not in before:
            yield f'notify "{name}": added'
        else:
            yield from (f'notify "{name}": {line}' for line in _changes(before[name], after[name]))


def _title(runner: Runner) -> str:
    return f'runner "{runner.title}"'


def _changes(old: Any, new: Any, prefix: str = "") -> Iterator[str]:
    """The keys of two attrs values that differ; tables are gone into."""
    if type(old) is not type(new):  # another executor, with keys of its own
        return
    for field in attrs.fields(type(old)):
        if field.name not in _NO_SETTINGS:
            key = field.metadata.get("key") or field.name
            yield from _change(key, getattr(old, field.name), getattr(new, field.name), prefix)


def _change(key: str, old: Any, new: Any, prefix: str) -> Iterator[str]:
    if old == new:
        return
    if key == "settings":
        yield from _changes(old, new, prefix)
    elif key == "forwarded":
        yield from (f"{prefix}{line}" for line in _table(old, new))
    elif attrs.has(type(old)) and type(old) is type(new) and _is_table(old):
        yield from _changes(old, new, f"{prefix}{key}.")
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from (f"{prefix}{key}.{line}" for line in _table(old, new))
    elif key != "command" and _is_public(old) and _is_public(new):  # its arguments may be credentials
        yield f"{prefix}{key}: {_format_value(old)} → {_format_value(new)}"
    else:
        yield f"{prefix}{key}: changed"


def _is_table(value: Any) -> bool:
    """Whether it is a class of settings, unlike a `Secret`."""
    return any("doc" in field.metadata for field in attrs.fields(type(value)))


def _table(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Free tables, which may hold anything: their keys alone. Tables of settings are gone into."""
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            yield f"{key}: removed"
        elif key not in old:
            yield f"{key}: added"
        elif attrs.has(type(new[key])) and _is_table(new[key]):
            yield from _changes(old[key], new[key], f"{key}.")
        elif old[key] != new[key]:
            yield f"{key}: changed"


def _is_public(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_public, value))
    return value is None or isinstance(value, str | bool | int | float | timedelta | Path)


def _format_value(value: Any) -> str:
    match value:
        case None:
            return "not set"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case timedelta():
            return f"{value.total_seconds():g} s"
        case list() | tuple():
            return f"[{', '.join(map(_format_value, value))}]"
        case _:
            return str(value)
