"""The statuses of a task, and which may follow which."""

from collections.abc import Mapping
from typing import Any

import attrs

from paas_pipelines.runs.run import Task, TaskStatus
from paas_runner.errors import IllegalTransitionError

MAY_FOLLOW: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.WAITING: frozenset(
        {TaskStatus.RUNNING, TaskStatus.DONE, TaskStatus.SKIPPED, TaskStatus.CANCELED},
    ),
    TaskStatus.RUNNING: frozenset(
        {
            TaskStatus.RUNNING,
            TaskStatus.BLOCKED,
            TaskStatus.DONE,
            TaskStatus.SKIPPED,
            TaskStatus.ERROR,
            TaskStatus.CANCELED,
        },
    ),
    TaskStatus.BLOCKED: frozenset(
        {TaskStatus.DONE, TaskStatus.SKIPPED, TaskStatus.ERROR, TaskStatus.CANCELED},
    ),
    TaskStatus.DONE: frozenset(),
    TaskStatus.SKIPPED: frozenset(),
    TaskStatus.ERROR: frozenset(),
    TaskStatus.CANCELED: frozenset(),
}
"""The table of §3.2. From waiting straight to done goes what has no script, to skipped what is not reached as
its run has succeeded before; running again, what died with the server and has `restart: retry`. Every other
pair is a bug of ours."""


def became(task: Task, status: TaskStatus, **changes: Any) -> Task:
    """The task in another status; raises `IllegalTransitionError`."""
    if status not in MAY_FOLLOW[task.status]:
        raise IllegalTransitionError(f"task {task.name}: {status} after {task.status}")
    return attrs.evolve(task, status=status, **changes)
