"""A run and its tasks as the disk has them: frozen records (spec prunner-api.md §3).

A run keeps the tasks, scripts and environments of the definition that was in force when it was scheduled.
"""

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import attrs

from paas_pipelines.definitions.definition import (
    NOTHING,
    ON_ERROR,
    Definition,
    Environment,
    OnError,
    TaskDefinition,
)

NO_EXIT_CODE = -1
CANCELED_TEXT = "context canceled"


class TaskStatus(enum.StrEnum):
    """As the API spells them."""

    WAITING = "waiting"
    RUNNING = "running"  # on the disk before anything of it has begun: the intent
    DONE = "done"
    SKIPPED = "skipped"  # no definition of today leads to it, but imported runs may have it
    ERROR = "error"
    CANCELED = "canceled"


ENDED = frozenset({TaskStatus.DONE, TaskStatus.SKIPPED, TaskStatus.ERROR, TaskStatus.CANCELED})


@attrs.frozen(kw_only=True)
class Task:
    """One task of a run."""

    name: str
    definition: TaskDefinition = TaskDefinition()
    status: TaskStatus = TaskStatus.WAITING
    start: datetime | None = None
    end: datetime | None = None
    exit_code: int = 0
    errored: bool = False
    error: str = ""
    attempt: int = 1
    """Counts the starts; more than one after the server died, with `restart: retry`."""

    job_id: int | None = None
    """The coordinator's job that it is, once that is submitted."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def satisfies(self) -> bool:
        """Whether those that depend on it may run."""
        tolerated = self.status is TaskStatus.ERROR and self.definition.allow_failure
        return self.status in (TaskStatus.DONE, TaskStatus.SKIPPED) or tolerated


@attrs.frozen(kw_only=True)
class Run:
    """One run of a pipeline."""

    run_id: str
    number: int
    """Counts up: a later run has a greater one, also of the same moment."""

    pipeline: str
    created: datetime
    variables: Mapping[str, Any] = MappingProxyType({})
    user: str = ""
    partition: str = ""
    not_before: datetime | None = None
    """The end of its `start_delay`."""

    env: Environment = NOTHING
    tasks: tuple[Task, ...] = ()
    on_error: OnError | None = None
    goes_on_after_failure: bool = False
    start: datetime | None = None
    end: datetime | None = None
    completed: bool = False
    canceled: bool = False
    """At once when somebody cancels it, although its tasks may need a while to end."""

    last_error: str = ""
    first_failed: str = ""
    """The task whose failure was the first."""

    @property
    def waiting(self) -> bool:
        return self.start is None and not self.canceled and not self.completed

    @property
    def active(self) -> bool:
        """Whether it has one of its pipeline's slots: also while the tasks of a canceled one wind down."""
        if self.start is None or self.completed:
            return False
        return not self.canceled or any(task.status is TaskStatus.RUNNING for task in self.tasks)

    @property
    def ended(self) -> bool:
        """Nothing of it changes any more."""
        return not self.waiting and not self.active

    @property
    def errored(self) -> bool:
        return any(task.errored for task in self.tasks)

    def is_hook(self, task: Task) -> bool:
        """Whether it is what runs once the run has failed; a pipeline without may name any task so."""
        return self.on_error is not None and task.name == ON_ERROR

    def stops(self, task: Task) -> bool:
        """Whether it is to be stopped, or never to start: canceled, or another one has failed (fail-fast)."""
        failed = bool(self.first_failed) and not self.goes_on_after_failure
        return self.canceled or (failed and not self.is_hook(task))

    def task(self, name: str) -> Task:
        """Raises KeyError."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise KeyError(name)

    def with_task(self, changed: Task) -> "Run":
        """The same with one task replaced by the one of its name."""
        return attrs.evolve(
            self, tasks=tuple(changed if task.name == changed.name else task for task in self.tasks)
        )


@attrs.frozen(kw_only=True)
class TaskEnd:
    """How a task has ended, as the place where it ran tells."""

    exit_code: int = 0
    """Of the last command that failed, else 0."""

    error: str = ""
    """What no `allow_failure` excuses: a template that cannot be rendered, a program that cannot start."""

    stopped: bool = False
    """It ended because it was stopped."""


def scheduled(
    definition: Definition,
    *,
    run_id: str,
    number: int,
    now: datetime,
    variables: Mapping[str, Any],
    user: str,
    partition: str,
) -> Run:
    """A new run, which waits."""
    delay: timedelta = definition.start_delay
    return Run(
        run_id=run_id,
        number=number,
        pipeline=definition.name,
        created=now,
        variables=variables,
        user=user,
        partition=partition,
        not_before=now + delay if delay else None,
        env=definition.env,
        tasks=tuple(Task(name=name, definition=definition.tasks[name]) for name in definition.order),
        on_error=definition.on_error,
        goes_on_after_failure=definition.continue_running_tasks_after_failure,
    )


def failure_variables(run: Run, stdout: str, stderr: str) -> dict[str, Any]:
    """What the `on_error` task is told beside the variables: of the first failed task, with its logs."""
    task = run.task(run.first_failed)
    return {
        "failedTaskName": task.name,
        "failedTaskExitCode": task.exit_code,
        "failedTaskError": task.error,
        "failedTaskStdout": stdout,
        "failedTaskStderr": stderr,
    }
