"""The keys of a task, and which of them each type of task may have (spec automation.md §1)."""

import enum
from collections.abc import Mapping
from functools import partial
from typing import Any

import yaml

from paas_pipelines.definitions import keys, scalars
from paas_pipelines.definitions.automation import (
    Checkout,
    End,
    OnDeadline,
    Outcome,
    OutputDefinition,
    Slot,
    TaskType,
)
from paas_pipelines.definitions.declared_params import declared
from paas_pipelines.definitions.decoding import (
    Decoder,
    KeyPath,
    LackingError,
    MistakenError,
    Nodes,
    Read,
    one,
)
from paas_pipelines.definitions.definition import Restart
from paas_pipelines.definitions.executors import executor
from paas_pipelines.definitions.parameter import Parameter, ParameterKind, reasons
from paas_pipelines.definitions.plugged import Plugged
from paas_pipelines.definitions.scalars import quoted

_MOST_OUTPUTS = 100


class Reason(enum.StrEnum):
    """Whether whoever decides has to say why."""

    OPTIONAL = "optional"
    REQUIRED = "required"


def texts(decoder: Decoder, nodes: Nodes, _at: KeyPath) -> tuple[str, ...]:
    """As prunner has lists: any scalars, empty ones, too."""
    return tuple(map(scalars.text, decoder.items(nodes, _at)))


def task_type(decoder: Decoder, nodes: Nodes, at: KeyPath) -> TaskType | str:
    """One that is built in, or a plug-in's by its name."""
    written = nodes[-1].value if isinstance(nodes[-1], yaml.ScalarNode) else ""
    names = [*(each.value for each in TaskType if each is not TaskType.PLUGIN), *decoder.plugged.actions]
    if written not in names:
        raise MistakenError(f"{at[-1]} must be one of {', '.join(names)}")
    return str(written) if written in decoder.plugged.actions else TaskType(written)


def keys_with(plugged: Plugged) -> Mapping[str, Read]:
    """Those of a task, with a key for each type that is not built in."""
    return {**dict.fromkeys(plugged.actions, keys.must("a mapping", keys.VALUES)), **KEYS}


def _runner(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Any:
    """The tag or description of runners, a name of an executor, or an executor itself."""
    if isinstance(nodes[-1], yaml.MappingNode) and nodes[-1].value:
        return executor(decoder, nodes, at)
    return scalars.name(nodes[-1])


def _labels(decoder: Decoder, nodes: Nodes, at: KeyPath) -> tuple[str, ...]:
    if isinstance(nodes[-1], yaml.MappingNode):
        found: Mapping[str, str] = keys.named(keys.NAME)(decoder, nodes, at)
        return tuple(f"{name}={value}" for name, value in found.items())
    return keys.TEXTS(decoder, nodes, at)  # type: ignore[no-any-return]


def _outputs(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Mapping[str, OutputDefinition]:
    found = decoder.named(nodes, at, _output)
    for name in found:
        if not keys.VARIABLE.fullmatch(name):
            raise MistakenError(f"output {quoted(name)} must have letters, digits and _ in its name only")
    if len(found) > _MOST_OUTPUTS:
        raise MistakenError(f"outputs must be at most {_MOST_OUTPUTS}")
    return found


def _output(decoder: Decoder, nodes: Nodes, at: KeyPath) -> OutputDefinition:
    if isinstance(nodes[-1], yaml.ScalarNode):
        return OutputDefinition(kind=keys.choice(ParameterKind)(decoder, nodes, at))
    found: dict[str, Any] = keys.mapping(_OUTPUT)(decoder, nodes, at)
    kind = found.get("type", ParameterKind.STRING)
    if "default" in found:
        for reason in reasons(Parameter(name=at[-1], kind=kind), found["default"]):
            raise MistakenError(f"output {quoted(at[-1])}: default {reason}")
    return OutputDefinition(kind=kind, default=found.get("default"), has_default="default" in found)


def _checkout(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Checkout:
    found: dict[str, Any] = keys.mapping(_CHECKOUT)(decoder, nodes, at)
    if "url" not in found:
        raise LackingError("checkout needs a url")
    if "ref" in found and "ref_from" in found:
        raise MistakenError("use either ref or ref_from")
    if found.get("depth", 1) < 1:
        raise MistakenError("depth must be at least 1")
    return Checkout(**found)


def _call(decoder: Decoder, nodes: Nodes, at: KeyPath) -> dict[str, Any]:
    if isinstance(nodes[-1], yaml.ScalarNode):
        return {"pipeline": keys.NAME(decoder, nodes, at)}
    found: dict[str, Any] = keys.mapping(_CALL)(decoder, nodes, at)
    if "pipeline" not in found:
        raise LackingError("call needs a pipeline")
    return found


def _params(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Any:
    """Of an approval a form, of a call values."""
    read = declared if isinstance(nodes[-1], yaml.SequenceNode) else keys.VALUES
    return read(decoder, nodes, at)


_OUTPUT: Mapping[str, Read] = {"type": keys.choice(ParameterKind), "default": keys.PLAIN}
_CHECKOUT: Mapping[str, Read] = {
    **dict.fromkeys(("url", "ref", "credential"), keys.NAME),
    "ref_from": keys.EXPRESSION,
    "depth": keys.COUNT,
}
_CALL: Mapping[str, Read] = {
    "pipeline": keys.NAME,
    "params": keys.VALUES,
    "params_from": keys.EXPRESSIONS,
    "wait": keys.BOOLEAN,
}
_MATCH: Mapping[str, Read] = {"text": keys.EXPRESSION, "pattern": keys.TEXT}
_MESSAGE: Mapping[str, Read] = {"to": keys.NAME, "channel": keys.TEXT, "text": keys.TEXT}
_APPROVAL: Mapping[str, Read] = {
    "text": keys.TEXT,
    "approvers": keys.TEXTS,
    "count": keys.COUNT,
    "four_eyes": keys.BOOLEAN,
    "deadline": keys.POSITIVE,
    "on_deadline": keys.choice(OnDeadline),
    "reason": keys.choice(Reason),
    "params": keys.must("a list", declared),
    "slot": keys.choice(Slot),
}

OLD_KEYS: Mapping[str, Read] = {
    "script": texts,
    "env": keys.environment,
    "depends_on": texts,
    "allow_failure": one(scalars.boolean),
    "restart": one(partial(scalars.choice, among=Restart, what="restart")),
    "runner": _runner,
    "image": one(scalars.name),
    "timeout": one(scalars.timeout),
}
"""Those of a task that needs no automation: it may be without a script."""

KEYS: Mapping[str, Read] = {
    **OLD_KEYS,
    "type": task_type,
    "command": keys.NAME,
    "shell": keys.TEXTS,
    "requires": keys.TEXTS,
    **dict.fromkeys(("when", "test", "compare"), keys.EXPRESSION),
    "use": keys.NAME,
    "args": keys.VALUES,
    **dict.fromkeys(("executor", "engine"), executor),
    "requires_worker": keys.must("a mapping or a list of texts", _labels),
    "outputs": keys.must("a mapping", _outputs),
    "save": keys.TEXTS,
    "load": keys.TEXTS,
    "checkout": _checkout,
    **dict.fromkeys(("on_success", "on_failure"), keys.choice(Outcome)),
    "match": keys.mapping(_MATCH),
    "message": keys.mapping(_MESSAGE),
    "end": keys.choice(End),
    "call": _call,
    "approval": keys.mapping(_APPROVAL),
    **_APPROVAL,
    "params": _params,
    "params_from": keys.EXPRESSIONS,
    "wait": keys.BOOLEAN,
}
"""All of a task."""

_ALWAYS = {"type", "depends_on", "when", "on_success", "on_failure", "allow_failure", "use", "args"}
_RUN = {
    *("script", "env", "restart", "runner", "image", "timeout", "shell", "executor", "requires_worker"),
    *("outputs", "save", "load", "checkout"),
}
ALLOWED: Mapping[TaskType, frozenset[str]] = {
    TaskType.RUN: frozenset(_ALWAYS | _RUN),
    TaskType.APPROVAL: frozenset(_ALWAYS | {"approval", *_APPROVAL}),
    TaskType.CALL: frozenset(_ALWAYS | {"call", "params", "params_from", "wait"}),
    TaskType.MATCH: frozenset(_ALWAYS | {"match"}),
    TaskType.COMPARE: frozenset(_ALWAYS | {"compare"}),
    TaskType.MESSAGE: frozenset(_ALWAYS | {"message"}),
    TaskType.END: frozenset(_ALWAYS - {"on_success", "on_failure"} | {"end"}),
    TaskType.PLUGIN: frozenset(_ALWAYS | {"plugin", "outputs", "timeout"}),
}
"""After other names of the same have been put away."""
