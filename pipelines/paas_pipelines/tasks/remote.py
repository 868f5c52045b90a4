"""The place elsewhere: a task is a job of the coordinator, which runners acquire from this server.

Promises: a job is submitted and noted in its run between two awaits, so that one transaction of the journal
has both; what has been submitted is followed up after a crash, and never submitted again. Nothing here waits
for the disk: the answer that hands a job out does (`tasks.job_server`).
"""

import asyncio

import attrs
import structlog

from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.tasks.job_spec import job_spec, project_of
from paas_pipelines.tasks.place import Output, TaskOrder, before
from paas_pipelines.tasks.script import RenderedScript, rendered
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.payload import timeout_seconds
from paas_runner.pipelines.states import JobState
from paas_runner.plain_text import exact_span
from paas_runner.server.waiting import settled

log = structlog.stdlib.get_logger(__name__)

GRACE_SECONDS = 60.0
"""How long a runner has to wind a job down; then it is ended at the coordinator, whose next word it heeds."""

_EXIT_CODES = range(-(2**15), 2**15)
"""What the API can tell (§7); a runner may say anything."""

_REASONS = {
    "api_failure": "the runner could not speak to this server",
    "image_pull_failure": "the image could not be pulled",
    "runner_configuration_error": "the runner is configured wrongly",
    "runner_external_dependency_failure": "something that the runner needs has failed",
    "runner_interrupted": "the runner was interrupted",
    "runner_system_failure": "the runner or its host failed, not the script",
    "runner_unsupported": "the runner cannot do what the task needs",
    "stuck_or_timeout_failure": "nothing was heard of the runner any more",
    "trace_size_exceeded": "it wrote more than a log may have",
}


@attrs.frozen
class RemotePlace:
    """Runs tasks as jobs."""

    _coordinator: Coordinator
    _engine: Engine
    _grace_seconds: float = attrs.field(default=GRACE_SECONDS, kw_only=True)

    async def run(self, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd:  # noqa: ARG002
        """What the job says is written by the coordinator's book, which was told where (`job_server`)."""
        script = rendered(order)
        job_id = self._engine.book.run(order.run.run_id).task(order.task.name).job_id
        if job_id is None:
            if stop.is_set():
                return TaskEnd(stopped=True)
            if not script.entries:
                return TaskEnd(error=script.error)
            job_id = self._submitted(order, script)
        try:
            self._doubt(order, self._coordinator.latest(job_id))
            job = await self._ended(job_id, stop)
        except KeyError:
            return TaskEnd(error=f"its job {job_id} is not known any more")
        end = self._told(job, stop)
        goes_on = not end.exit_code or order.task.definition.allow_failure
        if script.error and goes_on and not (end.error or end.stopped):
            return attrs.evolve(end, error=script.error)
        return end

    def _submitted(self, order: TaskOrder, script: RenderedScript) -> int:
        """The job and its mention in the run, together."""
        job = self._coordinator.submit_job(job_spec(order, script.entries), project_of(order))
        self._engine.submitted(order.run.run_id, order.task.name, job.job_id)
        return job.job_id

    def _doubt(self, order: TaskOrder, job: Job) -> None:
        """To its user a task that waits for a runner runs, and a stop of the server waits for it."""
        runners, spec = self._coordinator.runners, job.spec
        if job.status is JobState.PENDING and not any(
            self._coordinator.suits(each, spec) for each in runners
        ):
            log.warning(
                "no runner takes this task: it waits for one with that tag or description",
                run=order.run.run_id,
                task=order.task.name,
                runner=", ".join(spec.tags),
            )

    async def _ended(self, job_id: int, stop: asyncio.Event) -> Job:
        """The job once it has ended, if need be since it was stopped; raises KeyError."""
        self._coordinator.latest(job_id)
        ending = asyncio.create_task(settled(self._coordinator, [job_id]))
        try:
            if not await before(stop, ending):
                self._coordinator.cancel(self._coordinator.latest(job_id).job_id)
                await asyncio.wait([ending], timeout=self._grace_seconds)
            if not ending.done():
                self._coordinator.cancel(self._coordinator.latest(job_id).job_id, force=True)
            await ending
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
        return self._coordinator.latest(job_id)

    def _told(self, job: Job, stop: asyncio.Event) -> TaskEnd:
        if job.status is JobState.SUCCESS:
            return TaskEnd()
        code = job.exit_code if job.exit_code in _EXIT_CODES else None
        if job.status is JobState.CANCELED:
            if stop.is_set():
                return TaskEnd(stopped=True, exit_code=code or 0)
            return TaskEnd(error="its job was canceled at the coordinator")
        if job.failure_reason == "script_failure":
            return TaskEnd(exit_code=code or 1)
        return TaskEnd(exit_code=code or 0, error=self._failure(job))

    def _failure(self, job: Job) -> str:
        if job.failure_reason == "job_execution_timeout":
            limit = timeout_seconds(job, self._coordinator.options)
            return f"it took longer than its timeout of {exact_span(limit)}"
        return _REASONS.get(job.failure_reason or "", "the runner told no reason that is known")
