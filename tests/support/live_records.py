"""Records of a coordinator as tests follow them: each look is at the record as it is then."""

import contextlib
from collections.abc import Mapping
from typing import Any

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.reports import Artifact
from paas_runner.pipelines.runners import RunnerRecord


class LiveJob:
    """A job, its trace and its artifacts; equal to the job of the same id."""

    def __init__(self, coordinator: Coordinator, job_id: int) -> None:
        self._coordinator = coordinator
        self.job_id = job_id

    @property
    def record(self) -> Job:
        return self._coordinator.jobs[self.job_id]

    @property
    def trace(self) -> bytes:
        return self._coordinator.trace(self.job_id)

    @property
    def artifacts(self) -> Mapping[str, Artifact]:
        return self._coordinator.artifacts(self.job_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.record, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LiveJob | Job) and other.job_id == self.job_id

    def __hash__(self) -> int:
        return hash(self.job_id)

    def __repr__(self) -> str:
        return f"LiveJob({self.record})"


class LiveRunner:
    """A runner; when it has been removed, as it was seen last."""

    def __init__(self, coordinator: Coordinator, runner_id: int) -> None:
        self._coordinator = coordinator
        self._last = coordinator.runners.get(runner_id)
        self.runner_id = runner_id

    @property
    def record(self) -> RunnerRecord:
        with contextlib.suppress(KeyError):
            self._last = self._coordinator.runners.get(self.runner_id)
        return self._last

    def __getattr__(self, name: str) -> Any:
        return getattr(self.record, name)


def submitted(coordinator: Coordinator, *arguments: Any) -> LiveJob:
    """A pipeline of one job, submitted with the arguments of `submit_job`."""
    return LiveJob(coordinator, coordinator.submit_job(*arguments).job_id)


def added(coordinator: Coordinator, **options: Any) -> LiveRunner:
    """A new runner, with the options of `Runners.add`."""
    return LiveRunner(coordinator, coordinator.runners.add(**options).runner_id)
