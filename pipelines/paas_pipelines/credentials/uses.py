"""Where credentials are named: by tasks, by their executors, by triggers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from paas_pipelines.definitions.automation import FromCredential
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.runs.run import Run

_KEY = "from_credential"


def references(task: TaskDefinition) -> tuple[Mapping[str, FromCredential], Sequence[FromCredential]]:
    """Those that are variables of a task, and those that its executor, its check-out or its type use."""
    executor = task.executor
    variables = {**(executor.secrets if executor else {}), **task.secrets}
    others = list(_in(executor.settings)) if executor else []
    others += _in(task.plugin.settings) if task.plugin else ()
    for hook in (executor.setup, executor.teardown) if executor else ():
        others += _in(hook.settings) if hook else ()
    if task.checkout and task.checkout.credential:
        others.append(FromCredential(name=task.checkout.credential))
    return variables, others


def uses(definitions: Iterable[Definition], runs: Iterable[Run], name: str) -> Sequence[str]:
    """Where a credential is used by what is defined, and by runs that are not over."""
    found = [
        f"pipeline {definition.name}, {where}"
        for definition in definitions
        for where in _of_definition(definition, name)
    ]
    for run in runs:
        tasks = (task for task in run.tasks if not task.ended and _uses(task.definition, name))
        found += [f"run {run.run_id}, task {task.name}" for task in tasks]
    return found


def _of_definition(definition: Definition, name: str) -> Iterator[str]:
    for task, what in definition.tasks.items():
        if _uses(what, name):
            yield f"task {task}"
    for trigger in definition.triggers.values():
        if trigger.webhook and trigger.webhook.secret.name == name:
            yield f"trigger {trigger.name}"


def _uses(task: TaskDefinition, name: str) -> bool:
    variables, others = references(task)
    return any(ref.name == name for ref in (*variables.values(), *others))


def _in(value: Any) -> Iterator[FromCredential]:
    """However deep in the settings of an executor."""
    if isinstance(value, FromCredential):
        yield value
    elif isinstance(value, Mapping):
        if isinstance(named := value.get(_KEY), str):
            yield FromCredential(name=named, field=str(value.get("field") or ""))
        else:
            for each in value.values():
                yield from _in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _in(each)
