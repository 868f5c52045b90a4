"""A run and its tasks as the disk has them: frozen records (spec prunner-api.md §3).

A run keeps the tasks, scripts and environments of the definition that was in force when it was scheduled.
"""

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import attrs

from paas_pipelines.access.actor import Actor
from paas_pipelines.definitions.automation import Approval, Notify, TaskType
from paas_pipelines.definitions.definition import (
    HOLD,
    NOTHING,
    ON_ERROR,
    Definition,
    Environment,
    OnError,
    TaskDefinition,
)
from paas_pipelines.definitions.parameter import Parameter

UNTRUSTED = HOLD
"""The task before all others of a run that is held."""

NO_EXIT_CODE = -1
CANCELED_TEXT = "context canceled"


class TaskStatus(enum.StrEnum):
    """As the API spells them."""

    WAITING = "waiting"
    RUNNING = "running"  # on the disk before anything of it has begun: the intent
    DONE = "done"
    BLOCKED = "blocked"  # waits for people; prunner's API says waiting
    SKIPPED = (
        "skipped"  # its condition did not hold, or the run had succeeded before; imported runs have it, too
    )
    ERROR = "error"
    CANCELED = "canceled"


ENDED = frozenset({TaskStatus.DONE, TaskStatus.SKIPPED, TaskStatus.ERROR, TaskStatus.CANCELED})


@attrs.frozen(kw_only=True)
class Decision:
    """What one person has said."""

    user: str
    approved: bool
    at: datetime
    reason: str = ""
    values: Mapping[str, Any] = NOTHING
    marks: tuple[str, ...] = ()
    """By what this one is known, the person included that the settings had then; see `access.people`."""


@attrs.frozen(kw_only=True)
class Asked:
    """What a blocked task waits for, and what has been said; kept when it is decided."""

    since: datetime
    deadline: datetime
    digest: str
    """Of what is to be approved (spec automation.md §6)."""

    text: str = ""
    decisions: tuple[Decision, ...] = ()
    passed: bool = False
    """Its deadline was over before enough had decided."""

    reopened: bool = False
    """Its deadline passed while no server ran, and is a later one since; that happens once."""


@attrs.frozen(kw_only=True)
class Saved:
    """The files that a task has left to those after it: one archive."""

    digest: str
    """SHA-256, in hexadecimal digits."""

    size: int
    """Of the archive, in bytes."""

    count: int
    """Of its entries."""


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

    outputs: Mapping[str, Any] = NOTHING
    asked: Asked | None = None
    called: str | None = None
    """The run that it has started."""

    saved: Saved | None = None
    facts: Mapping[str, str] = NOTHING
    """What is known of where it ran: a node, an image."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def satisfies(self) -> bool:
        """Whether those that depend on it may run."""
        tolerated = self.status is TaskStatus.ERROR and self.definition.allow_failure
        return self.status in (TaskStatus.DONE, TaskStatus.SKIPPED) or tolerated


@attrs.frozen(kw_only=True)
class Origin:
    """Where a run comes from, if not from a request alone."""

    trigger: str = ""
    event_id: str = ""
    caller_run: str = ""
    caller_task: str = ""
    root_user: str = ""
    """Who started the first of the callers, as it is shown; empty where there is none."""

    root: tuple[str, ...] = ()
    """By what that one is known, if it is not whoever has started this."""

    chain: int = 0
    """How many runs started one another before it."""

    held: bool = False
    """Whether nothing may begin before somebody approves: what started it is not trusted."""


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
    """As it is shown; of a trigger's run the name that its `user` gives, which proves nothing."""

    actor: Actor | None = None
    """Whom the statements are asked of; None in records of older versions."""

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

    broken: str = ""
    """Why it has failed although none of its tasks has: `timeout`, an output that cannot be computed."""

    origin: Origin = Origin()
    params: tuple[Parameter, ...] = ()
    """Which of its variables are declared, where they were checked."""

    timeout: timedelta | None = None
    blocked_before: timedelta = timedelta()
    """How long it was blocked, but for the time since `blocked_since`."""

    blocked_since: datetime | None = None
    succeeded_by: str = ""
    """The task that has ended it early, with success."""

    output_expressions: Mapping[str, str] = NOTHING
    outputs: Mapping[str, Any] = NOTHING
    notify: tuple[Notify, ...] = ()

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
        return bool(self.broken) or any(task.errored for task in self.tasks)

    @property
    def hook_began(self) -> bool:
        """Whether it has failed so far that its `on_error` task has its turn."""
        return any(self.is_hook(task) for task in self.tasks)

    def is_hook(self, task: Task) -> bool:
        """Whether it is what runs once the run has failed; a pipeline without may name any task so."""
        return self.on_error is not None and task.name == ON_ERROR

    def stops(self, task: Task) -> bool:
        """Whether it is to be stopped, or never to start: canceled, or another one has failed (fail-fast)."""
        failed = bool(self.broken) or (bool(self.first_failed) and not self.goes_on_after_failure)
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

    skipped: bool = False
    """Its condition did not hold: nothing of it has begun."""

    outputs: Mapping[str, Any] = attrs.field(default=NOTHING, hash=False)
    saved: Saved | None = None
    facts: Mapping[str, str] = attrs.field(default=NOTHING, hash=False)


def scheduled(
    definition: Definition,
    *,
    run_id: str,
    number: int,
    now: datetime,
    variables: Mapping[str, Any],
    user: str,
    partition: str,
    origin: Origin = Origin(),
    actor: Actor | None = None,
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
        actor=actor,
        partition=partition,
        not_before=now + delay if delay else None,
        env=definition.env,
        tasks=_tasks_of(definition, held=origin.held),
        on_error=definition.on_error,
        goes_on_after_failure=definition.continue_running_tasks_after_failure,
        origin=origin,
        params=definition.params if definition.params_are_checked else (),
        timeout=definition.timeout,
        output_expressions=definition.outputs,
        notify=definition.notify,
    )


def _tasks_of(definition: Definition, *, held: bool) -> tuple[Task, ...]:
    tasks = tuple(Task(name=name, definition=definition.tasks[name]) for name in definition.order)
    if not held:
        return tasks
    text = "This run was started by something that is not trusted: nothing of it has begun yet."
    first = TaskDefinition(type=TaskType.APPROVAL, approval=Approval(text=text))
    behind = (
        attrs.evolve(task, definition=attrs.evolve(task.definition, depends_on=(UNTRUSTED,)))
        if not task.definition.depends_on
        else task
        for task in tasks
    )
    return (Task(name=UNTRUSTED, definition=first), *behind)


def failure_variables(run: Run, stdout: str, stderr: str) -> dict[str, Any]:
    """What the `on_error` task is told beside the variables: of the first failed task, with its logs."""
    if not run.first_failed:
        task = Task(name="", error=run.broken, exit_code=NO_EXIT_CODE)
    else:
        task = run.task(run.first_failed)
    return {
        "failedTaskName": task.name,
        "failedTaskExitCode": task.exit_code,
        "failedTaskError": task.error,
        "failedTaskStdout": stdout,
        "failedTaskStderr": stderr,
    }
