"""The coordinator's book: every record that has to outlive a request, behind a small port.

`MemoryBook` keeps them in this process, for as long as it runs; nothing is ever removed from it but runners
and the pipelines that its owner has it forget.
A book on a disk may take its place. The verbs are called between two awaits and answer at once, so such a
book answers from memory, writes behind, and lets the server wait for the disk before an answer goes out. All
records of one `save` belong together: after a crash there are all of them or none.
"""

import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.reports import Artifact
from paas_runner.pipelines.runners import RunnerBook, RunnerRecord
from paas_runner.pipelines.schedule import Predecessors
from paas_runner.pipelines.states import JobState


class JobBook(Protocol):
    """Jobs and the pipelines that they belong to."""

    def open_pipeline(self, predecessors: Predecessors) -> int:
        """Write down a new pipeline; returns its id."""

    def predecessors(self, pipeline_id: int) -> Predecessors: ...

    def forget(self, pipeline_id: int) -> None:
        """Remove a pipeline with its jobs and their files; an unknown one too. Its ids never come again."""

    def new_job_id(self) -> int: ...

    def save(self, *jobs: Job) -> None: ...

    def job(self, job_id: int) -> Job:
        """Raises KeyError for an unknown id."""

    def job_with(self, token: str) -> Job | None:
        """The job whose token this is, in a time that does not depend on how much of it is right."""

    def jobs(self) -> Mapping[int, Job]:
        """All jobs by id, in the order of their creation; a view that follows what is saved."""

    def jobs_of(self, pipeline_id: int) -> tuple[Job, ...]:
        """The jobs of one pipeline, retries included, in the order of their creation."""

    def waiting(self) -> Iterator[Job]:
        """The jobs that are created or pending at this moment, in the order of their creation.

        Each as it is when the iterator comes to it: handing out one job may change those after it.
        """

    def active(self) -> tuple[Job, ...]:
        """The jobs that a runner has, in the order of their creation."""

    def reserved(self) -> tuple[Job, ...]:
        """Those of them that their runners have not acknowledged."""


class FileBook(Protocol):
    """What jobs produce; each verb that writes saves the job's record, too, and both or neither last."""

    def trace(self, job_id: int) -> bytes: ...

    def extend_trace(self, job: Job, data: bytes) -> None:
        """With these it is as long as the job says; what of them is there already is replaced."""

    def artifacts(self, job_id: int) -> Mapping[str, Artifact]:
        """By type."""

    def store_artifact(self, job: Job, artifact: Artifact) -> None: ...


class Book(JobBook, FileBook, RunnerBook, Protocol):
    """Everything that a coordinator knows."""


_WAITING = frozenset({JobState.CREATED, JobState.PENDING})


class MemoryBook:
    """A book in memory, with an index for each question that is asked again and again."""

    def __init__(self) -> None:
        self._job_ids, self._pipeline_ids, self._runner_ids = (itertools.count(1) for _ in range(3))
        self._jobs: dict[int, Job] = {}
        self._ids_by_token: dict[str, int] = {}
        self._waiting: dict[int, None] = {}  # in the order of creation
        self._active: set[int] = set()
        self._reserved: set[int] = set()
        self._predecessors: dict[int, Predecessors] = {}
        self._ids_by_pipeline: dict[int, dict[int, None]] = {}
        self._traces: dict[int, bytearray] = {}
        self._artifacts: dict[int, dict[str, Artifact]] = {}
        self._runners: dict[int, RunnerRecord] = {}

    def open_pipeline(self, predecessors: Predecessors) -> int:
        pipeline_id = next(self._pipeline_ids)
        self._predecessors[pipeline_id] = predecessors
        self._ids_by_pipeline[pipeline_id] = {}
        return pipeline_id

    def predecessors(self, pipeline_id: int) -> Predecessors:
        return self._predecessors[pipeline_id]

    def forget(self, pipeline_id: int) -> None:
        for job_id in self._ids_by_pipeline.pop(pipeline_id, ()):
            del self._ids_by_token[self._jobs.pop(job_id).token.reveal()]
            self._waiting.pop(job_id, None)
            self._active.discard(job_id)
            self._reserved.discard(job_id)
            self._traces.pop(job_id, None)
            self._artifacts.pop(job_id, None)
        self._predecessors.pop(pipeline_id, None)

    def new_job_id(self) -> int:
        return next(self._job_ids)

    def save(self, *jobs: Job) -> None:
        for job in jobs:
            if job.job_id not in self._jobs:
                self._ids_by_token[job.token.reveal()] = job.job_id
                self._ids_by_pipeline[job.pipeline_id][job.job_id] = None
            self._jobs[job.job_id] = job
            if job.status in _WAITING:
                self._waiting[job.job_id] = None
            else:
                self._waiting.pop(job.job_id, None)
            for ids, belongs in ((self._active, job.active), (self._reserved, job.reserved)):
                (ids.add if belongs else ids.discard)(job.job_id)

    def job(self, job_id: int) -> Job:
        return self._jobs[job_id]

    def job_with(self, token: str) -> Job | None:
        """By the token's hash: how long that takes depends on no other token."""
        job_id = self._ids_by_token.get(token)
        return None if job_id is None else self._jobs[job_id]

    def jobs(self) -> Mapping[int, Job]:
        return MappingProxyType(self._jobs)

    def jobs_of(self, pipeline_id: int) -> tuple[Job, ...]:
        return tuple(self._jobs[job_id] for job_id in self._ids_by_pipeline[pipeline_id])

    def waiting(self) -> Iterator[Job]:
        return (self._jobs[job_id] for job_id in tuple(self._waiting))

    def active(self) -> tuple[Job, ...]:
        return tuple(self._jobs[job_id] for job_id in sorted(self._active))

    def reserved(self) -> tuple[Job, ...]:
        return tuple(self._jobs[job_id] for job_id in sorted(self._reserved))

    def trace(self, job_id: int) -> bytes:
        return bytes(self._traces.get(job_id, b""))

    def extend_trace(self, job: Job, data: bytes) -> None:
        self.save(job)
        self._traces.setdefault(job.job_id, bytearray())[job.trace_bytes - len(data) :] = data

    def artifacts(self, job_id: int) -> Mapping[str, Artifact]:
        return MappingProxyType(self._artifacts.get(job_id, {}))

    def store_artifact(self, job: Job, artifact: Artifact) -> None:
        self.save(job)
        self._artifacts.setdefault(job.job_id, {})[artifact.kind] = artifact

    def new_runner_id(self) -> int:
        return next(self._runner_ids)

    def runners(self) -> tuple[RunnerRecord, ...]:
        return tuple(self._runners.values())

    def runner(self, runner_id: int) -> RunnerRecord:
        return self._runners[runner_id]

    def save_runner(self, runner: RunnerRecord) -> None:
        self._runners[runner.runner_id] = runner

    def remove_runner(self, runner_id: int) -> None:
        del self._runners[runner_id]
