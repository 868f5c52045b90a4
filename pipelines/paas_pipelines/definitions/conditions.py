"""What expressions, templates and names of a pipeline are wrong, although each key by itself is right."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from paas_pipelines.definitions.automation import Trigger
from paas_pipelines.definitions.decoding import KeyPath
from paas_pipelines.definitions.definition import HOLD, Definition, TaskDefinition
from paas_pipelines.definitions.naming import (
    OF_AN_EVENT,
    before,
    identifier,
    names_at_the_end,
    names_before,
)
from paas_pipelines.definitions.parameter import reasons
from paas_pipelines.definitions.scalars import quoted
from paas_pipelines.definitions.validation import Fault
from paas_pipelines.expressions.expression import Expression, ExpressionError, Kind, compiled
from paas_pipelines.template.evaluation import Template
from paas_pipelines.template.parsing import Node
from paas_pipelines.template.strings import TemplateError


@attrs.frozen(kw_only=True)
class Bounds:
    """How much a pipeline may have."""

    triggers: int = 100
    tasks: int = 500
    """Of a pipeline that has any key of automation."""


def mistakes(
    definition: Definition, callees: Callable[[str], Definition | None], bounds: Bounds
) -> Iterator[Fault]:
    """All; of another pipeline that a key names, `callees` tells the definition, if there is one."""
    too_many = list(_limits(definition, bounds))
    yield from too_many
    if too_many:
        return
    yield from _collisions(definition)
    if HOLD in definition.tasks and definition.triggers:
        yield ("tasks", HOLD), f"task {quoted(HOLD)}: the approval of untrusted runs has this name"
    for name, task in definition.tasks.items():
        for key, reason in _of_task(definition, name, task, callees):
            yield ("tasks", name, *key), f"task {quoted(name)}: {reason}"
    for name, trigger in definition.triggers.items():
        for key, reason in _of_trigger(definition, trigger, callees):
            yield ("triggers", name, *key), f"trigger {quoted(name)}: {reason}"
    names = names_at_the_end(definition)
    for name, source in definition.outputs.items():
        yield from _expression(("outputs", name), f"output {quoted(name)}", source, names)
    yield from _free_texts(definition)


def _limits(definition: Definition, bounds: Bounds) -> Iterator[Fault]:
    if len(definition.triggers) > bounds.triggers:
        yield ("triggers",), f"at most {bounds.triggers} triggers are possible"
    if len(definition.tasks) > bounds.tasks and _is_automated(definition):
        yield ("tasks",), f"at most {bounds.tasks} tasks are possible"


def _is_automated(definition: Definition) -> bool:
    """Whether any key of it is not prunner's."""
    tasks = definition.tasks.values()
    return bool(
        definition.triggers
        or definition.outputs
        or definition.params_are_checked
        or any(task.native or task.when or task.outputs or task.executor or task.load for task in tasks)
    )


def _collisions(definition: Definition) -> Iterator[Fault]:
    if not _is_automated(definition):
        return
    found: dict[str, str] = {}
    for name in definition.tasks:
        other = found.setdefault(identifier(name), name)
        if other != name:
            yield ("tasks", name), f"names {quoted(other)} and {quoted(name)} collide"


def _of_task(
    definition: Definition, name: str, task: TaskDefinition, callees: Callable[[str], Definition | None]
) -> Iterator[Fault]:
    names: Mapping[str, Kind] = {}
    if task.when is not None or task.native or task.checkout is not None:
        names = names_before(definition, name)
    known = before(definition, name) if task.load else ()
    for other in task.load:
        if other not in known:
            reason = "does not come before" if other in definition.tasks else "is no task"
            yield ("load", other), f"load: {quoted(other)} {reason}"
    for at, what, source, wanted in _sources(task):
        yield from _expression(at, what, source, names, wanted)
    yield from _texts(task)
    if task.call is not None:
        called = callees(task.call.pipeline)
        if called is None:
            yield ("call",), f"unknown pipeline {quoted(task.call.pipeline)}"
        else:
            yield from _start(called, task.call.params, task.call.params_from, names)
    if task.approval is not None and task.approval.four_eyes:
        nobody = [trigger.name for trigger in definition.triggers.values() if trigger.user is None]
        if nobody:
            where = f"trigger {quoted(nobody[0])} has no user"
            yield ("four_eyes",), f"four_eyes needs to know who starts it: {where}"


def _sources(task: TaskDefinition) -> Iterator[tuple[KeyPath, str, str, Kind]]:
    if task.when is not None:
        yield ("when",), "when", task.when, Kind.BOOLEAN
    if task.compare is not None:
        yield ("compare",), "compare", task.compare, Kind.BOOLEAN
    if task.match is not None:
        yield ("match", "text"), "match", task.match.text, Kind.STRING
    if task.checkout is not None and task.checkout.ref_from:
        yield ("checkout", "ref_from"), "ref_from", task.checkout.ref_from, Kind.STRING


def _texts(task: TaskDefinition) -> Iterator[Fault]:
    texts = {
        "message": task.message.text if task.message else "",
        "text": task.approval.text if task.approval else "",
    }
    for key, text in texts.items():
        try:
            Template.parse(text)
        except TemplateError as error:
            yield (key,), str(error)


def _of_trigger(
    definition: Definition, trigger: Trigger, callees: Callable[[str], Definition | None]
) -> Iterator[Fault]:
    if trigger.condition is not None:
        yield from _expression(("if",), "if", trigger.condition, OF_AN_EVENT, Kind.BOOLEAN)
    for key, source in (
        ("partition", trigger.partition),
        ("user", trigger.user),
        ("dedupe", trigger.webhook.dedupe if trigger.webhook else None),
    ):
        if source is not None:
            yield from _expression((key,), key, source, OF_AN_EVENT)
    yield from _start(definition, trigger.params, trigger.params_from, OF_AN_EVENT)
    for name in trigger.source.pipelines if trigger.source else ():
        if callees(name) is None:
            yield ("pipeline",), f"unknown pipeline {quoted(name)}"


def _start(
    started: Definition,
    params: Mapping[str, object],
    params_from: Mapping[str, str],
    names: Mapping[str, Kind],
) -> Iterator[Fault]:
    """What a trigger or a call gives a pipeline; what it computes needs a declaration in every case.

    Without one it would be a variable of templates, and so become text of a script.
    """
    declared = {each.name: each for each in started.params} if started.params_are_checked else {}
    for name in {**params, **params_from}:
        if name not in declared and (started.params_are_checked or name in params_from):
            key = "params" if name in params else "params_from"
            yield (key, name), f"param {quoted(name)} is not declared"
    for name, parameter in declared.items():
        if name in params:
            for reason in reasons(parameter, params[name]):
                yield ("params", name), f"param {quoted(name)}: {reason}"
        elif parameter.required and name not in params_from:
            yield ("params",), f"param {quoted(name)}: is required"
    for name, source in params_from.items():
        found = Kind(declared[name].kind.value) if name in declared else None
        yield from _expression(("params_from", name), f"params_from {quoted(name)}", source, names, found)


def _expression(
    at: KeyPath, what: str, source: str, names: Mapping[str, Kind], wanted: Kind | None = None
) -> Iterator[Fault]:
    try:
        found: Expression = compiled(source, names)
    except ExpressionError as error:
        column = f", column {error.column}" if error.column is not None else ""
        yield at, f"{what}{column}: {error}"
        return
    if wanted is not None and found.kind not in (wanted, Kind.ANY):
        must = (
            "true or false"
            if wanted is Kind.BOOLEAN
            else f"{'an' if wanted is Kind.OBJECT else 'a'} {wanted}"
        )
        yield at, f"{what} must be {must}, not {found.kind}"


def _free_texts(definition: Definition) -> Iterator[Fault]:
    """Templates of scripts that would put what somebody has written into a shell."""
    if not definition.params_are_checked:
        return
    free = {parameter.name for parameter in definition.params if parameter.is_free}
    scripts: dict[KeyPath, Sequence[str]] = {
        ("tasks", name, "script"): task.script for name, task in definition.tasks.items()
    }
    for name, task in definition.tasks.items():
        for hook in ("setup", "teardown"):
            if task.executor and (found := getattr(task.executor, hook)):
                scripts["tasks", name, "executor", hook] = found.script
    if definition.on_error is not None:
        scripts["on_error", "script"] = definition.on_error.script
    for at, script in scripts.items():
        what = f"task {quoted(at[1])}: " if at[0] == "tasks" else "on_error: "
        for entry in script:
            for name in sorted(_names(entry) & free):
                advice = f'{{{{ .{name} }}}} is free text: use "$PARAM_{name.upper()}"'
                yield (*at, entry), what + advice


def _names(entry: str) -> set[str]:
    """Of all variables that a template looks at."""
    try:
        left: list[Node] = [Template.parse(entry).tree]
    except TemplateError:
        return set()  # the task fails before it runs anything
    found: set[str] = set()
    while left:
        node = left.pop()
        left += node.parts
        if node.kind == "reference":
            found.update(node.names[:1])
            left += [node.value] if isinstance(node.value, Node) else []
    return found
