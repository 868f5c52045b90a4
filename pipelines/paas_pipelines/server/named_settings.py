"""`[pipelines.notifiers.N]` and `[pipelines.credentials.N]`: each has a `type`, built in or a plug-in's."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs

from paas_pipelines.credentials.types import TYPES
from paas_pipelines.notices.settings import NotifierSettings
from paas_pipelines.plugins.registry import Built, Plugin
from paas_pipelines.server.plugging import credential_of, read_plugin
from paas_runner.config.lines import KeyPath
from paas_runner.config.reader import Reader, described
from paas_runner.secret import secrets_in
from paas_runner.settings import PluginKind, setting

SHORT_SECRET = 8
"""Characters: shorter values are not hidden in logs, since they would take ordinary words with them."""


@attrs.frozen(kw_only=True)
class _Kind:
    settings: type[Any]


@attrs.frozen(kw_only=True)
class _Notifiers:
    notifiers: Mapping[str, NotifierSettings] = setting("By which ways people are told.", factory=dict)


def read_notifiers(
    table: Mapping[str, Any], at: KeyPath, reader: Reader, plugins: Mapping[str, Plugin]
) -> Mapping[str, Any]:
    """Those that are built in as any tables with names, then those of plug-ins."""
    raw = table.get("notifiers")
    foreign = {}
    if isinstance(raw, dict):
        foreign = {
            name: each
            for name, each in raw.items()
            if name and isinstance(each, dict) and each.get("type") in plugins
        }
        own = {name: each for name, each in raw.items() if name not in foreign}
        table = {"notifiers": own} if own or not foreign else {}
    found = reader.values(_Notifiers, table, at).get("notifiers") or {}
    kinds = {name: plugin.loaded for name, plugin in plugins.items()}
    for name, each in foreign.items():
        plugin = plugins[each["type"]]
        settings = read_plugin(reader, each, (*at, "notifiers", name), kinds, plugin=plugin)
        if settings is not None:
            found[name] = Built(plugin, settings)
    return found


def read_credentials(
    raw: Any, at: KeyPath, reader: Reader, plugins: Mapping[str, Plugin]
) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        reader.findings.wrong(at, described(raw, quote=False), expected="a table for each credential")
        return {}
    kinds: dict[str, Callable[[], PluginKind]] = {
        **{name: plugin.loaded for name, plugin in plugins.items()},
        **{name: partial(_Kind, settings=cls) for name, cls in TYPES.items()},
    }
    found = {}
    for name, table in raw.items():
        here = (*at, name)
        if not isinstance(table, dict) or not isinstance(type_name := table.get("type"), str):
            known = ", ".join((*TYPES, *plugins))
            reader.findings.wrong(here, "nothing as `type`", expected=f"one of {known}")
            continue
        plugin = plugins.get(type_name)
        instance = read_plugin(reader, table, here, kinds, plugin=plugin)
        if instance is not None:
            found[name] = credential_of(plugin, instance) if plugin else instance
            _warn_of_short(name, instance, here, reader)
    return found


def _warn_of_short(name: str, instance: Any, at: KeyPath, reader: Reader) -> None:
    if any(len(secret.reveal()) < SHORT_SECRET for secret in secrets_in(instance)):
        told = (
            f"credential {name} has a value of under {SHORT_SECRET} characters, which is not hidden in logs"
        )
        reader.findings.warn(at, told, hint="make it longer")
