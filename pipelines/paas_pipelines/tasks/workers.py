"""The machines that take tasks, and why a task still waits for one: for pages and the API."""

from collections.abc import Iterator, Sequence

import attrs

from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import TaskStatus
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.states import JobState
from paas_runner.pipelines.workers import Worker, workers

FREE = "every worker that takes it is busy, or has not asked yet"


@attrs.frozen(kw_only=True)
class Waiting:
    """A task that no worker has yet."""

    run_id: str
    pipeline: str
    task: str
    reason: str
    """Such as `no worker has gpu=1`."""


def all_workers(coordinator: Coordinator) -> Sequence[Worker]:
    """By their registration, oldest first."""
    return workers(coordinator.runners)


def waiting_tasks(engine: Engine, coordinator: Coordinator) -> Iterator[Waiting]:
    """Of all runs."""
    for run in engine.book.all_active():
        for task in run.tasks:
            if reason := why_it_waits(
                coordinator, task.job_id if task.status is TaskStatus.RUNNING else None
            ):
                yield Waiting(run_id=run.run_id, pipeline=run.pipeline, task=task.name, reason=reason)


def why_it_waits(coordinator: Coordinator, job_id: int | None) -> str:
    """Of a task that is this job; empty for one that waits for no worker."""
    if job_id is None:
        return ""
    try:
        job = coordinator.latest(job_id)
    except KeyError:
        return ""
    if job.status is not JobState.PENDING or job.reserved:
        return ""
    return coordinator.lacking(job.spec) or FREE
