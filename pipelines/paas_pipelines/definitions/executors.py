"""Executors as a file declares them, by name or in their place (spec automation.md §7)."""

import enum
from collections.abc import Mapping
from typing import Any

import attrs
import yaml

from paas_pipelines.definitions import keys
from paas_pipelines.definitions.automation import EngineHook, ExecutorDefinition, FromCredential, Scope
from paas_pipelines.definitions.decoding import Decoder, KeyPath, LackingError, MistakenError, Nodes, Read
from paas_pipelines.definitions.plugged import Plugged
from paas_pipelines.definitions.scalars import quoted


class ExecutorType(enum.StrEnum):
    """What it is; a name without settings may stand for it."""

    SHELL = "shell"
    LOCAL = "local"  # the same
    DOCKER = "docker"
    KUBERNETES = "kubernetes"
    RUNNER = "runner"


IMAGED = ("docker", "kubernetes", "runner")
"""Those whose tasks may name an image."""


def plain_executor(name: str, plugged: Plugged) -> ExecutorDefinition | None:
    """The executor that a type by itself is; raises `MistakenError` for one that needs settings."""
    if name in plugged.executors:
        for _, text in plugged.of_executor(name, {}, ()):
            raise MistakenError(text)
        return ExecutorDefinition(type=name)
    if name not in set(ExecutorType):
        return None
    return ExecutorDefinition(type="shell" if name == ExecutorType.LOCAL else name)


def named_executors(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Mapping[str, ExecutorDefinition]:
    """The key `executors` of a file."""

    def read(decoder: Decoder, nodes: Nodes, at: KeyPath) -> ExecutorDefinition:
        if at[-1] in set(ExecutorType):
            raise MistakenError(f"{at[-1]} is a type, and cannot be a name")
        return _executor(decoder, nodes, at, at[-1])

    return decoder.named(nodes, at, read)


def executor(decoder: Decoder, nodes: Nodes, at: KeyPath) -> str | ExecutorDefinition:
    """A name, or what stands in its place."""
    if isinstance(nodes[-1], yaml.ScalarNode):
        name: str = keys.NAME(decoder, nodes, at)
        return name
    return _executor(decoder, nodes, at, "")


def with_hooks(
    given: ExecutorDefinition, known: Mapping[str, ExecutorDefinition | None], plugged: Plugged
) -> ExecutorDefinition:
    """With the settings of those by which its setup and its teardown run; raises `MistakenError`."""
    hooks: dict[str, EngineHook | None] = {"setup": given.setup, "teardown": given.teardown}
    for what, hook in tuple(hooks.items()):
        if hook is None:
            continue
        found = known.get(hook.executor) or plain_executor(hook.executor, plugged)
        if found is None and hook.executor not in known:
            raise MistakenError(f"{what}: unknown executor {quoted(hook.executor)}")
        if found is None:  # that is told where it is
            continue
        if found.type not in ("shell", "docker", "kubernetes") or found.secrets:
            why = "has credentials in its env" if found.secrets else f"is of type {found.type}"
            text = "shell, docker and kubernetes are possible, and without credentials in their env"
            raise MistakenError(f"{what}: executor {quoted(hook.executor)} {why}: {text}")
        env = {**found.env, **hook.env}
        hooks[what] = attrs.evolve(hook, type=found.type, settings=found.settings, env=env)
    return attrs.evolve(given, setup=hooks["setup"], teardown=hooks["teardown"])


def _executor(decoder: Decoder, nodes: Nodes, at: KeyPath, name: str) -> ExecutorDefinition:
    foreign = _foreign_type(decoder, nodes, at)
    known = _ALL if foreign is None else _known_with(foreign, decoder, nodes, at)
    found: dict[str, Any] = keys.mapping(known)(decoder, nodes, at)
    kind = found.pop("type", ExecutorType.SHELL)
    kind = ExecutorType.SHELL if kind is ExecutorType.LOCAL else kind
    environment = {**found.pop("environ", {}), **found.pop("env", {})}
    setup, teardown = found.pop("setup", None), found.pop("teardown", None)
    scope = found.pop("scope", Scope.TASK)
    if foreign is not None:
        for path, text in decoder.plugged.of_executor(foreign, found, at):
            decoder.mistake(path, text)
    else:
        for key in found:
            if key not in _OF_A_TYPE[kind]:
                decoder.mistake((*at, key), f"{key} is not allowed with type {kind}")
    if "config" in found:
        found["config.json"] = found.pop("config")
    return ExecutorDefinition(
        type=str(kind),
        name=name,
        settings=found,
        env=keys.texts_alone(environment),
        secrets=keys.secrets_alone(environment),
        setup=setup,
        teardown=teardown,
        scope=scope,
    )


def _foreign_type(decoder: Decoder, nodes: Nodes, at: KeyPath) -> str | None:
    """Its type where that is not built in."""
    if not decoder.plugged.executors or not isinstance(nodes[-1], yaml.MappingNode):
        return None
    told = len(decoder.warnings)
    written = {key: node for key, node in decoder.pairs(nodes, at) if key == "type"}
    del decoder.warnings[told:]  # told again when all of it is read
    name = written["type"].value if "type" in written else None
    return name if isinstance(name, str) and name in decoder.plugged.executors else None


def _known_with(name: str, decoder: Decoder, nodes: Nodes, at: KeyPath) -> Mapping[str, Read]:
    """Whatever keys it has: only the plug-in knows which are right, and it is asked for them."""
    told = len(decoder.warnings)
    written = dict.fromkeys((key for key, _ in decoder.pairs(nodes, at)), keys.PLAIN)
    del decoder.warnings[told:]
    return {**written, **_COMMON, "type": lambda *_: name}


def _hook(decoder: Decoder, nodes: Nodes, at: KeyPath) -> EngineHook:
    found = keys.mapping(_HOOK)(decoder, nodes, at)
    if not found.get("script"):
        raise LackingError(f"{at[-1]} needs a script")
    return EngineHook(
        script=found["script"], env=found.get("env", {}), executor=found.get("executor", "shell")
    )


def _texts(decoder: Decoder, nodes: Nodes, at: KeyPath) -> list[str]:
    """A list of JSON, as settings are on the disk, too."""
    return list(keys.TEXTS(decoder, nodes, at))


def _volumes(decoder: Decoder, nodes: Nodes, at: KeyPath) -> list[dict[str, Any]]:
    found = []
    for item in keys.must("a list of mappings", Decoder.items)(decoder, nodes, at):
        volume: dict[str, Any] = keys.mapping(_VOLUME)(decoder, [item], at)
        if not volume.get("name") or not volume.get("path", "").startswith("/"):
            raise MistakenError(f"{at[-1]} must each have a name and an absolute path", node=item)
        found.append(volume)
    return found


def _from_credential(decoder: Decoder, nodes: Nodes, at: KeyPath) -> dict[str, Any]:
    return _as_mapping(keys.from_credential(decoder, nodes, at))


def _text_or_credential(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Any:
    if isinstance(nodes[-1], yaml.MappingNode):
        return _from_credential(decoder, nodes, at)
    return keys.TEXT(decoder, nodes, at)


def _as_mapping(credential: FromCredential) -> dict[str, Any]:
    return {
        "from_credential": credential.name,
        **({"field": credential.field} if credential.field else {}),
        **({"as": "file"} if credential.as_file else {}),
    }


_HOOK: Mapping[str, Read] = {"script": keys.TEXTS, "executor": keys.NAME, "env": keys.TEXTS_BY_NAME}
_VOLUME: Mapping[str, Read] = {"name": keys.NAME, "path": keys.NAME, "read_only": keys.BOOLEAN}
_LOGIN: Mapping[str, Read] = {
    "username": _text_or_credential,
    "password": _from_credential,
    "credsStore": keys.NAME,
    "credHelpers": keys.named(keys.NAME),
}
_COMMON: Mapping[str, Read] = {
    "type": keys.choice(ExecutorType),
    "env": keys.environment,
    "environ": keys.environment,
    "setup": _hook,
    "teardown": _hook,
    "scope": keys.choice(Scope),
}
_OF_A_TYPE: Mapping[ExecutorType, Mapping[str, Read]] = {
    ExecutorType.SHELL: {"shell": _texts},
    ExecutorType.DOCKER: {
        "image": keys.NAME,
        "volumes": _volumes,
        **dict.fromkeys(("context", "host", "platform", "http_proxy", "https_proxy", "no_proxy"), keys.NAME),
        **dict.fromkeys(("config", "config.json"), keys.VALUES),
        "login": keys.mapping(_LOGIN),
    },
    ExecutorType.KUBERNETES: {
        **dict.fromkeys(("namespace", "image", "service_account", "kubeconfig"), keys.NAME),
    },
    ExecutorType.RUNNER: {"tags": _texts, "image": keys.NAME, "runner": keys.NAME},
}
_ALL: Mapping[str, Read] = {
    **_COMMON,
    **{key: read for known in _OF_A_TYPE.values() for key, read in known.items()},
}
