"""The coordinator: what people, runners and time do to its jobs.

Promises: no threads and no event loop, no own idea of time (the clock is given), all randomness from the
given generator; so a run can be repeated. It holds no record: each verb reads the job from the book, makes
the next record with `jobs.apply` and saves it, so every change goes through `states.TRANSITIONS`, and each
job's ledger has how often it was handed out and what was reported of it.
"""

import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from paas_runner.pipelines import schedule
from paas_runner.pipelines.book import Book, MemoryBook
from paas_runner.pipelines.jobs import Entrusted, Job, Project, apply
from paas_runner.pipelines.options import CoordinatorOptions, Groups, Matching
from paas_runner.pipelines.progress import JobProgress, SubmittedPipeline
from paas_runner.pipelines.reports import Artifact, Dependency, Reply, StateReport, checksum, reply
from paas_runner.pipelines.runners import LEGACY_SYSTEM_ID, JobRunner, RunnerRecord, Runners
from paas_runner.pipelines.spec import ARCHIVE, JobSpec, Pipeline
from paas_runner.pipelines.states import (
    Acknowledged,
    Acquired,
    ArtifactStored,
    Canceled,
    CancelRequested,
    ChecksumDiffered,
    Failed,
    FinalReportPostponed,
    JobState,
    ReportRefused,
    ReservationExtended,
    Reserved,
    StateReported,
    Succeeded,
    TraceExtended,
)
from paas_runner.pipelines.workers import lacking, takes

_REPORTED_STATES = frozenset({"running", "success", "failed"})
_LONGEST_WAIT_SECONDS = 64


class Coordinator:
    """One coordinator on one book; `server.api` gives it routes."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        options: CoordinatorOptions,
        rng: random.Random,
        book: Book | None = None,
    ) -> None:
        self.options = options
        self.groups = Groups({options.project.root_namespace: {}, **options.groups})
        self._clock = clock
        self._book = MemoryBook() if book is None else book
        self.runners = Runners(self._book, rng)
        self._progress = JobProgress(clock, rng, self._book, self.runners)
        self._entrusted: dict[int, Entrusted] = {}
        self.changes = self._progress.changes

    @property
    def jobs(self) -> Mapping[int, Job]:
        """All jobs by id, in the order of their creation."""
        return self._book.jobs()

    def latest(self, job_id: int) -> Job:
        """The job, or the last of its retries; raises KeyError."""
        job = self._book.job(job_id)
        while job.retried_as is not None:
            job = self._book.job(job.retried_as)
        return job

    def running_job(self, token: str) -> Job | None:
        """The job whose token this is, as long as a runner has it."""
        job = self._book.job_with(token)
        return job if job is not None and job.active else None

    def job_of(self, token: str) -> Job | None:
        """The job whose token this is, also when it is over."""
        return self._book.job_with(token)

    def trace(self, job_id: int) -> bytes:
        return self._book.trace(job_id)

    def artifacts(self, job_id: int) -> Mapping[str, Artifact]:
        """What a job has uploaded, by type."""
        return self._book.artifacts(job_id)

    def archive_of(self, job_id: int) -> Artifact | None:
        """The files that a job has left to others, unless they have expired."""
        archive = self._book.artifacts(job_id).get(ARCHIVE)
        return archive if archive is not None and archive.available(self._clock()) else None

    def dependencies(self, job: Job) -> tuple[Dependency, ...]:
        """Whose artifacts a job gets; the token is the other job's, as older GitLabs have it (spec §2.6)."""
        pipeline = self._book.jobs_of(job.pipeline_id)
        before = schedule.dependencies(job, pipeline, self._book.predecessors(job.pipeline_id))
        return tuple(
            Dependency(
                job_id=other.job_id,
                name=other.spec.name,
                token=other.token,
                archive=self.archive_of(other.job_id),
            )
            for other in (*before, *(self.latest(job_id) for job_id in job.spec.files_of))
        )

    def moment_in(self, span: timedelta | None) -> datetime | None:
        """The moment that is so far from now; None for never."""
        return None if span is None else self._clock() + span

    def submit(self, pipeline: Pipeline, project: Project | None = None) -> SubmittedPipeline:
        """Start a pipeline, in the options' project unless another is given."""
        home = project or self.options.project
        self.groups.ensure(home.root_namespace)
        return self._progress.begin(pipeline, home)

    def submit_job(self, spec: JobSpec, project: Project | None = None) -> Job:
        """Start a pipeline of one job."""
        submitted = self.submit(Pipeline(jobs=(spec,), stages=(spec.stage,)), project)
        return self._book.job(submitted.jobs[spec.name])

    def entrust(self, job_id: int, entrusted: Entrusted) -> None:
        """Give a job what is kept in memory alone: it and its retries may be handed out now."""
        self._entrusted[job_id] = entrusted
        for runner in self.runners:
            self.runners.queue(runner.runner_id).tick()

    def forget_entrusted(self, job_id: int) -> None:
        """The job needs them no more."""
        self._entrusted.pop(job_id, None)

    def entrusted(self, job: Job) -> Entrusted | None:
        """What it, or the first of those in whose place it stands, was entrusted with; None for nothing."""
        while job.retry_of is not None:
            job = self._book.job(job.retry_of)
        return self._entrusted.get(job.job_id)

    def deposit(self, name: str, project: Project, archive: Artifact) -> Job:
        """A job that is over and has left these files: for others, whose `files_of` names it."""
        job = self.submit_job(JobSpec(name=name), project)
        job = self._progress.record(job, Acquired(runner=JobRunner(runner_id=0)))
        self.store_artifact(job.job_id, archive)
        return self._progress.end(self._book.job(job.job_id), Succeeded())

    def cancel(self, job_id: int, *, force: bool = False) -> Job:
        """Cancel as a user would: what a capable runner has is wound down unless `force`, the rest ends now.

        A job that cannot be canceled is left as it is. Raises KeyError for an unknown id.
        """
        job = self._book.job(job_id)
        if job.ended or (job.status is JobState.CANCELING and not force):
            return job
        graceful = job.runner is not None and job.runner.cancels_gracefully
        if job.status is JobState.RUNNING and graceful and not force:
            return self._progress.record(job, CancelRequested())
        return self._progress.end(job, Canceled())

    def retry(self, job_id: int) -> Job | None:
        """Retry as a user would: the new job; None where there is nothing to retry, or it was done already.

        Raises KeyError for an unknown id.
        """
        job = self._book.job(job_id)
        if not job.ended or job.status is JobState.SKIPPED or job.retried_as is not None:
            return None
        return self._progress.retry(job) if self.options.retries_on_request else None

    def run_by(self, runner_id: int, status: str = "", system_id: str = "") -> tuple[Job, ...]:
        """The jobs that were handed out to a runner, or to one of its machines, in the order of creation."""
        return tuple(
            job
            for job in (self._book.active() if status == JobState.RUNNING else self._book.jobs().values())
            if job.runner is not None
            and job.runner.runner_id == runner_id
            and status in ("", job.status)
            and system_id in ("", job.runner.system_id)
        )

    def acquire(
        self, runner_id: int, *, features: frozenset[str] = frozenset(), system_id: str = ""
    ) -> Job | None:
        """Hand out the oldest pending job that is for this runner.

        Those that need more than `features` fail (spec §2.2).
        """
        record = self.runners.get(runner_id)
        if record.paused:
            return None
        runner = JobRunner(
            runner_id=runner_id,
            system_id=system_id,
            description=record.description,
            tags=record.tags,
            maximum_timeout=record.maximum_timeout,
            cancels_gracefully="cancel_gracefully" in features,
        )
        for job in self._book.waiting():
            if job.status is not JobState.PENDING or job.reserved:
                continue
            if not takes(record, job.spec, named=self._named, machine=system_id or LEGACY_SYSTEM_ID):
                continue
            if job.spec.entrusted and self.entrusted(job) is None:
                continue  # whoever has submitted it is about to
            if not job.spec.required_features <= features:
                self._progress.fail(job, "runner_unsupported")
                continue
            self.runners.queue(runner_id).renew()  # there may be another job: the next poll must look
            return self._progress.record(job, self._handing_out(runner, features))
        return None

    def suits(self, runner: RunnerRecord, spec: JobSpec) -> bool:
        """Whether any machine of the runner may take such a job."""
        return takes(runner, spec, named=self._named)

    def lacking(self, spec: JobSpec) -> str:
        """Why no runner takes such a job; empty where one may."""
        return lacking(tuple(self.runners), spec, named=self._named)

    def fail(self, job_id: int, reason: str) -> Job:
        """End a job that waits or runs; one that has ended is left as it is. Raises KeyError."""
        job = self._book.job(job_id)
        return job if job.ended else self._progress.fail(job, reason)

    @property
    def _named(self) -> bool:
        return self.options.matching is Matching.TAGS_AND_DESCRIPTION

    def update(self, job_id: int, report: StateReport) -> Reply:
        """Take a PUT (spec gitlab-runner-api.md §3)."""
        self.expire()
        job = self._book.job(job_id)
        if not job.active:
            return reply(403, self._progress.record(job, ReportRefused(what=f"put {report.state}")))
        if job.reserved:
            return self._acknowledgement(job, report)
        if report.state not in _REPORTED_STATES:
            return reply(400, job)
        job = self._progress.record(job, StateReported(state=report.state))
        return reply(200, job) if report.state == "running" else self._last_word(job, report)

    def append_trace(self, job_id: int, start: int, data: bytes) -> Reply:
        """Take a PATCH of the trace: only `start` counts (spec gitlab-runner-api.md §4)."""
        job = self._book.job(job_id)
        if not job.active or job.reserved:
            return reply(403, self._progress.record(job, ReportRefused(what="patch")))
        entrusted = self.entrusted(job)
        unknown = job.spec.entrusted and entrusted is None  # after a restart, for a moment: it comes again
        if start != job.trace_bytes or unknown:
            return reply(416, self._progress.record(job, TraceExtended(count=0)))
        if start + len(data) > self.options.most_trace_bytes:
            return reply(403, self._progress.fail(job, "trace_size_exceeded"), with_status=False)
        shown, held_back = data, job.held_back
        if entrusted and entrusted.hidden:
            shown, held_back = entrusted.hidden(data, held_back)
        job = apply(job, TraceExtended(count=len(data), held_back=held_back), self._clock())
        self._book.extend_trace(job, shown)
        return reply(202, job)

    def store_artifact(self, job_id: int, artifact: Artifact) -> bool:
        """Store an artifact of a running job; not if it has another of the type (spec §6.1)."""
        found = self._book.artifacts(job_id).get(artifact.kind)
        if found is not None:
            return found.digest == artifact.digest
        event = ArtifactStored(kind=artifact.kind, count=artifact.size)
        self._book.store_artifact(apply(self._book.job(job_id), event, self._clock()), artifact)
        return True

    def sweep(self) -> list[Job]:
        """Fail the jobs whose runner has been silent for too long (§3.5); returns them."""
        self.expire()
        limit = self._clock() - self.options.stuck_after
        stuck = [job for job in self._book.active() if job.alive_at is not None and job.alive_at < limit]
        return [self._progress.fail(job, "stuck_or_timeout_failure") for job in stuck]

    def expire(self) -> None:
        """Drop the jobs whose reservation is over; each comes again as a new one."""
        now = self._clock()
        for job in self._book.reserved():
            if job.reserved_until is not None and job.reserved_until <= now:
                self._progress.end(job, Failed(reason=schedule.NEVER_ACKNOWLEDGED))

    def _handing_out(self, runner: JobRunner, features: frozenset[str]) -> Acquired | Reserved:
        if self.options.acknowledgement_seconds and "two_phase_job_commit" in features:
            return Reserved(runner=runner, until=self._reservation_end())
        return Acquired(runner=runner)

    def _reservation_end(self) -> datetime:
        return self._clock() + timedelta(seconds=self.options.acknowledgement_seconds)

    def _acknowledgement(self, job: Job, report: StateReport) -> Reply:
        """A word about a job that is only reserved yet (§2.8)."""
        match report.state:
            case "pending":
                return reply(
                    200, self._progress.record(job, ReservationExtended(until=self._reservation_end()))
                )
            case "running":
                return reply(200, self._progress.record(job, Acknowledged()))
            case _:
                return reply(400, job)

    def _last_word(self, job: Job, report: StateReport) -> Reply:
        if report.checksum:
            if report.checksum != checksum(self._book.trace(job.job_id)):
                job = self._progress.record(job, ChecksumDiffered(checksum=report.checksum))
            if job.postponed < len(self.options.final_put_answers):
                return self._postponed(job)
        if report.state == "failed":
            return reply(200, self._progress.fail(job, report.failure_reason, report.exit_code))
        return reply(200, self._progress.end(job, Succeeded(exit_code=report.exit_code)))

    def _postponed(self, job: Job) -> Reply:
        status = self.options.final_put_answers[job.postponed]
        wait = min(2**job.postponed, _LONGEST_WAIT_SECONDS) if status == 202 else None
        return reply(status, self._progress.record(job, FinalReportPostponed()), wait_seconds=wait)
