"""The keys of a file and of its pipelines, and the definitions that they make."""

import enum
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs
import yaml

from paas_pipelines.definitions import keys, scalars
from paas_pipelines.definitions.automation import Notify
from paas_pipelines.definitions.declared_params import declared
from paas_pipelines.definitions.decoding import (
    FILE_KEY,
    Decoder,
    KeyPath,
    LackingError,
    MistakenError,
    Nodes,
    Read,
    one,
)
from paas_pipelines.definitions.definition import Definition, OnError, QueueStrategy, TaskDefinition
from paas_pipelines.definitions.executors import executor, named_executors, with_hooks
from paas_pipelines.definitions.parameter import Parameter, ParameterKind
from paas_pipelines.definitions.reading import Document
from paas_pipelines.definitions.scalars import UnfitError, quoted
from paas_pipelines.definitions.task_building import Action, Surroundings, built, executor_of, unaliased
from paas_pipelines.definitions.task_keys import KEYS as TASK_KEYS
from paas_pipelines.definitions.task_keys import OLD_KEYS as OLD_TASK_KEYS
from paas_pipelines.definitions.task_keys import keys_with, texts
from paas_pipelines.definitions.trigger_keys import trigger


class Order(enum.StrEnum):
    """In which the tasks of a pipeline go."""

    GRAPH = "graph"
    SEQUENCE = "sequence"


class Told(enum.StrEnum):
    """Of what somebody is told."""

    BLOCKED = "blocked"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


def definitions_of(decoder: Decoder, document: Document) -> Mapping[str, Definition]:
    """In the order of the file; what is wrong is noted, and a key whose value it cannot have is absent."""
    around = Surroundings(plugged=decoder.plugged)

    def executors(decoder: Decoder, nodes: Nodes, _at: KeyPath) -> None:
        nonlocal around
        at = ("executors" + FILE_KEY,)
        written = [key for key, _ in decoder.pairs(nodes, at)]
        named = {**dict.fromkeys(written), **named_executors(decoder, nodes, at)}
        for name, each in named.items():
            try:
                hooked = each and with_hooks(each, named, around.plugged)
            except MistakenError as error:
                decoder.mistake((*at, name), str(error))
                hooked = None
            around = attrs.evolve(around, executors={**around.executors, name: hooked})

    def actions(decoder: Decoder, nodes: Nodes, _at: KeyPath) -> None:
        nonlocal around
        at = ("actions" + FILE_KEY,)
        written = [key for key, _ in decoder.pairs(nodes, at)]
        around = attrs.evolve(around, actions={**dict.fromkeys(written), **decoder.named(nodes, at, _action)})

    def pipelines(decoder: Decoder, nodes: Nodes, _at: KeyPath) -> Mapping[str, Definition]:
        return decoder.named(nodes, (), partial(_pipeline, around))

    known = {"executors": executors, "actions": actions, "pipelines": pipelines}
    found: Mapping[str, Definition] = decoder.file(document, known).get("pipelines", {})
    return found


def _pipeline(around: Surroundings, decoder: Decoder, nodes: Nodes, at: KeyPath) -> Definition:
    values = decoder.fields(nodes, at, KEYS)
    if _is_automated(values):
        decoder.refuse_ignored(at)
    values["concurrency"] = values.get("concurrency") or 1
    order, given = values.pop("order", Order.GRAPH), values.pop("executor", None)
    if given is not None:
        try:
            around = attrs.evolve(around, executor=executor_of(given, around))
        except MistakenError as error:
            decoder.mistake((*at, "executor"), str(error))
    if "tasks" in values:
        written: Mapping[str, Mapping[str, Any]] = values["tasks"]
        tasks = {name: built(decoder, task, (*at, "tasks", name), around) for name, task in written.items()}
        values["tasks"] = _in_sequence(decoder, tasks, at) if order is Order.SEQUENCE else tasks
    if "params" in values:
        values["params"], values["params_are_checked"] = values["params"]
    return Definition(name=at[-1], source=decoder.name, **values)


def _is_automated(values: Mapping[str, Any]) -> bool:
    """Whether any key is there that prunner does not know: an approval must not lack what was misspelt."""
    tasks: Mapping[str, Mapping[str, Any]] = values.get("tasks", {})
    checks_params = "params" in values and values["params"][1]
    own = any(not task.keys() <= OLD_TASK_KEYS.keys() for task in tasks.values())
    return own or checks_params or not values.keys() <= OLD_KEYS.keys()


def _in_sequence(
    decoder: Decoder, tasks: Mapping[str, TaskDefinition], at: KeyPath
) -> Mapping[str, TaskDefinition]:
    """Each after the one before it."""
    found: dict[str, TaskDefinition] = {}
    before: tuple[str, ...] = ()
    for name, task in tasks.items():
        if task.depends_on:
            decoder.mistake(
                (*at, "tasks", name, "depends_on"), "depends_on is not allowed with order: sequence"
            )
        found[name] = attrs.evolve(task, depends_on=before)
        before = (name,)
    return found


def _action(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Action:
    known = {**keys_with(decoder.plugged), "params": keys.must("a list", declared)}
    values = decoder.fields(nodes, at, known, strict=True)
    if "use" in values:
        raise MistakenError("use is not allowed in an action")
    return Action(params=values.pop("params", ()), values=unaliased(values))


def _task(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Mapping[str, Any]:
    return decoder.fields(nodes, at, keys_with(decoder.plugged) if decoder.plugged.actions else TASK_KEYS)


def _environment(decoder: Decoder, nodes: Nodes, at: KeyPath) -> dict[str, str]:
    found = decoder.named(nodes, at, one(scalars.text))
    for name in found:
        if not name or "=" in name or "\0" in name:
            raise UnfitError(f"{quoted(name)} cannot be the name of a variable")
    return found


def _params(decoder: Decoder, nodes: Nodes, at: KeyPath) -> tuple[tuple[Parameter, ...], bool]:
    """And whether they are checked: those of a list."""
    if isinstance(nodes[-1], yaml.SequenceNode):
        return declared(decoder, nodes, at), True
    return tuple(decoder.named(nodes, at, _parameter).values()), False


def _parameter(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Parameter:
    values = decoder.fields(nodes, at, _PARAMETER)
    kind = values.pop("type", ParameterKind.STRING)
    if kind not in _KINDS:
        raise UnfitError(f"a start form has no fields for the type {kind}")
    if "default" in values:
        values["default"] = _KINDS[kind](values["default"])
    choices = tuple(map(_KINDS[kind], values.pop("choices", ())))
    if choices and values.get("default", choices[0]) not in choices:
        raise UnfitError("the default is none of the choices")
    return Parameter(name=at[-1], kind=kind, choices=choices, **values)


def _outputs(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Mapping[str, str]:
    found: Mapping[str, str] = keys.EXPRESSIONS(decoder, nodes, at)
    for name in found:
        if not keys.VARIABLE.fullmatch(name):
            raise MistakenError(f"output {quoted(name)} must have letters, digits and _ in its name only")
    return found


def _notify(decoder: Decoder, nodes: Nodes, at: KeyPath) -> tuple[Notify, ...]:
    found: list[Notify] = []
    for item in keys.must("a list of mappings", Decoder.items)(decoder, nodes, at):
        each: dict[str, Any] = keys.mapping(_NOTIFY)(decoder, [item], at)
        if not each.get("to") or not each.get("at"):
            raise LackingError("notify must have to and at", node=item)
        found += [Notify(to=each["to"], at=moment) for moment in each["at"]]
    return tuple(found)


def _moments(decoder: Decoder, nodes: Nodes, at: KeyPath) -> tuple[str, ...]:
    found: tuple[str, ...] = keys.ONE_OR_TEXTS(decoder, nodes, at)
    if not set(found) <= set(Told):
        raise MistakenError(f"at must be of {', '.join(Told)}")
    return found


OLD_KEYS: Mapping[str, Read] = {
    **dict.fromkeys(
        ("concurrency", "queue_limit", "queue_partition_limit", "retention_count"), one(scalars.integer)
    ),
    **dict.fromkeys(("start_delay", "retention_period"), one(scalars.duration)),
    "continue_running_tasks_after_failure": one(scalars.boolean),
    "queue_strategy": one(partial(scalars.choice, among=QueueStrategy, what="queue strategy")),
    "env": _environment,
    "tasks": lambda decoder, nodes, at: decoder.named(nodes, at, _task),
    "on_error": lambda decoder, nodes, at: OnError(**decoder.fields(nodes, at, _ON_ERROR)),
    "params": _params,
}
"""Those of a pipeline without automation."""

KEYS: Mapping[str, Read] = {
    **OLD_KEYS,
    "description": keys.TEXT,
    "order": keys.choice(Order),
    "executor": executor,
    "timeout": keys.POSITIVE,
    "outputs": keys.must("a mapping", _outputs),
    "notify": _notify,
    "triggers": keys.named(trigger),
}
"""All of a pipeline."""

_ON_ERROR: Mapping[str, Read] = {"script": texts, "env": _environment}
_NOTIFY: Mapping[str, Read] = {"to": keys.NAME, "at": _moments}
_PARAMETER: Mapping[str, Read] = {
    "type": one(partial(scalars.choice, among=ParameterKind, what="type")),
    "description": one(scalars.text),
    "default": one(lambda node: node),
    "choices": Decoder.items,
    "required": one(scalars.boolean),
}
_KINDS: Mapping[ParameterKind, Callable[[yaml.Node], Any]] = {
    ParameterKind.STRING: scalars.text,
    ParameterKind.NUMBER: scalars.number,
    ParameterKind.BOOLEAN: scalars.boolean,
}
