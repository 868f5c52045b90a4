"""Executions as people read them, and as programs do."""

from collections.abc import Sequence
from typing import Any

from paas_runner.commands.output import Line, Painted, Table
from paas_runner.plain_text import short_span
from paas_workflows.machine.deciding import job_object, job_result
from paas_workflows.machine.execution import Execution, Status
from paas_workflows.store.executions import Executions

_STYLES = {"success": "green", "running": "cyan"}


def as_object(execution: Execution) -> dict[str, Any]:
    """All that may be shown of one: the result of a job, the job, and ours; no value of a variable."""
    return {
        **job_result(execution),
        **job_object(execution),
        "executor": execution.executor,
        "started": execution.started.isoformat(),
        "ended": execution.ended and execution.ended.isoformat(),
        "containers_left": execution.left,
    }


def listed(executions: Sequence[Execution]) -> Table:
    """One a row."""
    rows: list[list[Line]] = [
        [each.id, each.file.name, _painted(each.status), f"{each.started.astimezone():%Y-%m-%d %H:%M:%S}"]
        for each in executions
    ]
    return Table(head=("ID", "NAME", "STATUS", "STARTED"), rows=rows)


def shown(execution: Execution, executions: Executions) -> list[Line | Table]:
    """One, with its steps."""
    why = execution.message if execution.status is not Status.SUCCESS else ""
    head = f"{execution.file.name} ({execution.id}): "
    parts: list[Line | Table] = [[head, _painted(execution.status), f": {why}" if why else ""]]
    rows: list[list[Line]] = [
        [each.step, _painted(each.result), str(each.rc), short_span(each.ended - each.started), each.message]
        for each in execution.results
    ]
    if run := execution.run:
        rows.append([run.step, _painted("running"), "", "", f"in {run.container}"])
    if rows:
        parts.append(Table(head=("STEP", "RESULT", "RC", "TOOK", "MESSAGE"), rows=rows))
    if execution.ended is None:
        parts.append(f"unless it runs now, `{executions.resuming(execution.id)}` goes on with it")
    if execution.left:
        names = ", ".join(execution.left)
        parts.append(f"could not be removed: {names}; `paas-runner workflow remove` tries it again")
    return parts


def _painted(status: str) -> Painted:
    return Painted(status, _STYLES.get(status, "red"))
