"""The configuration that is in effect: defaults filled in, secrets hidden, each number explained.

As TOML it reads back equal, with the explanations as comments.

What GitLab Runner's own tables contain is handed on unread, credentials among it, so of their texts only
those are shown whose keys are known to be harmless.
"""

import textwrap
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import attrs
import tomlkit
from tomlkit.container import Container
from tomlkit.items import AoT, Table

from paas_runner.check.meaning import meanings
from paas_runner.config import Config, Runner
from paas_runner.config.lines import KeyPath, dotted
from paas_runner.database_url import DatabaseUrl
from paas_runner.job.known_runner import short_token
from paas_runner.job.limits import Flavors
from paas_runner.secret import Secret
from paas_runner.setting_types import GoDuration
from paas_runner.settings import declared

Comments: TypeAlias = Mapping[KeyPath, str]
T = TypeVar("T", Container, Table)

HIDDEN = "…(hidden)"
COMMENT_WIDTH = 100
_SHOWN_LETTERS = 2
_EMPTY: tuple[object, ...] = (None, "", (), {})
_HARMLESS = frozenset(
    {
        "builds_dir",
        "cache_dir",
        "helper_image",
        "image",
        "network_mode",
        "pull_policy",
        "shell",
        "Type",
        "volumes",
    }
)


def text(config: Config, flavors: Mapping[str, Flavors]) -> str:
    """As TOML; what the settings mean stands above them."""
    head = f"# {config.path} as it is in effect; secrets are hidden"
    return f"{head}\n\n{commented(_tables(config), meanings(config, flavors))}"


def document(config: Config, flavors: Mapping[str, Flavors]) -> Mapping[str, Any]:
    """For JSON; what the settings mean stands beside them."""
    meaning = {dotted(at): sentence for at, sentence in meanings(config, flavors).items()}
    return {"configuration": _tables(config), "meaning": meaning}


def commented(content: Mapping[str, Any], comments: Comments) -> str:
    """A document of TOML, a comment above what there is one for."""
    return tomlkit.dumps(_filled(tomlkit.document(), content, comments, ())).rstrip("\n")


def _filled(table: T, content: Mapping[str, Any], comments: Comments, at: KeyPath) -> T:
    """The table with its single values first, as TOML wants it."""
    for key, value in content.items():
        if not _is_table(value):
            item = tomlkit.item(value)
            item.trivia.indent = _comment(comments, (*at, key))
            table.add(key, item)
    for key, value in content.items():
        if isinstance(value, Mapping):
            table.add(key, _headed(value, comments, (*at, key)))
        elif _is_table(value):
            each = (_headed(part, comments, (*at, key, number)) for number, part in enumerate(value))
            table.add(key, AoT(list(each)))
    return table


def _headed(content: Mapping[str, Any], comments: Comments, at: KeyPath) -> Table:
    table = _filled(tomlkit.table(is_super_table=False), content, comments, at)
    table.trivia.indent = f"\n{_comment(comments, at)}"
    return table


def _is_table(value: object) -> bool:
    """Whether it gets a header, or several."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, Mapping) for each in value)
    return isinstance(value, Mapping)


def _comment(comments: Comments, at: KeyPath) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(comments.get(at, ""), COMMENT_WIDTH))


def _tables(config: Config) -> Mapping[str, Any]:
    receivers = [dict(_settings(receiver)) for receiver in config.notify]
    return {
        **dict(_settings(config)),
        "runners": [_section(runner) for runner in config.runners],
        **({"notify": receivers} if receivers else {}),
    }


def _section(runner: Runner) -> Mapping[str, Any]:
    return {
        **dict(_settings(runner)),
        "token": _shown_token(runner.token.reveal()),
        **dict(_settings(runner.settings)),
        **{key: _without_texts(key, value) for key, value in runner.forwarded.items()},
    }


def _settings(instance: Any) -> Iterator[tuple[str, Any]]:
    """The keys that a settings class declares, under their names in the file; what is empty is left out."""
    for key in declared(type(instance)):
        value = getattr(instance, key.field)
        if value not in _EMPTY:
            yield key.written, _go_duration(value) if key.kind is GoDuration else _plain(value)


def _plain(value: Any) -> Any:
    match value:
        case Secret():
            return HIDDEN
        case DatabaseUrl():
            return str(value)
        case timedelta():
            return _number(value.total_seconds())
        case Path():
            return str(value)
        case tuple() | list():
            return [_plain(each) for each in value]
        case Mapping():  # of texts: an environment, which may hold credentials
            return {key: HIDDEN if isinstance(each, str) else _plain(each) for key, each in value.items()}
        case _:
            return dict(_settings(value)) if attrs.has(type(value)) else value


def _go_duration(value: timedelta) -> str:
    return f"{_number(value.total_seconds())}s"


def _number(seconds: float) -> float | int:
    return int(seconds) if seconds.is_integer() else seconds


def _shown_token(token: str) -> str:
    """The beginning of the short token, which is public: hosts are named after it."""
    shown = token.index(short_token(token)) + _SHOWN_LETTERS
    return token[:shown] + HIDDEN


def _without_texts(key: str, value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _without_texts(name, each) for name, each in value.items()}
        case list():
            return [_without_texts(key, each) for each in value]
        case str():
            return value if key in _HARMLESS else HIDDEN
        case _:
            return value
