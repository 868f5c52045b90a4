"""How jobs get on: every change of one is made here, with all that follows from it for the others.

An ended job may get a successor, the jobs that waited for it may have their turn; runners are notified, and
so are the subscribers of `JobProgress.changes`.
"""

import random
from collections.abc import Callable, Mapping
from datetime import datetime

import attrs

from paas_runner.pipelines import schedule
from paas_runner.pipelines.book import JobBook
from paas_runner.pipelines.jobs import Job, Project, apply, created
from paas_runner.pipelines.reports import known_reason
from paas_runner.pipelines.runners import Notifier, Runners, random_token
from paas_runner.pipelines.spec import JobSpec, Pipeline
from paas_runner.pipelines.states import Enqueued, Event, Failed, Retried


@attrs.frozen(kw_only=True)
class SubmittedPipeline:
    """A pipeline's id and its jobs' ids by name; a retried job gets another id later."""

    pipeline_id: int
    jobs: Mapping[str, int]
    warnings: tuple[str, ...] = ()


class JobProgress:
    """The changes of all jobs of one book."""

    def __init__(
        self, clock: Callable[[], datetime], rng: random.Random, book: JobBook, runners: Runners
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._book = book
        self._runners = runners
        self.changes = Notifier()
        """Notifies after every change by which a job may have ended."""

    def begin(self, pipeline: Pipeline, project: Project) -> SubmittedPipeline:
        """Create the jobs of a new pipeline, and enqueue those whose turn it is."""
        pipeline_id = self._book.open_pipeline(pipeline.predecessors())
        self._book.save(*(self._created(spec, pipeline_id, project) for spec in pipeline.jobs))
        self._advance(pipeline_id)
        return SubmittedPipeline(
            pipeline_id=pipeline_id,
            jobs={job.spec.name: job.job_id for job in self._book.jobs_of(pipeline_id)},
            warnings=tuple(str(warning) for warning in pipeline.warnings),
        )

    def record(self, job: Job, event: Event) -> Job:
        """A change that concerns no other job."""
        job = apply(job, event, self._clock())
        self._book.save(job)
        return job

    def fail(self, job: Job, reason: str | None, exit_code: int | None = None) -> Job:
        """As `end`, with a failure reason that may be unknown."""
        return self.end(job, Failed(reason=known_reason(reason), exit_code=exit_code))

    def end(self, job: Job, event: Event) -> Job:
        """Record the end together with the job that takes the ended one's place, if any."""
        job = apply(job, event, self._clock())
        records = [job]
        if schedule.wants_retry(job, self._book.jobs_of(job.pipeline_id)):
            again = self._created(job.spec, job.pipeline_id, job.project, retry_of=job.job_id)
            job = apply(job, Retried(job_id=again.job_id), self._clock())
            records = [job, again]
        self._book.save(*records)
        self._advance(job.pipeline_id)
        return job

    def retry(self, job: Job) -> Job:
        """The job that takes the place of an ended one because somebody wants it."""
        again = self._created(job.spec, job.pipeline_id, job.project, retry_of=job.job_id)
        self._book.save(apply(job, Retried(job_id=again.job_id), self._clock()), again)
        self._advance(job.pipeline_id)
        return self._book.job(again.job_id)

    def _created(self, spec: JobSpec, pipeline_id: int, project: Project, retry_of: int | None = None) -> Job:
        return created(
            spec,
            self._clock(),
            job_id=self._book.new_job_id(),
            pipeline_id=pipeline_id,
            project=project,
            token=random_token(self._rng, "glcbt-64_"),
            retry_of=retry_of,
        )

    def _advance(self, pipeline_id: int) -> None:
        """Enqueue or skip each job whose turn has come, until nothing changes; then notify.

        What is due follows from the records alone, so that it may be found out again after a crash.
        """
        queued = False
        while due := schedule.due(self._book.jobs_of(pipeline_id), self._book.predecessors(pipeline_id)):
            self._book.save(*(apply(job, event, self._clock()) for job, event in due))
            queued |= any(isinstance(event, Enqueued) for _, event in due)
        if queued:
            for runner in self._runners:
                self._runners.queue(runner.runner_id).tick()
        self.changes.notify()
