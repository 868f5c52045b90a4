"""A coordinator in memory: what people, runners and time do to its jobs.

Promises: no threads, no own idea of time (the clock and the event loop are given), all randomness from the
given generator; so a run can be repeated. Every change goes through `states.NEXT`, and every job's ledger
tells how often it was handed out and what was said of it.

Groups and their custom attributes (spec gitlab-runner-api.md §7.2).
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NoReturn

import attrs

from paas_runner.pipelines.artifacts import Artifact, Dependency
from paas_runner.pipelines.book import NEVER_ACKNOWLEDGED, JobBook
from paas_runner.pipelines.jobs import Job, LedgerKind, Project
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.reports import CHANGES, JobReport, Reply, checksum, known_reason
from paas_runner.pipelines.runners import Pulse, RunnerRecord, Runners, same
from paas_runner.pipelines.spec import ARCHIVE, JobSpec, Pipeline
from paas_runner.pipelines.states import Change, JobState


class Groups:
    """Attributes by group; ids are given in the order in which the groups appear."""

    def __init__(self, groups: Mapping[str, Mapping[str, str]]) -> None:
        self._attributes = {path: dict(attributes) for path, attributes in groups.items()}

    def ensure(self, path: str) -> None:
        """Let the group exist."""
        self._attributes.setdefault(path, {})

    def attributes(self, group: str) -> dict[str, str]:
        """The attributes of a group named by its full path or its id; raises KeyError."""
        return self._attributes[self._path(group)]

    def top_level(self) -> Mapping[str, Mapping[str, str]]:
        """The attributes of every group that is in no other, by path."""
        return {path: values for path, values in self._attributes.items() if "/" not in path}

    def id_of(self, path: str) -> int:
        """A group's number, from 1; raises KeyError."""
        for number, known in enumerate(self._attributes, 1):
            if known == path:
                return number
        raise KeyError(path)

    def _path(self, group: str) -> str:
        if group.isascii() and group.isdigit():
            paths = list(self._attributes)
            if not 1 <= int(group) <= len(paths):
                raise KeyError(group)
            return paths[int(group) - 1]
        return group


_LONGEST_WAIT_SECONDS = 64


@attrs.frozen(kw_only=True)
class SubmittedPipeline:
    """A pipeline's id and its jobs' ids by name; a retried job gets another id later."""

    pipeline_id: int
    jobs: Mapping[str, int]
    warnings: tuple[str, ...] = ()


class Coordinator:
    """The state of the sandbox's GitLab; `api.py` and `control.py` give it routes."""

    def __init__(
        self, clock: Callable[[], datetime], options: CoordinatorOptions, rng: random.Random
    ) -> None:
        """Start empty: no runner, no job."""
        self.options = options
        self.runners = Runners(rng)
        self.groups = Groups({options.project.root_namespace: {}, **options.groups})
        self._clock = clock
        self._book = JobBook(rng)
        self._news = Pulse()

    @property
    def jobs(self) -> Mapping[int, Job]:
        """All jobs by id, in the order of their creation."""
        return self._book.jobs

    def submit(self, pipeline: Pipeline, project: Project | None = None) -> SubmittedPipeline:
        """Start a pipeline, in the options' project unless another is given."""
        home = project or self.options.project
        self.groups.ensure(home.root_namespace)
        pipeline_id = self._book.open(pipeline, home, self._clock())
        jobs = {job.spec.name: job.job_id for job in self._book.of(pipeline_id)}
        self._advance(pipeline_id)
        warnings = tuple(str(warning) for warning in pipeline.warnings)
        return SubmittedPipeline(pipeline_id=pipeline_id, jobs=jobs, warnings=warnings)

    def submit_job(self, spec: JobSpec, project: Project | None = None) -> Job:
        """Start a pipeline of one job."""
        submitted = self.submit(Pipeline(jobs=(spec,), stages=(spec.stage,)), project)
        return self.jobs[submitted.jobs[spec.name]]

    def cancel(self, job_id: int, *, force: bool = False) -> Job:
        """Cancel as a user would: what a capable runner has is wound down unless `force`, the rest ends now.

        A job that cannot be cancelled is left as it is. Raises KeyError for an unknown id.
        """
        job = self.jobs[job_id]
        if job.ended or (job.status is JobState.CANCELING and not force):
            return job
        if job.status is JobState.RUNNING and job.cancel_gracefully and not force:
            job.change(Change.CANCEL_GRACEFULLY, self._clock())
        else:
            self._end(job, Change.CANCEL)
        return job

    def pause(self, runner: RunnerRecord, *, paused: bool) -> None:
        """Stop or resume handing jobs to a runner."""
        runner.paused = paused
        runner.queue.tick()

    async def wait_settled(self, job_ids: Iterable[int]) -> None:
        """Return when each of these jobs, or the last retry of it, has ended."""
        wanted = tuple(job_ids)
        while not all(self._book.latest(job_id).ended for job_id in wanted):
            await self._news.wait()

    def latest(self, job_id: int) -> Job:
        """The job, or the last of its retries; raises KeyError."""
        return self._book.latest(job_id)

    def acquire(
        self, runner: RunnerRecord, *, features: frozenset[str] = frozenset(), system_id: str = ""
    ) -> Job | None:
        """Hand out the oldest pending job; those that need more than `features` fail (spec §2.2)."""
        if runner.paused:
            return None
        for job in self._book.pending():
            if not job.spec.required_features <= features:
                self._fail(job, "runner_unsupported")
                continue
            job.runner = runner
            job.cancel_gracefully = "cancel_gracefully" in features
            who = f"runner {runner.runner_id} {system_id}".rstrip()
            if self.options.acknowledgement_seconds and "two_phase_job_commit" in features:
                job.note(self._clock(), LedgerKind.RESERVED, who)
                self._reserve(job)
            else:
                job.note(self._clock(), LedgerKind.ACQUIRED, who)
                job.change(Change.ACQUIRE, self._clock())
            runner.queue.renew()  # there may be another job: the next poll must look
            return job
        return None

    def running_job(self, token: str) -> Job | None:
        """The job whose token this is, as long as a runner has it."""
        matching = [job for job in self._book.active() if same(job.token, token)]
        return matching[0] if matching else None

    def job_of(self, token: str) -> Job | None:
        """The job whose token this is, also when it is over."""
        return next((job for job in self.jobs.values() if same(job.token, token)), None)

    def time_in(self, span: timedelta | None) -> datetime | None:
        """The moment that is so far from now; None for never."""
        return None if span is None else self._clock() + span

    def keep(self, job: Job, artifact: Artifact) -> bool:
        """Store an artifact of a running job; not if it has another of the type (spec §6.1)."""
        found = job.artifacts.get(artifact.kind)
        if found is not None:
            return found.digest == artifact.digest
        job.artifacts[artifact.kind] = artifact
        job.note(self._clock(), LedgerKind.ARTIFACT, f"{artifact.kind} {len(artifact.content)}")
        return True

    def archive_of(self, job: Job) -> Artifact | None:
        """The files that a job has left to others, unless they have expired."""
        archive = job.artifacts.get(ARCHIVE)
        return archive if archive is not None and archive.available(self._clock()) else None

    def dependencies(self, job: Job) -> tuple[Dependency, ...]:
        """Whose artifacts a job gets; the token is the other job's, as older GitLabs have it (spec §2.6)."""
        return tuple(
            Dependency(
                job_id=other.job_id,
                name=other.spec.name,
                token=other.token,
                archive=self.archive_of(other),
            )
            for other in self._book.dependencies(job)
        )

    def update(self, job: Job, report: JobReport) -> Reply:
        """Take a PUT (spec gitlab-runner-api.md §3)."""
        now = self._clock()
        self._expire()
        if not job.active:
            job.note(now, LedgerKind.REFUSED, f"put {report.state}")
            return Reply(status=403)
        if job.reserved:
            return self._acknowledgement(job, report)
        if report.state not in CHANGES:
            return Reply(status=400)
        job.note(now, LedgerKind.PUT, report.state)
        job.alive_at = now
        change = CHANGES[report.state]
        return Reply(status=200) if change is None else self._last_word(job, report, change)

    def append_trace(self, job: Job, start: int, data: bytes) -> Reply:
        """Take a PATCH of the trace: only `start` counts (spec gitlab-runner-api.md §4)."""
        now = self._clock()
        if not job.active or job.reserved:
            job.note(now, LedgerKind.REFUSED, "patch")
            return Reply(status=403)
        job.alive_at = now
        if start != job.trace_bytes:
            return Reply(status=416)
        if start + len(data) > self.options.most_trace_bytes:
            self._fail(job, "trace_size_exceeded")
            return Reply(status=403, tells_status=False)
        job.append(data, now)
        return Reply(status=202)

    def sweep(self) -> list[Job]:
        """Fail the jobs whose runner has been silent for too long (§3.5); returns them."""
        self._expire()
        limit = self._clock() - self.options.stuck_after
        stuck = [job for job in self._book.active() if job.alive_at is not None and job.alive_at < limit]
        for job in stuck:
            self._fail(job, "stuck_or_timeout_failure")
        return stuck

    async def keep_sweeping(self) -> NoReturn:
        """Sweep regularly until cancelled."""
        while True:
            await asyncio.sleep(self.options.sweep_every.total_seconds())
            self.sweep()

    def _reserve(self, job: Job) -> None:
        seconds = self.options.acknowledgement_seconds
        job.reserved_until = self._clock() + timedelta(seconds=seconds)
        asyncio.get_running_loop().call_later(seconds + 1, self._expire)

    def _acknowledgement(self, job: Job, report: JobReport) -> Reply:
        """A word about a job that is only reserved yet (§2.8)."""
        match report.state:
            case "pending":
                self._reserve(job)
            case "running":
                job.note(self._clock(), LedgerKind.ACQUIRED, "acknowledged")
                job.change(Change.ACQUIRE, self._clock())
            case _:
                return Reply(status=400)
        return Reply(status=200)

    def _expire(self) -> None:
        """Drop the jobs whose reservation is over; each comes again as a new one."""
        now = self._clock()
        for job in self._book.active():
            if job.reserved and job.reserved_until is not None and job.reserved_until <= now:
                job.failure_reason = NEVER_ACKNOWLEDGED
                self._end(job, Change.FAIL)

    def _last_word(self, job: Job, report: JobReport, change: Change) -> Reply:
        if report.checksum:
            if report.checksum != checksum(job.trace):
                job.note(self._clock(), LedgerKind.CHECKSUM_MISMATCH, report.checksum)
            if job.postponed < len(self.options.final_put_answers):
                return self._postponed(job)
        job.exit_code = report.exit_code
        if change is Change.FAIL:
            self._fail(job, report.failure_reason)
        else:
            self._end(job, change)
        return Reply(status=200)

    def _postponed(self, job: Job) -> Reply:
        status = self.options.final_put_answers[job.postponed]
        wait = min(2**job.postponed, _LONGEST_WAIT_SECONDS) if status == 202 else None
        job.postponed += 1
        return Reply(status=status, wait_seconds=wait)

    def _fail(self, job: Job, reason: str | None) -> None:
        if job.status is not JobState.CANCELING:
            job.failure_reason = known_reason(reason)
        self._end(job, Change.FAIL)

    def _end(self, job: Job, change: Change) -> None:
        job.change(change, self._clock())
        self._book.retry(job, self._clock())
        self._advance(job.pipeline_id)

    def _advance(self, pipeline_id: int) -> None:
        """Enqueue or skip each job whose turn has come, until nothing changes; then tell the waiting."""
        queued = False
        while changes := self._book.due(pipeline_id):
            for job, change in changes:
                job.change(change, self._clock())
                queued |= change is Change.ENQUEUE
        if queued:
            for runner in self.runners:
                runner.queue.tick()
        self._news.fire()
