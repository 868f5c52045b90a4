"""What the expressions of a run see: flat names with dots, and their values (spec automation.md §4).

What is not known, an output of a task that was skipped, is not there: to read it is an error, never false.
`stdout.TASK` is not the record's; whoever reads logs adds it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from paas_pipelines.definitions.naming import identifier
from paas_pipelines.runs.digests import before
from paas_pipelines.runs.outcomes import failed
from paas_pipelines.runs.run import Run, Task, TaskStatus


def values_of(run: Run, task: Task | None = None) -> dict[str, Any]:
    """Those that the expressions of a task may name; without one, those at the run's end."""
    if task is None:
        behind: Iterable[Task] = run.tasks
    else:
        names = before(run, task.name)
        behind = (each for each in run.tasks if each.name in names)
    found: dict[str, Any] = {
        "run.id": run.run_id,
        "run.user": run.user,
        "trigger.name": run.origin.trigger,
    }
    found |= {
        f"params.{each.name}": run.variables[each.name] for each in run.params if each.name in run.variables
    }
    for each in behind:
        found |= _of_task(each)
    return found


def outputs_before(run: Run, task: Task) -> Mapping[str, Mapping[str, Any]]:
    """By the identifiers of the tasks before one: for texts that are templates."""
    names = before(run, task.name)
    return {identifier(each.name): dict(_outputs(each)) for each in run.tasks if each.name in names}


def status_word(task: Task) -> str:
    """As expressions spell it; empty of one that has not ended."""
    match task.status:
        case TaskStatus.DONE | TaskStatus.ERROR:
            return "failed" if failed(task) else "success"
        case TaskStatus.SKIPPED | TaskStatus.CANCELED:
            return str(task.status)
        case _:
            return ""


def _of_task(task: Task) -> Mapping[str, Any]:
    if not task.ended:
        return {}
    name = identifier(task.name)
    return {
        f"status.{name}": status_word(task),
        f"exit_code.{name}": task.exit_code,
        **{f"outputs.{name}.{key}": value for key, value in _outputs(task).items()},
    }


def _outputs(task: Task) -> Mapping[str, Any]:
    defaults = {name: each.default for name, each in task.definition.outputs.items() if each.has_default}
    return {**defaults, **task.outputs}
