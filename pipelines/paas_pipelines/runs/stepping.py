"""What happens to a run: each function takes a record and makes the next one, as far as it goes by itself."""

from collections.abc import Collection, Mapping
from datetime import datetime

import attrs

from paas_pipelines.definitions.automation import Outcome
from paas_pipelines.definitions.definition import ON_ERROR, Restart, TaskDefinition
from paas_pipelines.runs import approving
from paas_pipelines.runs.moments import timeout_of
from paas_pipelines.runs.outcomes import ended
from paas_pipelines.runs.run import (
    CANCELED_TEXT,
    NO_EXIT_CODE,
    UNTRUSTED,
    Asked,
    Run,
    Task,
    TaskEnd,
    TaskStatus,
)
from paas_pipelines.runs.transitions import became

TIMEOUT = "timeout"


def started(run: Run, now: datetime) -> Run:
    """It has a slot: the tasks that depend on nothing begin."""
    return advanced(attrs.evolve(run, start=now), now)


def canceled(run: Run, now: datetime, why: str = CANCELED_TEXT) -> Run:
    """Somebody wants it no more: what waits never starts, what runs is to be stopped."""
    if run.ended or run.canceled:
        return run
    if run.start is None:
        return _without_waiting_tasks(attrs.evolve(run, canceled=True))
    return advanced(attrs.evolve(run, canceled=True, last_error=run.last_error or why), now)


def task_ended(run: Run, name: str, end: TaskEnd, now: datetime) -> Run:
    """A running task has ended; one that does not run is left as it is."""
    if run.task(name).status is not TaskStatus.RUNNING:
        return run
    return advanced(_with_end(run, name, end, now), now)


def submitted(run: Run, name: str, job_id: int) -> Run:
    """A running task has become a job of the coordinator; one that does not run is left as it is."""
    task = run.task(name)
    return run.with_task(attrs.evolve(task, job_id=job_id)) if task.status is TaskStatus.RUNNING else run


def called(run: Run, name: str, run_id: str) -> Run:
    """A running task has started another run; one that does not run is left as it is."""
    task = run.task(name)
    return run.with_task(attrs.evolve(task, called=run_id)) if task.status is TaskStatus.RUNNING else run


def blocked(run: Run, name: str, asked: Asked, now: datetime) -> Run:
    """A running task waits for people from now on; one that does not run is left as it is."""
    task = run.task(name)
    if task.status is not TaskStatus.RUNNING:
        return run
    return advanced(run.with_task(became(task, TaskStatus.BLOCKED, asked=asked)), now)


def recovered(run: Run, now: datetime, never_began: Collection[str] = ()) -> Run:
    """As it goes on after the server died, and with it the tasks of this machine that ran (§8).

    Those that were to be stopped have stopped. Those with `restart: retry` run again, as does what is code
    of the server itself, and what `never_began` although its record says that it runs. Any other one ends the
    run, as prunner does: canceled, not completed; but its jobs elsewhere, which outlived us, are stopped
    first, and so are the runs that it has called. A run that had failed before its `on_error` task died has
    failed.
    """
    if not run.active:
        return run
    run = approving.reopened(run, now)
    dead = [task for task in run.tasks if task.status is TaskStatus.RUNNING and not _outlives(task)]
    wanted = [task for task in dead if not run.stops(task) and not run.is_hook(task)]
    lost = any(
        task.definition.restart is not Restart.RETRY and task.name not in never_began for task in wanted
    )
    wanted += [
        task for task in dead if run.is_hook(task) and not run.stops(task) and task.name in never_began
    ]
    for task in dead:
        if task in wanted and not lost:
            again = became(task, TaskStatus.RUNNING, attempt=task.attempt + 1, start=now)
        else:
            again = became(task, TaskStatus.CANCELED, end=now)
        run = run.with_task(again)
    return _without_waiting_tasks(attrs.evolve(run, canceled=True)) if lost else advanced(run, now)


def advanced(run: Run, now: datetime, *, has_slot: bool = False) -> Run:
    """As far as it goes by itself: what was decided, what is over, intents to start tasks, and its end.

    A run that has released its slot goes on, once that is decided, only where it has one again: `has_slot`.
    """
    if run.active:
        run = _timed_out(_with_verdicts(approving.passed(run, now), now, has_slot=has_slot), now)
    tasks: dict[str, Task] = {}
    for task in run.tasks:  # each comes after those that it depends on
        tasks[task.name] = _next(task, run, tasks, now)
    run = _with_blocked_time(attrs.evolve(run, tasks=tuple(tasks.values())), now)
    if run.completed or not all(task.ended for task in run.tasks):
        return run
    if run.on_error and _is_to_tell(run):
        hook = TaskDefinition(script=run.on_error.script, env=run.on_error.env)
        return advanced(attrs.evolve(run, tasks=(*run.tasks, Task(name=ON_ERROR, definition=hook))), now)
    return attrs.evolve(run, completed=True, end=now)


def _is_to_tell(run: Run) -> bool:
    """Whether its `on_error` task has to run; not for one that nobody has trusted so far."""
    held = any(task.name == UNTRUSTED and task.status is not TaskStatus.DONE for task in run.tasks)
    failed = bool(run.first_failed or run.broken)
    return failed and not run.canceled and not run.hook_began and not held


def _with_end(run: Run, name: str, end: TaskEnd, now: datetime) -> Run:
    """With the end of a task, and what that means for the run."""
    task, outcome = ended(run, run.task(name), end, now)
    run = run.with_task(task)
    if task.errored and not run.first_failed and not run.is_hook(task):
        run = attrs.evolve(run, first_failed=name, last_error=run.last_error or task.error)
    if outcome is Outcome.SUCCEED and not run.succeeded_by:
        run = attrs.evolve(run, succeeded_by=name)
    return run


def _with_verdicts(run: Run, now: datetime, *, has_slot: bool) -> Run:
    released = approving.has_released(run) and not has_slot
    for task in run.tasks:
        if task.status is not TaskStatus.BLOCKED or run.stops(task):
            continue
        match approving.verdict(task):
            case approving.Verdict.APPROVED if not released:
                run = _with_end(run, task.name, TaskEnd(outputs=approving.values(task)), now)
            case approving.Verdict.REJECTED if not released or _fails_fast(run, task):
                run = _with_end(run, task.name, TaskEnd(error=approving.rejection(task)), now)
    return run


def _fails_fast(run: Run, task: Task) -> bool:
    """Whether its failure ends the run, which needs no slot."""
    return task.definition.on_failure is Outcome.FAIL and not run.goes_on_after_failure


def _timed_out(run: Run, now: datetime) -> Run:
    over = timeout_of(run)
    if over is None or now < over:
        return run
    return attrs.evolve(run, broken=TIMEOUT, last_error=run.last_error or TIMEOUT)


def _with_blocked_time(run: Run, now: datetime) -> Run:
    is_blocked = bool(approving.blocked(run))
    if is_blocked and run.blocked_since is None:
        return attrs.evolve(run, blocked_since=now)
    if not is_blocked and run.blocked_since is not None:
        spent = run.blocked_before + (now - run.blocked_since)
        return attrs.evolve(run, blocked_since=None, blocked_before=spent)
    return run


def _next(task: Task, run: Run, before: Mapping[str, Task], now: datetime) -> Task:
    if task.status is TaskStatus.BLOCKED:
        if run.stops(task):
            return became(task, TaskStatus.CANCELED, end=now)
        return became(task, TaskStatus.SKIPPED, end=now) if run.succeeded_by else task
    if task.status is not TaskStatus.WAITING:
        return task
    needed = [before[name] for name in task.definition.depends_on]
    if run.stops(task) or any(other.ended and not other.satisfies for other in needed):
        return became(task, TaskStatus.CANCELED)
    if run.succeeded_by and not run.is_hook(task):
        return became(task, TaskStatus.SKIPPED)
    if not all(other.satisfies for other in needed):
        return task
    if _is_point(task.definition):
        return became(task, TaskStatus.DONE, start=now, end=now)
    return became(task, TaskStatus.RUNNING, start=now, exit_code=NO_EXIT_CODE)


def _is_point(definition: TaskDefinition) -> bool:
    """Where others meet: nothing to run anywhere, and nothing to be decided."""
    plain = definition.when is None and definition.on_success is Outcome.CONTINUE
    return not definition.script and not definition.native and plain


def _outlives(task: Task) -> bool:
    return task.definition.outlives


def _without_waiting_tasks(run: Run) -> Run:
    over = (TaskStatus.WAITING, TaskStatus.BLOCKED)
    return attrs.evolve(
        run,
        tasks=tuple(became(task, TaskStatus.CANCELED) if task.status in over else task for task in run.tasks),
    )
