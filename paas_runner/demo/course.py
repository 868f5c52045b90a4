"""The course of the demo: sandbox, services, pipeline, what is done to services in the middle, the verdict.

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

from paas_runner.demo.database import database_server
from paas_runner.demo.engine import engine
from paas_runner.demo.hosts import Place, SandboxCloud
from paas_runner.demo.page import enter, free_address, has_a_reader, with_page
from paas_runner.demo.service_process import LogEvent
from paas_runner.demo.services import OneService, Services, TwoServices, written
from paas_runner.demo.story import JobStory, Verdict, continued, judge
from paas_runner.errors import RunnerError
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.repository_files import load_file
from paas_runner.pipelines.spec import Pipeline
from paas_runner.pipelines.states import JobState
from paas_runner.sandbox.cloud import CloudOptions
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


def run(
    pipeline: Path | None, view: Audience, *, executor: str, image: str, page: bool, pair: bool
) -> Verdict:
    """Run the demo, with a pipeline of the user's own if one is given; `image` is for hosts on an engine.

    With `page` the service serves its page, which stays for a person until she has seen enough. As a `pair`
    two services share a database, and one is killed. Raises `RunnerError` for what is not installed.
    """
    own = load_file(pipeline) if pipeline else None
    if own and executor != "local-docker" and (names := _in_containers(own)):
        view.say(
            f"warning: `image` and `services` have no effect here, scripts run on this machine; "
            f"--executor local-docker uses them (jobs: {names})"
        )
    return asyncio.run(_demonstrate(own, view, executor=executor, image=image, page=page, pair=pair))


async def _demonstrate(
    own: Pipeline | None, view: Audience, *, executor: str, image: str, page: bool, pair: bool
) -> Verdict:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(database_server()) if pair else None
        sandbox = await stack.enter_async_context(Sandbox(_leisurely()))
        place: Place = SandboxCloud(sandbox)
        if executor == "local-docker":
            place = await stack.enter_async_context(engine(sandbox, image))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="paas-runner-demo-")))
        address = free_address() if page else ""
        configuration = with_page(place.configuration(), address)
        view.say(f"sandbox: coordinator at {sandbox.coordinator_url}, {place.description()}")
        course = _Course(sandbox, place, view, page=page)
        services: Services
        if database:
            view.say("database: a PostgreSQL server of its own, for both services")
            services = TwoServices(configuration, folder, database, view.say, course.hear)
        else:
            services = OneService(written(folder, configuration), view.say, course.hear)
        if page:
            view.say(f"page: http://{address}/")
        return await course.run(own, services)


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

    def __init__(self, sandbox: Sandbox, place: Place, view: Audience, *, page: bool) -> None:
        self._sandbox = sandbox
        self._place = place
        self._view = view
        self._page = page
        self._stories: dict[int, JobStory] = {}
        self._shown: set[int] = set()
        self._problems: list[str] = []

    async def run(self, own: Pipeline | None, services: Services) -> Verdict:
        """The audience's own pipeline, which may take as long as it takes, or else the place's."""
        submitted = self._sandbox.coordinator.submit(own or load_pipeline(self._place.pipeline()))
        for warning in submitted.warnings:
            self._view.say(f"warning: {warning}")
        self._view.say(f"pipeline submitted: {len(submitted.jobs)} jobs")
        longest = LONGEST_SECONDS + services.longer_seconds
        try:
            await services.start()
            async with asyncio.timeout(None if own else longest):
                await self._see_through(services)
            if self._page and has_a_reader():
                self._view.say("all is over; the page stays until you press Enter")
                await enter()
        except TimeoutError:
            self._problems.append(f"not everything had ended within {longest:g} s")
        except RunnerError as error:
            self._problems.append(str(error))
        finally:
            self._problems += await services.stop()
        self._look()
        return await self._close(None if own else self._place.expected, services.takeover_seconds)

    async def _see_through(self, services: Services) -> None:
        """Until every job has ended and every host is gone, with one disturbance on the way."""
        disturbing: asyncio.Task[None] | None = None
        try:
            while not await self._all_gone() or (disturbing and not disturbing.done()):
                await asyncio.sleep(TICK_SECONDS)
                self._look()
                self._view.tick(self._stories.values())
                if disturbing is None and self._in_the_middle():
                    disturbing = asyncio.create_task(services.disturb())
                if disturbing and disturbing.done():
                    await disturbing
        finally:
            if disturbing:
                disturbing.cancel()

    def _in_the_middle(self) -> bool:
        """Something runs, something else is on its way or over; no job is between coordinator and disk."""
        jobs = self._sandbox.coordinator.jobs.values()
        if any(job.status == JobState.RUNNING and self._story(job).phase == "waiting" for job in jobs):
            return False
        phases = {story.phase for story in self._stories.values()}
        others = {"provisioning", "provisioned", "launching", "launched", "decommissioning", "gone"}
        return "running" in phases and (len(self._stories) == 1 or bool(phases & others))

    async def _all_gone(self) -> bool:
        left = (await self._place.ledger()).left
        return not left and all(job.ended for job in self._sandbox.coordinator.jobs.values())

    def hear(self, event: LogEvent) -> None:
        """A line of a service's log: about a job, or something that the audience should know."""
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

    async def _close(self, expected: Mapping[str, str] | None, takeover_seconds: float | None) -> Verdict:
        jobs = self._sandbox.coordinator.jobs
        judged = judge(jobs.values(), await self._place.ledger(), expected=expected)
        problems = [*self._problems, *judged.problems]
        verdict = attrs.evolve(judged, problems=problems, takeover_seconds=takeover_seconds)
        self._view.end(list(self._stories.values()), verdict)
        return verdict
