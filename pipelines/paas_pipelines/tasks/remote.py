"""The place elsewhere: a task is a job of the coordinator, which runners acquire from this server.

Promises: a job is submitted and noted in its run between two awaits, so that one transaction of the journal
has both; what has been submitted is followed up after a crash, and never submitted again. Nothing here waits
for the disk: the answer that hands a job out does (`tasks.job_server`).
"""

import asyncio
import gzip
import io
import zlib
from collections.abc import Callable
from datetime import timedelta

import attrs
import structlog

from paas_pipelines.credentials.masking import Starred, unread
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import Saved, TaskEnd
from paas_pipelines.tasks.checkout import CheckoutError, Reveal, sources_of, url_with
from paas_pipelines.tasks.files import FilesError, RunFiles
from paas_pipelines.tasks.job_spec import job_spec, private_variables, project_of
from paas_pipelines.tasks.outputs import MOST_BYTES, OutputsError, checked
from paas_pipelines.tasks.place import Output, TaskOrder, before
from paas_pipelines.tasks.script import RenderedScript, rendered
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Entrusted, Job, Project
from paas_runner.pipelines.payload import timeout_seconds
from paas_runner.pipelines.reports import Artifact
from paas_runner.pipelines.spec import ARCHIVE, Sources
from paas_runner.pipelines.states import HeldBack, JobState
from paas_runner.plain_text import exact_span
from paas_runner.secret import Secret
from paas_runner.server.waiting import settled

log = structlog.stdlib.get_logger(__name__)

GRACE_SECONDS = 60.0
"""How long a runner has to wind a job down; then it is ended at the coordinator, whose next word it heeds."""

STUCK_AFTER = timedelta(hours=24)
"""How long a task is waited for that requires what no worker has."""

_LOOK_SECONDS = 60.0
_STUCK = "stuck_or_timeout_failure"
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
    _files: RunFiles | None = None
    _reveal: Reveal | None = None
    _grace_seconds: float = attrs.field(default=GRACE_SECONDS, kw_only=True)
    _stuck_after: timedelta = attrs.field(default=STUCK_AFTER, kw_only=True)

    async def run(self, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd:  # noqa: ARG002
        """What the job says is written by the coordinator's book, which was told where (`job_server`)."""
        job_id = self._engine.book.run(order.run.run_id).task(order.task.name).job_id
        script, sources, entrusted, lacking = rendered(order), None, Entrusted(), order.no_secrets
        try:
            sources = sources_of(order, self._engine.stdout)
            entrusted = await self._entrusted(order, sources)
        except CheckoutError as wrong:
            if job_id is None:
                return TaskEnd(error=str(wrong))
            lacking, entrusted = str(wrong), Entrusted(hidden=_hidden(order))
        if job_id is None:
            if stop.is_set():
                return TaskEnd(stopped=True)
            if not script.entries:
                return TaskEnd(error=script.error)
            job_id = self._submitted(order, script, sources)
        if lacking and self._coordinator.latest(job_id).status is JobState.PENDING:
            self._coordinator.cancel(self._coordinator.latest(job_id).job_id, force=True)
            return TaskEnd(error=lacking)  # nobody would ever be given it
        if order.all_secrets or order.no_secrets:
            self._coordinator.entrust(job_id, entrusted)
        try:
            self._doubt(order, self._coordinator.latest(job_id))
            job = await self._ended(job_id, stop)
        except KeyError:
            return TaskEnd(error=f"its job {job_id} is not known any more")
        finally:
            self._coordinator.forget_entrusted(job_id)
        end = await self._with_results(order, job, self._told(job, stop))
        goes_on = not end.exit_code or order.task.definition.allow_failure
        if script.error and goes_on and not (end.error or end.stopped):
            return attrs.evolve(end, error=script.error)
        return end

    async def _entrusted(self, order: TaskOrder, sources: Sources | None) -> Entrusted:
        """What the job is told, and no record has; raises `CheckoutError`."""
        checkout, url = order.task.definition.checkout, Secret("")
        if checkout and sources and checkout.credential and not order.no_secrets:
            if self._reveal is None:
                raise CheckoutError("checkout: this server has no credentials")
            url = await url_with(sources.url, checkout.credential, self._reveal)
        return Entrusted(variables=private_variables(order), sources_url=url, hidden=_hidden(order))

    def _submitted(self, order: TaskOrder, script: RenderedScript, sources: Sources | None) -> int:
        """The job and its mention in the run, together."""
        project = project_of(order)
        spec = job_spec(order, script.entries, self._files_of(order, project), sources)
        job = self._coordinator.submit_job(spec, project)
        self._engine.submitted(order.run.run_id, order.task.name, job.job_id)
        return job.job_id

    def _files_of(self, order: TaskOrder, project: Project) -> list[int]:
        """The jobs by which the files of the tasks that it loads are had."""
        run, found = self._engine.book.run(order.run.run_id), list[int]()
        for name in order.task.definition.load:
            loaded = run.task(name)
            if loaded.saved is None or self._files is None:
                continue
            if loaded.job_id is None:
                path = self._files.path(run.run_id, name)
                archive = Artifact.of(path.read_bytes(), filename="artifacts.zip")
                job = self._coordinator.deposit(name, project, archive)
                run = self._engine.deposited(run.run_id, name, job.job_id)
                found.append(job.job_id)
            else:
                found.append(self._coordinator.latest(loaded.job_id).job_id)
        return found

    async def _with_results(self, order: TaskOrder, job: Job, end: TaskEnd) -> TaskEnd:
        """With what a job that has succeeded has left; that may turn its success into a failure."""
        definition, left = order.task.definition, self._coordinator.artifacts(job.job_id)
        if end != TaskEnd():
            return end
        try:
            if definition.outputs:
                written = _unpacked(left["dotenv"].read()) if "dotenv" in left else b""
                found = checked(written, definition.outputs, order.all_secrets)
                end = attrs.evolve(end, outputs=found)
            if definition.save:
                end = attrs.evolve(end, saved=await self._kept(order, left.get(ARCHIVE)))
        except (OutputsError, FilesError) as wrong:
            return TaskEnd(error=str(wrong))
        return end

    async def _kept(self, order: TaskOrder, archive: Artifact | None) -> Saved:
        if archive is None or self._files is None:
            raise FilesError("save: the runner has sent no files")
        run_id, name = order.run.run_id, order.task.name
        saved = await asyncio.to_thread(self._files.take, run_id, name, archive.read())
        self._files.durable(run_id, name)
        return saved

    def _doubt(self, order: TaskOrder, job: Job) -> None:
        """To its user a task that waits for a runner runs, and a stop of the server waits for it."""
        if job.status is JobState.PENDING and (why := self._coordinator.lacking(job.spec)):
            log.warning(
                "no runner takes this task: it waits for one with that tag or description",
                run=order.run.run_id,
                task=order.task.name,
                runner=", ".join(job.spec.tags),
                reason=why,
            )

    async def _ended(self, job_id: int, stop: asyncio.Event) -> Job:
        """The job once it has ended, if need be since it was stopped; raises KeyError."""
        self._coordinator.latest(job_id)
        ending = asyncio.create_task(settled(self._coordinator, [job_id]))
        watching = asyncio.create_task(self._fail_when_stuck(job_id))
        try:
            if not await before(stop, ending):
                self._coordinator.cancel(self._coordinator.latest(job_id).job_id)
                await asyncio.wait([ending], timeout=self._grace_seconds)
            if not ending.done():
                self._coordinator.cancel(self._coordinator.latest(job_id).job_id, force=True)
            await ending
        finally:
            ending.cancel()
            watching.cancel()
            await asyncio.gather(ending, watching, return_exceptions=True)
        return self._coordinator.latest(job_id)

    async def _fail_when_stuck(self, job_id: int) -> None:
        """One that wants what no worker has is not waited for without end."""
        job = self._coordinator.latest(job_id)
        if not job.spec.requires_worker:
            return
        while (job := self._coordinator.latest(job_id)).status is JobState.PENDING:
            now = self._coordinator.moment_in(timedelta()) or job.created_at
            left = self._stuck_after - (now - job.created_at)
            if left <= timedelta() and self._coordinator.lacking(job.spec):
                self._coordinator.fail(job.job_id, _STUCK)
                return
            await asyncio.sleep(
                _LOOK_SECONDS if left <= timedelta() else min(left.total_seconds(), _LOOK_SECONDS)
            )

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
        if job.failure_reason == _STUCK and job.runner is None:
            why = self._coordinator.lacking(job.spec) or "no worker has taken it"
            return f"{why} for {exact_span(self._stuck_after.total_seconds())}"
        return _REASONS.get(job.failure_reason or "", "the runner told no reason that is known")


def _hidden(order: TaskOrder) -> Callable[[bytes, HeldBack], tuple[bytes, HeldBack]] | None:
    """How its credentials are kept out of what the job says, also where nobody knows them any more."""
    if order.no_secrets:
        return unread
    return Starred(order.all_secrets) if order.all_secrets else None


def _unpacked(report: bytes) -> bytes:
    """One byte more than there may be, at most; raises `OutputsError`."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(report)) as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise OutputsError("its outputs were not sent as a report") from None
