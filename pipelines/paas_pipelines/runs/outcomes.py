"""How a task has ended, by what its place tells, and what its run makes of it: `on_success`, `on_failure`."""

from datetime import datetime

import attrs

from paas_pipelines.definitions.automation import End, Outcome
from paas_pipelines.runs.run import NO_EXIT_CODE, Run, Task, TaskEnd, TaskStatus
from paas_pipelines.runs.transitions import became


def ended(run: Run, task: Task, end: TaskEnd, now: datetime) -> tuple[Task, Outcome]:
    """The task with its end, and what follows from it: that the run goes on, succeeds, or has failed.

    A failure after which it goes on, or succeeds, is no error of the run; the task keeps its code and text.
    """
    if end.stopped and run.stops(task):
        code = end.exit_code or NO_EXIT_CODE
        return became(task, TaskStatus.CANCELED, end=now, exit_code=code), Outcome.CONTINUE
    if end.skipped:
        return became(task, TaskStatus.SKIPPED, start=None, exit_code=0), Outcome.CONTINUE
    task = attrs.evolve(task, outputs=end.outputs, saved=end.saved, facts={**task.facts, **end.facts})
    error = end.error or ("stopped by somebody else" if end.stopped else "")
    outcome = _outcome(run, task, end, failed=bool(error or end.exit_code))
    if outcome is not Outcome.FAIL:
        return became(task, TaskStatus.DONE, end=now, exit_code=end.exit_code, error=error), outcome
    text = error or _reason(task, end)
    task = became(task, TaskStatus.ERROR, end=now, exit_code=end.exit_code, errored=True, error=text)
    return task, outcome


def failed(task: Task) -> bool:
    """Whether it has not done what it was to do, also where that was tolerated."""
    return task.status is TaskStatus.ERROR or (
        task.status is TaskStatus.DONE and bool(task.exit_code or task.error)
    )


def _outcome(run: Run, task: Task, end: TaskEnd, *, failed: bool) -> Outcome:
    definition = task.definition
    if run.succeeded_by and not run.is_hook(task):
        return Outcome.CONTINUE
    if definition.end is not None and not failed:
        return Outcome.SUCCEED if definition.end is End.SUCCESS else Outcome.FAIL
    if not failed:
        return definition.on_success
    if definition.allow_failure and not (end.error or end.stopped) and definition.on_failure is Outcome.FAIL:
        return Outcome.CONTINUE
    return definition.on_failure


def _reason(task: Task, end: TaskEnd) -> str:
    if end.exit_code:
        return f"exit status {end.exit_code}"
    return "the run is to end with a failure here" if task.definition.end else "its success is a failure here"
