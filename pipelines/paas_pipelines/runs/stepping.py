"""What happens to a run: each function takes a record and makes the next one, as far as it goes by itself."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from paas_pipelines.definitions.definition import ON_ERROR, Restart, TaskDefinition
from paas_pipelines.runs.run import CANCELED_TEXT, NO_EXIT_CODE, Run, Task, TaskEnd, TaskStatus
from paas_runner.errors import IllegalTransitionError

MAY_FOLLOW: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.WAITING: frozenset({TaskStatus.RUNNING, TaskStatus.DONE, TaskStatus.CANCELED}),
    TaskStatus.RUNNING: frozenset(
        {TaskStatus.RUNNING, TaskStatus.DONE, TaskStatus.ERROR, TaskStatus.CANCELED},
    ),
    TaskStatus.DONE: frozenset(),
    TaskStatus.SKIPPED: frozenset(),
    TaskStatus.ERROR: frozenset(),
    TaskStatus.CANCELED: frozenset(),
}
"""The table of §3.2. From waiting straight to done goes what has no script; running again, what died with
the server and has `restart: retry`. Every other pair is a bug of ours."""


def started(run: Run, now: datetime) -> Run:
    """It has a slot: the tasks that depend on nothing begin."""
    return advanced(attrs.evolve(run, start=now), now)


def canceled(run: Run, now: datetime) -> Run:
    """Somebody wants it no more: what waits never starts, what runs is to be stopped."""
    if run.ended or run.canceled:
        return run
    if run.start is None:
        return _without_waiting_tasks(attrs.evolve(run, canceled=True))
    return advanced(attrs.evolve(run, canceled=True, last_error=run.last_error or CANCELED_TEXT), now)


def task_ended(run: Run, name: str, end: TaskEnd, now: datetime) -> Run:
    """A running task has ended; one that does not run is left as it is."""
    task = run.task(name)
    if task.status is not TaskStatus.RUNNING:
        return run
    task = _ended(task, end, now, asked=run.stops(task))
    run = run.with_task(task)
    if task.errored and not run.first_failed and not run.is_hook(task):
        run = attrs.evolve(run, first_failed=name, last_error=run.last_error or task.error)
    return advanced(run, now)


def submitted(run: Run, name: str, job_id: int) -> Run:
    """A running task has become a job of the coordinator; one that does not run is left as it is."""
    task = run.task(name)
    return run.with_task(attrs.evolve(task, job_id=job_id)) if task.status is TaskStatus.RUNNING else run


def recovered(run: Run, now: datetime) -> Run:
    """As it goes on after the server died, and with it the tasks of this machine that ran (§8).

    Those that were to be stopped have stopped. Those with `restart: retry` run again. Any other one ends the
    run, as prunner does: canceled, not completed; but its jobs elsewhere, which outlived us, are stopped
    first. A run that had failed before its `on_error` task died has failed.
    """
    if not run.active:
        return run
    dead = [task for task in run.tasks if task.status is TaskStatus.RUNNING and not task.definition.elsewhere]
    wanted = [task for task in dead if not run.stops(task) and not run.is_hook(task)]
    lost = any(task.definition.restart is not Restart.RETRY for task in wanted)
    for task in dead:
        if task in wanted and not lost:
            again = _became(task, TaskStatus.RUNNING, attempt=task.attempt + 1, start=now)
        else:
            again = _became(task, TaskStatus.CANCELED, end=now)
        run = run.with_task(again)
    return _without_waiting_tasks(attrs.evolve(run, canceled=True)) if lost else advanced(run, now)


def advanced(run: Run, now: datetime) -> Run:
    """As far as it goes by itself: intents to start tasks, among them `on_error`, and its end."""
    tasks: dict[str, Task] = {}
    for task in run.tasks:  # each comes after those that it depends on
        tasks[task.name] = _next(task, run, tasks, now)
    run = attrs.evolve(run, tasks=tuple(tasks.values()))
    if run.completed or not all(task.ended for task in run.tasks):
        return run
    if run.first_failed and run.on_error and not run.canceled and ON_ERROR not in tasks:
        hook = TaskDefinition(script=run.on_error.script, env=run.on_error.env)
        return advanced(attrs.evolve(run, tasks=(*run.tasks, Task(name=ON_ERROR, definition=hook))), now)
    return attrs.evolve(run, completed=True, end=now)


def _next(task: Task, run: Run, before: Mapping[str, Task], now: datetime) -> Task:
    if task.status is not TaskStatus.WAITING:
        return task
    needed = [before[name] for name in task.definition.depends_on]
    if run.stops(task) or any(other.ended and not other.satisfies for other in needed):
        return _became(task, TaskStatus.CANCELED)
    if not all(other.satisfies for other in needed):
        return task
    if not task.definition.script:  # a point where others meet: nothing to run anywhere
        return _became(task, TaskStatus.DONE, start=now, end=now)
    return _became(task, TaskStatus.RUNNING, start=now, exit_code=NO_EXIT_CODE)


def _ended(task: Task, end: TaskEnd, now: datetime, *, asked: bool) -> Task:
    if end.stopped and asked:
        code = end.exit_code or NO_EXIT_CODE
        return _became(task, TaskStatus.CANCELED, end=now, exit_code=code)
    error = end.error or ("stopped by somebody else" if end.stopped else "")
    if error or (end.exit_code and not task.definition.allow_failure):
        text = error or f"exit status {end.exit_code}"
        return _became(task, TaskStatus.ERROR, end=now, exit_code=end.exit_code, errored=True, error=text)
    return _became(task, TaskStatus.DONE, end=now, exit_code=end.exit_code)


def _without_waiting_tasks(run: Run) -> Run:
    return attrs.evolve(
        run,
        tasks=tuple(
            _became(task, TaskStatus.CANCELED) if task.status is TaskStatus.WAITING else task
            for task in run.tasks
        ),
    )


def _became(task: Task, status: TaskStatus, **changes: Any) -> Task:
    if status not in MAY_FOLLOW[task.status]:
        raise IllegalTransitionError(f"task {task.name}: {status} after {task.status}")
    return attrs.evolve(task, status=status, **changes)
