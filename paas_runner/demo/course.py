"""The course of the demo: sandbox, configuration, service, pipeline, a restart in the middle, the verdict.

Who watches is an `Audience`.
"""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import attrs

from paas_runner.demo.engine import engine
from paas_runner.demo.hosts import Place, SandboxCloud
from paas_runner.demo.service_process import LogEvent, ServiceProcess
from paas_runner.demo.story import JobStory, Verdict, continued, judge
from paas_runner.errors import Exit
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.spec import Pipeline
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.repository_files import load_file
from paas_runner.sandbox.server import Sandbox, SandboxOptions

LONGEST_SECONDS = 55.0  # of the demo's own pipeline; a user's own may take as long as it takes
TICK_SECONDS = 0.1
_NAMES_SHOWN = 5


class Audience(Protocol):
    """Who is shown the demo."""

    def say(self, text: str) -> None:
        """What the demo does."""

    def phase(self, story: JobStory, before: JobStory) -> None:
        """A job came into another phase."""

    def finished(self, story: JobStory, trace: bytes) -> None:
        """A job is over; this is its trace."""

    def tick(self, stories: Iterable[JobStory]) -> None:
        """Time has passed."""

    def end(self, stories: Sequence[JobStory], verdict: Verdict) -> None:
        """All is over."""


def run(pipeline: Path | None, view: Audience, *, executor: str, image: str) -> Verdict:
    """Run the demo, with a pipeline of the user's own if one is given; `image` is for hosts on an engine."""
    own = load_file(pipeline) if pipeline else None
    if own and executor != "local-docker" and (names := _in_containers(own)):
        view.say(
            f"warning: `image` and `services` have no effect here, scripts run on this machine; "
            f"--executor local-docker uses them (jobs: {names})"
        )
    return asyncio.run(_demonstrate(own, view, executor=executor, image=image))


async def _demonstrate(own: Pipeline | None, view: Audience, *, executor: str, image: str) -> Verdict:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(_leisurely()))
        place: Place = SandboxCloud(sandbox)
        if executor == "local-docker":
            place = await stack.enter_async_context(engine(sandbox, image))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="paas-runner-demo-"))
        config = Path(folder) / "config.toml"
        config.touch(mode=0o600)
        config.write_text(place.configuration())
        view.say(f"sandbox: coordinator at {sandbox.coordinator_url}, {place.description()}")
        return await _Course(sandbox, place, config, view).run(own)


def _in_containers(pipeline: Pipeline) -> str:
    """The names of the jobs that want containers, if there are any."""
    names = [spec.name for spec in pipeline.jobs if spec.image or spec.services]
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


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


class _Course:
    """One demonstration."""

    def __init__(self, sandbox: Sandbox, place: Place, config: Path, view: Audience) -> None:
        self._sandbox = sandbox
        self._place = place
        self._config = config
        self._view = view
        self._stories: dict[int, JobStory] = {}
        self._shown: set[int] = set()
        self._service = ServiceProcess(config, self._on_event)
        self._problems: list[str] = []

    async def run(self, own: Pipeline | None) -> Verdict:
        """The audience's own pipeline, which may take as long as it takes, or else the place's."""
        submitted = self._sandbox.coordinator.submit(own or load_pipeline(self._place.pipeline()))
        for warning in submitted.warnings:
            self._view.say(f"warning: {warning}")
        self._view.say(f"pipeline submitted: {len(submitted.jobs)} jobs")
        await self._service.start()
        try:
            self._view.say(f"service started: heptapod-paas-runner {self._config.name}")
            async with asyncio.timeout(None if own else LONGEST_SECONDS):
                await self._see_through()
        except TimeoutError:
            self._problems.append(f"not everything had ended within {LONGEST_SECONDS:g} s")
        finally:
            await self._stop_service()
        self._look()
        return await self._close(None if own else self._place.expected)

    async def _see_through(self) -> None:
        """Until every job has ended and every host is gone, with one restart on the way."""
        restarted = False
        while not await self._all_gone():
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
        self._service = ServiceProcess(self._config, self._on_event)
        await self._service.start()
        self._view.say("service: started again")

    async def _stop_service(self) -> None:
        exit_code = await self._service.terminate()
        if exit_code != Exit.OK:
            last_words = "; ".join(self._service.last_words[-3:])
            self._problems.append(f"the service ended with exit code {exit_code} {last_words}".rstrip())

    def _in_the_middle(self) -> bool:
        """Something runs, something else is on its way."""
        phases = {story.phase for story in self._stories.values()}
        on_the_way = {"provisioning", "provisioned", "launching", "launched"}
        return "running" in phases and (len(self._stories) == 1 or bool(phases & on_the_way))

    async def _all_gone(self) -> bool:
        left = (await self._place.ledger()).left
        return not left and all(job.ended for job in self._sandbox.coordinator.jobs.values())

    def _on_event(self, event: LogEvent) -> None:
        """A line of the service's log: about a job, or something that the audience should know."""
        job_id = event.get("job")
        if event.get("event") == "started":
            self._view.say(f"service: {event.get('jobs_recovered')} jobs recovered")
        if event.get("level") in ("error", "critical"):
            self._view.say(f"service: {event.get('event')} {event.get('reason', '')}")
        if not isinstance(job_id, int) or job_id not in self._sandbox.coordinator.jobs:
            return
        before = self._story(self._sandbox.coordinator.jobs[job_id])
        after = self._stories[job_id] = continued(before, event)
        if after.phase != before.phase:
            self._view.phase(after, before)

    def _look(self) -> None:
        """What the coordinator knows of each job; a trace is shown once its job is over and the host gone."""
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
                self._view.finished(story, self._sandbox.coordinator.trace(job.job_id))

    def _story(self, job: Job) -> JobStory:
        known = self._stories.get(job.job_id)
        return known or JobStory(job_id=job.job_id, name=job.spec.name, stage=job.spec.stage)

    async def _close(self, expected: Mapping[str, str] | None) -> Verdict:
        jobs = self._sandbox.coordinator.jobs
        judged = judge(jobs.values(), await self._place.ledger(), expected=expected)
        verdict = attrs.evolve(judged, problems=[*self._problems, *judged.problems])
        self._view.end(list(self._stories.values()), verdict)
        return verdict
