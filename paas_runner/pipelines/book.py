"""The coordinator's book of jobs: which belong to which pipeline, and whose turn has come."""

import itertools
import random
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

import attrs

from paas_runner.pipelines.jobs import Job, LedgerKind, Project, turn
from paas_runner.pipelines.runners import random_token
from paas_runner.pipelines.spec import JobSpec, Pipeline
from paas_runner.pipelines.states import Change, JobState

NEVER_ACKNOWLEDGED = "runner_provisioning_timeout"
"""Failure reason of a job whose runner never said that it took it (spec gitlab-runner-api.md §2.8)."""


@attrs.frozen(kw_only=True)
class _Entry:
    predecessors: Mapping[str, frozenset[str]]
    jobs: list[Job] = attrs.field(factory=list)


class JobBook:
    """All jobs there ever were; nothing is removed."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._jobs: dict[int, Job] = {}
        self._pipelines: dict[int, _Entry] = {}
        self._job_ids = itertools.count(1)
        self._pipeline_ids = itertools.count(1)

    @property
    def jobs(self) -> Mapping[int, Job]:
        """All jobs by id, in the order of their creation."""
        return MappingProxyType(self._jobs)

    def open(self, pipeline: Pipeline, project: Project, at: datetime) -> int:
        """Write down a new pipeline with its jobs; returns its id."""
        pipeline_id = next(self._pipeline_ids)
        self._pipelines[pipeline_id] = _Entry(predecessors=pipeline.predecessors())
        for spec in pipeline.jobs:
            self._create(spec, pipeline_id, project, at)
        return pipeline_id

    def of(self, pipeline_id: int) -> tuple[Job, ...]:
        """The jobs of one pipeline, retries included, in the order of their creation."""
        return tuple(self._pipelines[pipeline_id].jobs)

    def latest(self, job_id: int) -> Job:
        """The job, or the last of its retries; raises KeyError."""
        job = self._jobs[job_id]
        while job.retried_as is not None:
            job = self._jobs[job.retried_as]
        return job

    def active(self) -> Iterator[Job]:
        """The jobs that a runner has."""
        return (job for job in tuple(self._jobs.values()) if job.active)

    def pending(self) -> Iterator[Job]:
        """The jobs that wait for a runner, oldest first."""
        jobs = tuple(self._jobs.values())
        return (job for job in jobs if job.status is JobState.PENDING and not job.reserved)

    def retry(self, job: Job, at: datetime) -> None:
        """Put a new job in the place of a failed one that nobody took, or whose author wants another try."""
        tries = sum(other.spec.name == job.spec.name for other in self.of(job.pipeline_id))
        retry = job.spec.retry
        wanted = tries <= retry.times and retry.covers(job.failure_reason or "")
        if job.status is JobState.FAILED and (wanted or job.failure_reason == NEVER_ACKNOWLEDGED):
            again = self._create(job.spec, job.pipeline_id, job.project, at, retry_of=job.job_id)
            job.retried_as = again.job_id

    def dependencies(self, job: Job) -> tuple[Job, ...]:
        """The jobs whose artifacts this one gets, in the order of their creation."""
        entry = self._pipelines[job.pipeline_id]
        latest = {other.spec.name: other for other in entry.jobs}
        before = entry.predecessors[job.spec.name]
        wanted = before if job.spec.dependencies is None else before & set(job.spec.dependencies)
        return tuple(other for name, other in latest.items() if name in wanted)

    def due(self, pipeline_id: int) -> list[tuple[Job, Change]]:
        """The created jobs that are to be enqueued or skipped now."""
        entry = self._pipelines[pipeline_id]
        latest = {job.spec.name: job for job in entry.jobs}
        changes: list[tuple[Job, Change]] = []
        for name, job in latest.items():
            if job.status is JobState.CREATED:
                before = [latest[other].outcome for other in entry.predecessors[name]]
                change = turn(job.spec.when, before, by_needs=job.spec.needs is not None)
                if change is not None:
                    changes.append((job, change))
        return changes

    def _create(
        self, spec: JobSpec, pipeline_id: int, project: Project, at: datetime, retry_of: int | None = None
    ) -> Job:
        job = Job(
            job_id=next(self._job_ids),
            pipeline_id=pipeline_id,
            project=project,
            spec=spec,
            token=random_token(self._rng, "glcbt-64_"),
            created_at=at,
            retry_of=retry_of,
        )
        job.note(at, LedgerKind.CREATED)
        self._jobs[job.job_id] = job
        self._pipelines[pipeline_id].jobs.append(job)
        return job
