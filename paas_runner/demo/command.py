"""The course of the demo: sandbox, configuration, service, pipeline, a restart in the middle, the verdict."""

import asyncio
import sys
import tempfile
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import attrs

from paas_runner.demo.service_process import LogEvent, ServiceProcess
from paas_runner.demo.story import JobStory, told
from paas_runner.demo.verdict import EXPECTED, Verdict, judge
from paas_runner.demo.views import View, for_audience
from paas_runner.exit_codes import Exit
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.coordinator import (
    CoordinatorOptions,
    Job,
    Pipeline,
    PipelineError,
    load_pipeline,
)
from paas_runner.sandbox.server import Sandbox, SandboxOptions

LONGEST_SECONDS = 55.0  # of the demo's own pipeline; a user's own may take as long as it takes
TICK_SECONDS = 0.1
INTERRUPTED = 130  # as a shell reports Ctrl-C


def run(*, pipeline: Path | None, as_json: bool) -> int:
    """Run the demo; returns the exit code."""
    try:
        chosen = _chosen(pipeline)
    except (OSError, UnicodeDecodeError, PipelineError) as error:
        print(f"paas-runner demo: {pipeline}: {error}", file=sys.stderr)
        return Exit.FAILED
    view = for_audience(as_json=as_json)
    try:
        verdict = asyncio.run(_demonstrate(chosen, view, own=pipeline is None))
    except KeyboardInterrupt:
        print("paas-runner demo: interrupted; everything it started is stopped", file=sys.stderr)
        return INTERRUPTED
    return Exit.FAILED if verdict.problems else Exit.OK


def _chosen(path: Path | None) -> Pipeline:
    text = path.read_text() if path else files("paas_runner.demo").joinpath("pipeline.yml").read_text()
    return load_pipeline(text)


async def _demonstrate(pipeline: Pipeline, view: View, *, own: bool) -> Verdict:
    async with Sandbox(_leisurely()) as sandbox:
        with tempfile.TemporaryDirectory(prefix="paas-runner-demo-") as folder:
            config = Path(folder) / "config.toml"
            config.touch(mode=0o600)
            config.write_text(_configuration(sandbox))
            view.say(f"sandbox: coordinator at {sandbox.coordinator_url}, cloud at {sandbox.cloud_api_url}")
            course = _Course(sandbox, config, view)
            return await course.run(pipeline, own=own)


def _leisurely() -> SandboxOptions:
    """Slow enough to watch."""

    def coordinator(options: CoordinatorOptions) -> CoordinatorOptions:
        return attrs.evolve(options, long_poll_seconds=2.0, trace_interval_seconds=1)

    cloud = CloudOptions(
        repository_delay=timedelta(seconds=0.4),
        deployment_delay=timedelta(seconds=0.2),
        boot_delay=timedelta(seconds=0.6),
        build_delay=timedelta(seconds=0.4),
    )
    return SandboxOptions(cloud=cloud, coordinator=coordinator)


def _configuration(sandbox: Sandbox) -> str:
    """The sandbox's own, in the pace of a demo, with a log that a program reads."""
    paced = sandbox.configuration.replace("check_interval = 1\n", "check_interval = 0.5\n")
    return f'log_format = "json"\n{paced}\n[runners.paas_job_trace_watch]\npoll_step = 0.3\n'


class _Course:
    """One demonstration."""

    def __init__(self, sandbox: Sandbox, config: Path, view: View) -> None:
        self._sandbox = sandbox
        self._config = config
        self._view = view
        self._stories: dict[int, JobStory] = {}
        self._shown: set[int] = set()
        self._service = ServiceProcess(config, self._heard)
        self._problems: list[str] = []

    async def run(self, pipeline: Pipeline, *, own: bool) -> Verdict:
        submitted = self._sandbox.coordinator.submit(pipeline)
        for warning in submitted.warnings:
            self._view.say(f"warning: {warning}")
        self._view.say(f"pipeline submitted: {len(submitted.jobs)} jobs")
        await self._service.start()
        try:
            self._view.say(f"service started: heptapod-paas-runner {self._config.name}")
            async with asyncio.timeout(LONGEST_SECONDS if own else None):
                await self._see_through()
        except TimeoutError:
            self._problems.append(f"not everything had ended within {LONGEST_SECONDS:g} s")
        finally:
            await self._stop_service()
        self._look()
        return self._close(own=own)

    async def _see_through(self) -> None:
        """Until every job has ended and every host is gone, with one restart on the way."""
        restarted = False
        while not self._all_gone():
            await asyncio.sleep(TICK_SECONDS)
            self._look()
            self._view.tick(self._stories.values())
            if not restarted and self._in_the_middle():
                restarted = True
                await self._restart()

    async def _restart(self) -> None:
        self._view.say("service: SIGTERM in the middle of everything")
        await self._stop_service()
        self._view.say("service: stopped; jobs in progress go on running on their hosts")
        self._service = ServiceProcess(self._config, self._heard)
        await self._service.start()
        self._view.say("service: started again")

    async def _stop_service(self) -> None:
        exit_code = await self._service.terminate()
        if exit_code != Exit.OK:
            said = "; ".join(self._service.last_words[-3:])
            self._problems.append(f"the service ended with exit code {exit_code} {said}".rstrip())

    def _in_the_middle(self) -> bool:
        """Something runs, something else is on its way."""
        phases = {story.phase for story in self._stories.values()}
        on_the_way = {"provisioning", "provisioned", "launching", "launched"}
        return "running" in phases and (len(self._stories) == 1 or bool(phases & on_the_way))

    def _all_gone(self) -> bool:
        jobs = self._sandbox.coordinator.jobs.values()
        return all(job.ended for job in jobs) and not list(self._sandbox.cloud.ledger.alive)

    def _heard(self, event: LogEvent) -> None:
        """A line of the service's log: about a job, or something that the audience should know."""
        job_id = event.get("job")
        if event.get("event") == "started":
            self._view.say(f"service: {event.get('jobs_recovered')} jobs recovered")
        if event.get("level") in ("error", "critical"):
            self._view.say(f"service: {event.get('event')} {event.get('reason', '')}")
        if not isinstance(job_id, int) or job_id not in self._sandbox.coordinator.jobs:
            return
        before = self._story(self._sandbox.coordinator.jobs[job_id])
        after = self._stories[job_id] = told(before, event)
        if after.phase != before.phase:
            self._view.phase(after, before)

    def _look(self) -> None:
        """What the coordinator knows of each job; a log is shown once its job is over for everybody."""
        for job in self._sandbox.coordinator.jobs.values():
            story = self._stories[job.job_id] = attrs.evolve(
                self._story(job),
                status=str(job.status),
                failure_reason=job.failure_reason or "",
                exit_code=job.exit_code,
            )
            over = job.ended and story.phase in ("gone", "waiting")
            if over and job.job_id not in self._shown:
                self._shown.add(job.job_id)
                self._view.finished(story, job.trace)

    def _story(self, job: Job) -> JobStory:
        known = self._stories.get(job.job_id)
        return known or JobStory(job_id=job.job_id, name=job.spec.name, stage=job.spec.stage)

    def _close(self, *, own: bool) -> Verdict:
        jobs = self._sandbox.coordinator.jobs
        judged = judge(jobs.values(), self._sandbox.cloud.ledger, expected=EXPECTED if own else None)
        verdict = attrs.evolve(judged, problems=[*self._problems, *judged.problems])
        self._view.end(list(self._stories.values()), verdict)
        return verdict
