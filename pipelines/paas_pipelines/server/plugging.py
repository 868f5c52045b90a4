"""Plug-ins brought to the rooms that use them: names for definitions, settings and kinds for the TOML."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from paas_pipelines.credentials.plugged import PluggedCredential
from paas_pipelines.credentials.types import TYPES
from paas_pipelines.definitions.executors import ExecutorType
from paas_pipelines.definitions.plugged import Plugged
from paas_pipelines.definitions.task_keys import KEYS
from paas_pipelines.notices.settings import MAIL, SLACK, WEBHOOK
from paas_pipelines.plugins import given
from paas_pipelines.plugins.registry import Built, Kind, Plugin, PluginError, Registry
from paas_runner.config.lines import KeyPath
from paas_runner.config.reader import Reader
from paas_runner.settings import PluginKind

TAKEN: Mapping[Kind, Collection[str]] = {
    Kind.ACTIONS: {*KEYS, "run", "plugin"},
    Kind.EXECUTORS: set(ExecutorType),
    Kind.NOTIFIERS: {MAIL, SLACK, WEBHOOK},
    Kind.CREDENTIALS: set(TYPES),
}
"""Names of what is built in: no plug-in can stand in its place."""


def found_plugins(allow: Collection[str] | None) -> Registry:
    """All that are installed; `allow` are distributions, None is all."""
    return Registry.find(allow, TAKEN)


def plugged_in(registry: Registry) -> Plugged:
    """What reading definitions has to know of them; a plug-in is imported when a file uses it."""
    return Plugged(
        actions={name: partial(given.faults, each) for name, each in registry.of(Kind.ACTIONS).items()},
        executors={name: partial(given.faults, each) for name, each in registry.of(Kind.EXECUTORS).items()},
    )


def read_plugin(
    reader: Reader,
    table: Mapping[str, Any],
    at: KeyPath,
    kinds: Mapping[str, Callable[[], PluginKind]],
    *,
    plugin: Plugin | None,
) -> Any:
    """The settings that a table has beside its `type`; None if a fault was noted."""
    read = partial(reader.plugin, table, at, kinds, key="type", name=table["type"], known={"type"})
    if plugin is None:
        return read()
    try:
        return read()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - one complaint, whatever it is
        reader.findings.wrong(at, str(plugin.broken(error)))
        return None


def credential_of(plugin: Plugin, settings: Any) -> PluggedCredential:
    """One of a kind that has no `fields` has a single value."""
    try:
        fields = tuple(map(str, getattr(plugin.loaded(), "fields", ()))) or ("value",)
    except (PluginError, TypeError):
        fields = ("value",)
    return PluggedCredential(type=plugin.name, fields=fields, made=Built(plugin, settings))
