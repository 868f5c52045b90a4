"""How expressions name what a pipeline has (spec automation.md §4): flat names with dots, and their kinds."""

import re
from collections.abc import Iterator, Mapping

from paas_pipelines.definitions.automation import TaskType
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.definitions.parameter import ParameterKind
from paas_pipelines.expressions.library import Kind

_OTHERS = re.compile("[^A-Za-z0-9_]")
_KINDS = {kind: Kind(kind.value) for kind in ParameterKind}
OF_THE_RUN: Mapping[str, Kind] = {
    "run.user": Kind.STRING,
    "run.id": Kind.STRING,
    "trigger.name": Kind.STRING,
}
OF_AN_EVENT: Mapping[str, Kind] = {"payload": Kind.ANY, "event": Kind.ANY, "source": Kind.ANY}
"""What the expressions of triggers see: the payload, `event.type` and such, and the run of a pipeline."""


def identifier(task_name: str) -> str:
    """A task's name within `outputs.…`, `stdout.…`, `status.…` and `exit_code.…`."""
    return _OTHERS.sub("_", task_name)


def names_before(definition: Definition, task: str) -> Mapping[str, Kind]:
    """What the expressions of a task see: params, the run, and all tasks that it comes after."""
    return {**_of_params(definition), **OF_THE_RUN, **_of_tasks(definition, before(definition, task))}


def names_at_the_end(definition: Definition) -> Mapping[str, Kind]:
    """What the outputs of a pipeline see."""
    return {**_of_params(definition), **OF_THE_RUN, **_of_tasks(definition, set(definition.tasks))}


def before(definition: Definition, task: str) -> set[str]:
    """The tasks that have ended when this one begins, in any way that lets it begin."""
    found: set[str] = set()
    left = [task]
    while left:
        known = definition.tasks.get(left.pop())
        new = set(known.depends_on if known else ()) - found
        found |= new
        left += new
    return found - {task}


def outputs_of(task: TaskDefinition) -> Mapping[str, Kind]:
    """By their names; those of a call are its pipeline's, of any kind."""
    found = {name: _KINDS[output.kind] for name, output in task.outputs.items()}
    if task.call is not None:
        return dict.fromkeys(task.outputs, Kind.ANY)
    if task.approval is not None:
        found |= {parameter.name: _KINDS[parameter.kind] for parameter in task.approval.params}
    if task.type is TaskType.MATCH:
        found |= {"matched": Kind.BOOLEAN, "groups": Kind.LIST}
    if task.type is TaskType.COMPARE:
        found |= {"result": Kind.BOOLEAN}
    return found


def _of_params(definition: Definition) -> Mapping[str, Kind]:
    """None where they are for start forms alone: a run may have anything by their names."""
    if not definition.params_are_checked:
        return {}
    return {f"params.{parameter.name}": _KINDS[parameter.kind] for parameter in definition.params}


def _of_tasks(definition: Definition, names: set[str]) -> Mapping[str, Kind]:
    return dict(
        each for name in definition.tasks if name in names for each in _of_task(name, definition.tasks[name])
    )


def _of_task(name: str, task: TaskDefinition) -> Iterator[tuple[str, Kind]]:
    here = identifier(name)
    yield f"status.{here}", Kind.STRING
    yield f"exit_code.{here}", Kind.NUMBER
    yield f"stdout.{here}", Kind.STRING
    for output, kind in outputs_of(task).items():
        yield f"outputs.{here}.{output}", kind
