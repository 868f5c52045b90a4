"""From the keys of a task to its definition: actions, executors and other names resolved, its type found."""

from collections.abc import Mapping
from typing import Any

import attrs

from paas_pipelines.definitions import keys
from paas_pipelines.definitions.automation import (
    Approval,
    Call,
    ExecutorDefinition,
    Match,
    Message,
    Outcome,
    PluginUse,
    TaskType,
)
from paas_pipelines.definitions.decoding import Decoder, KeyPath, LackingError, MistakenError, NotAllowedError
from paas_pipelines.definitions.definition import BUILT_IN, NOTHING, TaskDefinition
from paas_pipelines.definitions.executors import IMAGED, plain_executor, with_hooks
from paas_pipelines.definitions.parameter import Parameter, ParametersError, checked
from paas_pipelines.definitions.plugged import NOTHING_PLUGGED, Plugged
from paas_pipelines.definitions.scalars import quoted
from paas_pipelines.definitions.task_keys import ALLOWED, OLD_KEYS, Reason
from paas_pipelines.expressions import patterns

_TELLING = (
    TaskType.APPROVAL,
    TaskType.CALL,
    TaskType.MATCH,
    TaskType.COMPARE,
    TaskType.MESSAGE,
    TaskType.END,
)
_TOLERANT = (TaskType.MATCH, TaskType.COMPARE, TaskType.MESSAGE)
_ALIASES = {"requires": "depends_on", "test": "when", "command": "script", "engine": "executor"}


@attrs.frozen(kw_only=True)
class Action:
    """A task under a name of its own, taken by `use`."""

    params: tuple[Parameter, ...] = ()
    values: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Surroundings:
    """What the tasks of a file may name; of what was wrong itself, None."""

    executors: Mapping[str, ExecutorDefinition | None] = attrs.field(factory=dict)
    actions: Mapping[str, Action | None] = attrs.field(factory=dict)
    executor: ExecutorDefinition | None = None
    """The pipeline's, for all tasks that have no other."""

    plugged: Plugged = NOTHING_PLUGGED


def built(decoder: Decoder, values: Mapping[str, Any], at: KeyPath, around: Surroundings) -> TaskDefinition:
    """A task; what is wrong is noted."""
    try:
        found = _built(values, around)
        _check_plugin(decoder, found, at)
    except NotAllowedError as error:
        decoder.mistake((*at, error.key), str(error))
    except MistakenError as error:
        if not (isinstance(error, LackingError) and decoder.has_failed(at)):
            decoder.mistake(at, str(error))
    else:
        return found
    return TaskDefinition(depends_on=values.get("depends_on", values.get("requires", ())))


def executor_of(given: str | ExecutorDefinition, around: Surroundings) -> ExecutorDefinition | None:
    """By its name, or itself; None is one that was wrong. Raises `MistakenError`."""
    if isinstance(given, ExecutorDefinition):
        return with_hooks(given, around.executors, around.plugged)
    if given in around.executors:
        return around.executors[given]
    if (plain := plain_executor(given, around.plugged)) is None:
        raise MistakenError(f"unknown executor {quoted(given)}")
    return plain


def unaliased(values: Mapping[str, Any]) -> dict[str, Any]:
    """With one name for each key; raises `MistakenError`."""
    found = dict(values)
    for alias, key in _ALIASES.items():
        if alias in found:
            if key in found:
                raise MistakenError(f"use either {key} or {alias}")
            value = found.pop(alias)
            found[key] = (value,) if alias == "command" else value
    return found


def _built(given: Mapping[str, Any], around: Surroundings) -> TaskDefinition:
    values, args = _with_action(unaliased(given), around)
    values = _with_plugin(values, around)
    approval = values.pop("approval", None)
    kind = _type(values, has_approval=approval is not None)
    if approval is not None:
        values = {"approval": approval, **values}
    for key in values:
        if key not in ALLOWED[kind]:
            written = _as_written(key, given)
            shown = values["plugin"].name if "plugin" in values else kind
            raise NotAllowedError(written, f"{written} is not allowed with type {shown}")
    found: dict[str, Any] = {"type": kind, "args": args or NOTHING}
    for key in ("depends_on", "allow_failure", "when", "on_success", "on_failure"):
        if key in values:
            found[key] = values[key]
    if kind in _TOLERANT:
        found.setdefault("on_failure", Outcome.CONTINUE)
    return TaskDefinition(**found, **_OF_A_TYPE[kind](values, around))


def _with_plugin(values: dict[str, Any], around: Surroundings) -> dict[str, Any]:
    """With the type and the settings of one that is not built in as they are kept."""
    written = values.get("type")
    named = [name for name in around.plugged.actions if name in values]
    name: str = written or (named[0] if named else "")
    if name not in around.plugged.actions or (written is None and "script" in values):
        return values
    rest = {key: value for key, value in values.items() if key != name}
    return {**rest, "type": TaskType.PLUGIN, "plugin": PluginUse(name=name, settings=values.get(name, {}))}


def _check_plugin(decoder: Decoder, task: TaskDefinition, at: KeyPath) -> None:
    """Its settings, which only the plug-in can judge."""
    if task.plugin is not None:
        here = (*at, task.plugin.name)
        for path, text in decoder.plugged.of_action(task.plugin.name, task.plugin.settings, here):
            decoder.mistake(path, text)


def _with_action(values: dict[str, Any], around: Surroundings) -> tuple[dict[str, Any], Mapping[str, Any]]:
    name, args = values.pop("use", None), values.pop("args", {})
    if name is None:
        if args:
            raise MistakenError("args needs use")
        return values, {}
    if name not in around.actions:
        raise MistakenError(f"unknown action {quoted(name)}")
    if (action := around.actions[name]) is None:
        return {"script": (), **values}, {}
    try:
        args = checked(action.params, args)
    except ParametersError as error:
        raise MistakenError(f"args: {error}") from None
    merged = {**action.values, **values}
    if "env" in action.values and "env" in values:
        merged["env"] = {**action.values["env"], **values["env"]}
    return merged, args


def _type(values: Mapping[str, Any], *, has_approval: bool) -> TaskType:
    if "type" in values:
        found: TaskType = values["type"]
        return found
    if "script" in values:
        return TaskType.RUN
    if has_approval:
        return TaskType.APPROVAL
    for kind in _TELLING:
        if kind.value in values:
            return kind
    if not values.keys() <= OLD_KEYS.keys():
        raise LackingError("type cannot be inferred")
    return TaskType.RUN


def _as_written(key: str, given: Mapping[str, Any]) -> str:
    return next((alias for alias, name in _ALIASES.items() if name == key and alias in given), key)


def _run(values: Mapping[str, Any], around: Surroundings) -> dict[str, Any]:
    found = {key: values[key] for key in _PLAIN if key in values}
    environment = values.get("env", {})
    if environment:
        found["env"] = keys.texts_alone(environment)
        found["secrets"] = keys.secrets_alone(environment)
    found |= _placed(values, around)
    executor = found.get("executor")
    is_job = found.get("runner") or found.get("image") or (executor and executor.type == "runner")
    for key in ("requires_worker", "checkout"):
        if values.get(key) and not is_job:
            raise MistakenError(f"{key} needs a runner executor")
    for key in ("save", "load"):
        if values.get(key) and executor is not None and executor.type not in BUILT_IN:
            raise MistakenError(f"{key} is not allowed with executor {executor.type}")
    if executor is not None and executor.type == "docker" and "image" not in executor.settings:
        raise LackingError("executor docker needs an image")
    if "shell" in values and executor is not None and executor.type == "runner":
        raise MistakenError(f"shell is not allowed with executor {executor.type}")
    return found


def _placed(values: Mapping[str, Any], around: Surroundings) -> dict[str, Any]:
    """Where it runs: an executor, or as it always was by `runner` and `image`."""
    given, runner, image = values.get("executor"), values.get("runner"), values.get("image")
    if runner is not None and given is not None:
        raise MistakenError("use either executor or runner")
    if isinstance(runner, ExecutorDefinition) or runner in around.executors:
        given, runner = runner, None
    if runner is not None:
        return {"runner": runner, **({"image": image} if image else {})}
    executor = around.executor if given is None else executor_of(given, around)
    if executor is None or image is None:
        return {**({"executor": executor} if executor else {}), **({"image": image} if image else {})}
    if executor.type in IMAGED:
        return {"executor": attrs.evolve(executor, settings={**executor.settings, "image": image})}
    if given is not None:
        raise MistakenError(f"image is not allowed with executor {executor.type}")
    return {"image": image}


def _approval(values: Mapping[str, Any], _around: Surroundings) -> dict[str, Any]:
    given = {**values.get("approval", {}), **{key: values[key] for key in values if key in _APPROVAL}}
    reason = given.pop("reason", Reason.OPTIONAL)
    approval = Approval(reason_required=reason is Reason.REQUIRED, **given)
    if approval.count < 1:
        raise MistakenError("count must be at least 1")
    if "approvers" in given and not approval.approvers:
        raise MistakenError("approvers must name somebody")
    if not isinstance(approval.params, tuple):
        raise MistakenError("params must be a list")
    if approval.params and approval.count != 1:
        raise MistakenError("params needs count: 1")
    return {"approval": approval}


def _call(values: Mapping[str, Any], _around: Surroundings) -> dict[str, Any]:
    given = {**values.get("call", {}), **{key: values[key] for key in _CALL if key in values}}
    if "pipeline" not in given:
        raise LackingError("call needs a pipeline")
    if isinstance(given.get("params"), tuple):
        raise MistakenError("params must be a mapping")
    return {"call": Call(**given)}


def _match(values: Mapping[str, Any], _around: Surroundings) -> dict[str, Any]:
    given = values.get("match", {})
    for key in ("text", "pattern"):
        if key not in given:
            raise LackingError(f"match needs a {key}")
    try:
        patterns.check(given["pattern"])
    except ValueError as error:
        raise MistakenError(f"pattern {error}") from None
    return {"match": Match(**given)}


def _message(values: Mapping[str, Any], _around: Surroundings) -> dict[str, Any]:
    given = values.get("message", {})
    if "to" not in given:
        raise LackingError("message needs a to")
    return {"message": Message(**given)}


def _key(key: str) -> Any:
    def read(values: Mapping[str, Any], _around: Surroundings) -> dict[str, Any]:
        if key not in values:
            raise LackingError(f"{key} is missing")
        return {key: values[key]}

    return read


def _plugin(values: Mapping[str, Any], _around: Surroundings) -> dict[str, Any]:
    return {key: values[key] for key in ("plugin", "outputs", "timeout") if key in values}


_PLAIN = (
    *("script", "restart", "timeout", "shell", "requires_worker", "outputs", "save", "load", "checkout"),
)
_CALL = ("params", "params_from", "wait")
_APPROVAL = frozenset(attrs.fields_dict(Approval)) - {"reason_required"} | {"reason"}
_OF_A_TYPE: Mapping[TaskType, Any] = {
    TaskType.RUN: _run,
    TaskType.APPROVAL: _approval,
    TaskType.CALL: _call,
    TaskType.MATCH: _match,
    TaskType.COMPARE: _key("compare"),
    TaskType.MESSAGE: _message,
    TaskType.END: _key("end"),
    TaskType.PLUGIN: _plugin,
}
