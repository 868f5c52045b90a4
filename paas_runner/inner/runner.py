"""The inner runner: what a host starts when a job has been pushed to it."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial

import attrs
import httpx

from paas_runner.inner.ending import StateUpdate
from paas_runner.inner.execution import Execution
from paas_runner.inner.git import credentials
from paas_runner.inner.git_program import Launch
from paas_runner.inner.helper import Helper, NoHelper, job_helper
from paas_runner.inner.job import TOO_LONG, Job, Workspace, mappings, read_job
from paas_runner.inner.job_script import NO_SCRIPTS, job_scripts
from paas_runner.inner.link import JobLink, JobOverError
from paas_runner.inner.project_folder import place_of
from paas_runner.inner.settings import InnerRunnerError, RunnerSection, Timings, read_section
from paas_runner.inner.shell import ProcessShell, Shell
from paas_runner.inner.stage_spans import StageSpans, below_the_run, receiver_in
from paas_runner.inner.stop import Stops
from paas_runner.inner.trace import Narrator, Trace
from paas_runner.inner.trust import verification, with_authority
from paas_runner.inner.ways import ByEnvironment
from paas_runner.job.lifetime import Deadlines, margin_in
from paas_runner.job.payload import Payload, PayloadError, decode
from paas_runner.job.use import HOST_VARIABLE, as_line, flavors_in
from paas_runner.job.variables import BudgetExceededError

CALL_SECONDS = 30.0


class UnreportedError(InnerRunnerError):
    """The job has ended, but its result could not be reported to the coordinator."""


class OverdueError(InnerRunnerError):
    """The job's timeout and most of the margin after it were over: all of it was broken off, unreported."""


def _on_standard_output(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # a job does not fail because no one listens
        print(line, flush=True)


def _on_this_machine(_section: RunnerSection) -> Shell:
    return ProcessShell()


@attrs.frozen(kw_only=True)
class InnerRunner:
    """Runs one job to its end and reports on it; `transport` replaces the network, by base URL."""

    clock: Callable[[], datetime]
    shell: Callable[[RunnerSection], Shell] = _on_this_machine
    """Where scripts run: on this machine, in a folder for this job alone, unless another is given."""

    helper: Callable[[Job, Narrator, httpx.AsyncClient, Launch], Helper] = job_helper
    transport: Callable[[str], httpx.AsyncBaseTransport] | None = None
    timings: Timings = attrs.field(factory=Timings)
    trust_environment: bool = False
    """Whether `HTTPS_PROXY`, `SSL_CERT_FILE` and their like count."""

    environment: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """The host's own, for what its executor says of it."""

    say: Callable[[str], None] = _on_standard_output
    """Takes lines for the host's own log."""

    async def run(self, runner_toml: str, job_json: str, stops: Stops | None = None) -> int:
        """Return 0 for a job that succeeded and 1 for one that did not, when the coordinator knows it.

        `stops` ends the job early, in good order. Canceling this is the sudden death of the host: every
        process of the job is killed at once, its folders are removed, nothing is reported. Raises
        `InnerRunnerError` for files that make no job, `UnreportedError` when the coordinator has not taken
        the result within half an hour or most of the margin after the job's timeout, and `OverdueError`
        when that is over and anything still goes on.
        """
        section, payload = read_section(runner_toml), read_payload(job_json)
        deadlines = deadlines_of(payload, self.environment)
        report_by = asyncio.get_running_loop().time() + deadlines.report_seconds
        scope = asyncio.timeout(deadlines.work_seconds)
        try:
            async with scope:
                return await self._prepare_and_run(section, payload, stops or Stops(), report_by)
        except TimeoutError:
            if scope.expired():
                raise OverdueError("the job has not ended within its timeout and the time after it") from None
            raise

    async def _prepare_and_run(
        self, section: RunnerSection, payload: Payload, stops: Stops, report_by: float
    ) -> int:
        section = with_authority(section)
        receiver, section = receiver_in(section), below_the_run(section)
        verify = verification(section, trust_environment=self.trust_environment)
        shell = self.shell(section)
        with contextlib.ExitStack() as stack:
            try:
                folders = _folders(stack, shell, payload, section)
            except OSError as error:
                raise InnerRunnerError(f"no folder could be made for the job: {error}") from error
            job = read_job(payload, section, folders)
            spans = StageSpans(
                receiver, partial(self._client, verify=verify), payload=payload, clock=self.clock
            )
            async with self._client(section.url, verify) as client, spans.sent():
                return await self._run_and_report(job, shell, client, stops, spans, report_by=report_by)

    async def _run_and_report(
        self,
        job: Job,
        shell: Shell,
        client: httpx.AsyncClient,
        stops: Stops,
        spans: StageSpans,
        *,
        report_by: float,
    ) -> int:
        prefixes = job.token_prefixes if job.program is None else None
        trace = Trace(_secrets(job), job.section.output_limit_bytes, prefixes)
        narrator = Narrator(
            write=trace.write, clock=self.clock, with_sections=job.with_sections, during=spans.stage
        )
        link = JobLink(
            client,
            job.payload.job_id,
            job.payload.token,
            trace,
            timings=self.timings,
            on_canceling=stops.cancel,
            debug=job.debug_trace or job.settings.debug_services,
        )
        try:
            scripts, helper = job_scripts(job), self.helper(job, narrator, client, shell.launch_own)
        except BudgetExceededError:
            job = attrs.evolve(job, workspace=attrs.evolve(job.workspace, refusal=TOO_LONG))
            scripts, helper = NO_SCRIPTS, NoHelper()
        execution = Execution(
            job=job,
            scripts=scripts,
            shell=shell,
            helper=helper,
            trace=trace,
            narrator=narrator,
            timings=self.timings,
            stops=stops,
            flavors=flavors_in(self.environment.get(HOST_VARIABLE, "")),
            tell=lambda use: self.say(as_line(use)),
        )
        try:
            update = await _stream(link, execution)
            spans.ended(update.state)
            left = report_by - asyncio.get_running_loop().time()
            patience = min(self.timings.report_timeout, left)
            async with stops.within(patience, self.timings.hurried_report_timeout):
                await link.finish(update)
        except TimeoutError:
            raise UnreportedError(f"{job.section.url} did not take the result of the job") from None
        except JobOverError:
            return 1
        return int(update.state != "success")

    def _client(self, url: str, verify: ssl.SSLContext | bool) -> httpx.AsyncClient:
        transport = self.transport(url) if self.transport else None
        if transport is None and self.trust_environment:
            transport = ByEnvironment(url, verify=verify)
        return httpx.AsyncClient(
            base_url=url, transport=transport, timeout=CALL_SECONDS, verify=verify, trust_env=False
        )


def deadlines_of(payload: Payload, environment: Mapping[str, str]) -> Deadlines:
    """What holds for this job on a host with this environment."""
    return Deadlines(payload.timeout, margin_in(environment))


def _folders(
    stack: contextlib.ExitStack, shell: Shell, payload: Payload, section: RunnerSection
) -> Workspace:
    """Those that the job's author wants, else the usual ones, with the refusal; raises OSError."""
    try:
        return stack.enter_context(shell.workspace(place_of(payload, section)))
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        place = place_of(payload, section, getattr(error, "strerror", None) or str(error))
        return stack.enter_context(shell.workspace(place))


async def _stream(link: JobLink, execution: Execution) -> StateUpdate:
    """Run the job while its trace is sent; raises `JobOverError`, with everything killed."""
    try:
        async with asyncio.TaskGroup() as tasks:
            streaming = tasks.create_task(link.stream())
            update = await execution.run()
            streaming.cancel()
    except ExceptionGroup as group:
        over, others = group.split(JobOverError)
        raise others or JobOverError(str(over)) from None
    return update


def _secrets(job: Job) -> Iterator[str]:
    """What the trace must not show: what the coordinator says, and all credentials that came with the job."""
    yield from job.variables.masked
    yield job.payload.token.reveal()
    yield from (secret.reveal() for secret in credentials(job.payload))
    if receiver := receiver_in(job.section):
        yield from receiver.headers.values()
    for name in ("credentials", "dependencies"):
        for entry in mappings(job.payload.raw.get(name)):
            yield str(entry.get("password") or entry.get("token") or "")


def read_payload(text: str) -> Payload:
    """The job of a `job.json`; raises `InnerRunnerError`."""
    try:
        return decode(text.encode(errors="surrogatepass"))
    except PayloadError as error:
        raise InnerRunnerError(f"job.json: {error.why}") from None
