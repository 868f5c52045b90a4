"""The inner runner: what a host starts when a job has been pushed to it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import attrs
import httpx
import structlog

from paas_runner.job.payload import Payload, PayloadError, decode
from paas_runner.sandbox.inner.ending import FinalWord, Result
from paas_runner.sandbox.inner.execution import Execution, Stop, narrate
from paas_runner.sandbox.inner.job_script import Workspace, job_scripts
from paas_runner.sandbox.inner.link import JobLink, JobOverError, Pace
from paas_runner.sandbox.inner.process import ProcessShell
from paas_runner.sandbox.inner.scripted import ScriptedShell
from paas_runner.sandbox.inner.section import InnerRunnerError, RunnerSection, read_section
from paas_runner.sandbox.inner.shell import Shell
from paas_runner.sandbox.inner.trace import Trace

log = structlog.stdlib.get_logger(__name__)

_CALL_SECONDS = 30.0
_UNUSABLE, _UNHEARD = 2, 1  # exit codes when there is no script's


@attrs.frozen(kw_only=True)
class InnerRunner:
    """Runs one job to its end and reports on it; `transport` replaces the network, by base URL."""

    clock: Callable[[], datetime]
    shell: Shell = attrs.field(factory=ProcessShell)
    transport: Callable[[str], httpx.AsyncBaseTransport] | None = None
    pace: Pace = attrs.field(factory=Pace)

    async def run(self, runner_toml: str, job_json: str) -> int:
        """Return the job's exit code when the coordinator knows it, or 1 when it wants to hear no more.

        Cancelling this is the sudden death of the host: every process of the job is killed at once, its
        directories are removed, nobody is told. Raises `InnerRunnerError` for files that make no job, and
        when the coordinator could not be told in half an hour.
        """
        section = read_section(runner_toml)
        payload = _payload(job_json)
        with self.shell.workspace(payload.variable("CI_PROJECT_PATH") or "") as workspace:
            async with self._client(section.url) as client:
                try:
                    return await self._reported(payload, section, workspace, client)
                except TimeoutError:
                    raise InnerRunnerError(f"{section.url} did not take the result") from None
                except JobOverError:
                    return _UNHEARD

    async def _reported(
        self, payload: Payload, section: RunnerSection, workspace: Workspace, client: httpx.AsyncClient
    ) -> int:
        scripts = job_scripts(payload, section, workspace)
        trace = Trace(scripts.secrets, section.output_limit_bytes)
        stop = Stop()
        link = JobLink(
            client,
            payload.job_id,
            payload.token,
            trace,
            pace=self.pace,
            on_canceling=lambda: stop.give(Result.CANCELED),
        )
        execution = Execution(
            payload=payload,
            section=section,
            scripts=scripts,
            shell=self.shell,
            trace=trace,
            narrator=narrate(trace, payload, self.clock),
            pace=self.pace,
        )
        word = await _streamed(link, execution, stop)
        await link.finish(word)
        return word.exit_code or int(word.state != "success")

    def _client(self, url: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=url,
            transport=self.transport(url) if self.transport else None,
            timeout=_CALL_SECONDS,
            trust_env=False,
        )


async def _streamed(link: JobLink, execution: Execution, stop: Stop) -> FinalWord:
    """Run the job while its trace is sent; raises `JobOverError`, with everything killed."""
    try:
        async with asyncio.TaskGroup() as tasks:
            streaming = tasks.create_task(link.stream())
            word = await execution.run(stop)
            streaming.cancel()
    except ExceptionGroup as group:
        over, others = group.split(JobOverError)
        raise others or JobOverError(str(over)) from None
    return word


@attrs.frozen(kw_only=True)
class ScriptedInnerRunner(InnerRunner):
    """The same without processes: scripts follow the convention of `scripted.py`, time is the loop's."""

    shell: Shell = attrs.field(factory=ScriptedShell)


async def run_job(runner_toml: str, job_json: str) -> int:
    """Really run a job on this machine; returns an exit code in any case."""
    try:
        return await InnerRunner(clock=lambda: datetime.now(UTC)).run(runner_toml, job_json)
    except InnerRunnerError as error:
        log.warning("job cannot be run", error=str(error))
        return _UNUSABLE


def _payload(text: str) -> Payload:
    try:
        return decode(text.encode(errors="surrogatepass"))
    except PayloadError as error:
        raise InnerRunnerError(f"job.json: {error.why}") from None
