"""Expressions of a run, computed from its record; what a task has said is read only where it is named."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs

from paas_pipelines.definitions import naming
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.expressions.expression import Expression, ExpressionError, Kind, compiled
from paas_pipelines.runs.run import Run, Task
from paas_pipelines.runs.values import values_of

Stdout: TypeAlias = Callable[[str, str], str]
"""What a task has said, by the ids of its run and its name: the last of it, within bounds."""

_STDOUT = "stdout."


def value(source: str, run: Run, task: Task | None, stdout: Stdout) -> Any:
    """What a task's expression says, or one of the run's end; raises `ExpressionError`."""
    expression, data = _prepared(source, run, task, stdout)
    return expression.value(data)


def holds(source: str, run: Run, task: Task | None, stdout: Stdout) -> bool:
    """Whether it is true; raises `ExpressionError`, also for what is neither true nor false."""
    expression, data = _prepared(source, run, task, stdout)
    return expression.holds(data)


def with_outputs(run: Run, stdout: Stdout) -> Run:
    """A run that has just ended, with its outputs.

    One that has not failed so far has, if one of them cannot be computed; of others that one is left out.
    """
    found: dict[str, Any] = {}
    wrong = ""
    for name, source in run.output_expressions.items():
        try:
            found[name] = value(source, run, None, stdout)
        except ExpressionError as error:
            wrong = wrong or f'output "{name}": {error}'
    run = attrs.evolve(run, outputs=found)
    if not wrong or run.errored or run.canceled:
        return run
    return attrs.evolve(run, broken=wrong, last_error=run.last_error or wrong)


def _prepared(
    source: str, run: Run, task: Task | None, stdout: Stdout
) -> tuple[Expression, Mapping[str, Any]]:
    data = values_of(run, task)
    expression = compiled(source, _names(run, task, data))
    spoken = {naming.identifier(each.name): each.name for each in run.tasks}
    for name in expression.names:
        if name.startswith(_STDOUT):
            data[name] = stdout(run.run_id, spoken[name.removeprefix(_STDOUT)])
    return expression, data


def _names(run: Run, task: Task | None, data: Mapping[str, Any]) -> Mapping[str, Kind]:
    """Those of the definition that the run began with; a called run may have told more outputs."""
    tasks = {each.name: each.definition for each in run.tasks}
    definition = Definition(
        name=run.pipeline, source="", tasks=tasks, params=run.params, params_are_checked=True
    )
    if task is None:
        known = naming.names_at_the_end(definition)
    else:
        known = naming.names_before(definition, task.name)
    return {**dict.fromkeys(data, Kind.ANY), **known}
