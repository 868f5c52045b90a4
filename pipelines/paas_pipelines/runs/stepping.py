"""What happens to a run: each function takes a record and makes the next one, as far as it goes by itself."""

from datetime import datetime

import attrs

from paas_pipelines.definitions.definition import ON_ERROR, Restart
from paas_pipelines.runs.run import (
    CANCELED_TEXT,
    NO_EXIT_CODE,
    Run,
    Task,
    TaskEnd,
    TaskStatus,
    on_error_task,
)


def started(run: Run, now: datetime) -> Run:
    """It has a slot: the tasks that depend on nothing begin."""
    return advanced(attrs.evolve(run, start=now), now)


def canceled(run: Run, now: datetime) -> Run:
    """Somebody wants it no more: what waits never starts, what runs is to be stopped."""
    if run.canceled or run.completed:
        return run
    text = CANCELED_TEXT if run.start else ""
    run = attrs.evolve(run, canceled=True, last_error=run.last_error or text)
    return advanced(run, now) if run.start else _without_waiting_tasks(run)


def task_ended(run: Run, name: str, end: TaskEnd, now: datetime) -> Run:
    """A running task has ended; one that does not run is left as it is."""
    task = run.task(name)
    if task.status is not TaskStatus.RUNNING:
        return run
    task = _ended(task, end, now)
    if task.errored and name != ON_ERROR and not run.first_failed:
        run = attrs.evolve(run, first_failed=name, last_error=run.last_error or task.error)
    return advanced(run.with_task(task), now)


def submitted(run: Run, name: str, job_id: int) -> Run:
    """A task has become a job of the coordinator."""
    return run.with_task(attrs.evolve(run.task(name), job_id=job_id))


def recovered(run: Run, now: datetime) -> Run:
    """As it goes on after the server died: tasks of this machine that ran then died, too (§8).

    Those with `restart: retry` run again; any other one ends the run, as prunner does: canceled, not
    completed. Jobs elsewhere have outlived us.
    """
    if not run.active:
        return run
    dead = [task for task in run.tasks if task.status is TaskStatus.RUNNING and not task.definition.elsewhere]
    if not run.stopping and all(task.definition.restart is Restart.RETRY for task in dead):
        for task in dead:
            run = run.with_task(attrs.evolve(task, attempt=task.attempt + 1, start=now))
        return run
    if run.stopping:  # they were to end anyway
        for task in dead:
            run = task_ended(run, task.name, TaskEnd(stopped=True), now)
        return run
    run = attrs.evolve(run, canceled=True)
    for task in dead:
        run = run.with_task(attrs.evolve(task, status=TaskStatus.CANCELED))
    return _without_waiting_tasks(run)


def advanced(run: Run, now: datetime) -> Run:
    """As far as it goes without anything from outside: intents to start tasks, and the end."""
    while (following := _advanced_once(run, now)) is not run:
        run = following
    return run


def _advanced_once(run: Run, now: datetime) -> Run:
    if run.completed:
        return run
    if run.stopping:
        run = _without_waiting_tasks(run)
    for task in run.tasks:
        changed = _next(task, run, now)
        if changed is not task:
            return run.with_task(changed)
    if all(task.ended for task in run.tasks):
        return _finished(run, now)
    return run


def _next(task: Task, run: Run, now: datetime) -> Task:
    if task.status is not TaskStatus.WAITING:
        return task
    before = [run.task(name) for name in task.definition.depends_on]
    if any(other.ended and not other.satisfies for other in before):
        return attrs.evolve(task, status=TaskStatus.CANCELED)
    if not all(other.satisfies for other in before):
        return task
    if not task.definition.script:  # a point where others meet: nothing to run anywhere
        return attrs.evolve(task, status=TaskStatus.DONE, start=now, end=now)
    return attrs.evolve(task, status=TaskStatus.RUNNING, start=now, exit_code=NO_EXIT_CODE)


def _finished(run: Run, now: datetime) -> Run:
    """With its `on_error` task first, where there is one and it failed by itself."""
    names = {task.name for task in run.tasks}
    if run.first_failed and run.on_error and not run.canceled and ON_ERROR not in names:
        return attrs.evolve(run, tasks=(*run.tasks, on_error_task(run.on_error, now)))
    return attrs.evolve(run, completed=True, end=now)


def _ended(task: Task, end: TaskEnd, now: datetime) -> Task:
    task = attrs.evolve(task, end=now, exit_code=end.exit_code)
    if end.stopped:
        return attrs.evolve(task, status=TaskStatus.CANCELED, exit_code=end.exit_code or NO_EXIT_CODE)
    if end.error or (end.exit_code and not task.definition.allow_failure):
        text = end.error or f"exit status {end.exit_code}"
        return attrs.evolve(task, status=TaskStatus.ERROR, errored=True, error=text)
    return attrs.evolve(task, status=TaskStatus.DONE)


def _without_waiting_tasks(run: Run) -> Run:
    if all(task.status is not TaskStatus.WAITING for task in run.tasks):
        return run
    return attrs.evolve(
        run,
        tasks=tuple(
            attrs.evolve(task, status=TaskStatus.CANCELED) if task.status is TaskStatus.WAITING else task
            for task in run.tasks
        ),
    )
