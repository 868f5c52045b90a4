"""From a job and its `[runners.docker]` to a container in which its scripts can run."""

import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from paas_runner.docker.containers import measured
from paas_runner.docker.engine import UNBOUNDED, Address, Client, Engine
from paas_runner.docker.registries import own_login_files
from paas_runner.inner.containers.attached import COMMAND
from paas_runner.inner.containers.creation import (
    ContainerFactory,
    ContainerSpec,
    has_names,
    prepared_factory,
)
from paas_runner.inner.containers.images import Credentials, Images, check_allowed
from paas_runner.inner.containers.leftovers import job_label, kept_clear, object_labels
from paas_runner.inner.containers.own_container import own_container, shared
from paas_runner.inner.containers.own_programs import OwnPrograms, own_programs, probing_programs
from paas_runner.inner.containers.running_services import RunningServices, logs_shown
from paas_runner.inner.containers.services import (
    docker_options,
    public_environment,
    read_services,
)
from paas_runner.inner.containers.settings import DockerSettings, read_docker
from paas_runner.inner.ending import Reason, StageError, broken
from paas_runner.inner.environment import startable
from paas_runner.inner.git_program import Launch
from paas_runner.inner.job import Job, Workspace, texts
from paas_runner.inner.measuring import Reading, Readings, of_container
from paas_runner.inner.process import launched
from paas_runner.inner.trace import Narrator

JOB_NAME = "build"
"""By which services reach the job's container, as in GitLab Runner's network per build."""

_FOREIGN = re.compile(r"[^A-Za-z0-9_.-]")
_ROOT = ("", "0", "root")


@attrs.frozen(kw_only=True)
class JobContainer:
    """It has been created and may be started, again and again."""

    engine: Engine
    ref: str
    own_programs: OwnPrograms | None
    """Where the runner's own programs run; None where it is in no container itself."""

    services: Sequence[str] = ()
    """Their containers."""

    is_program: bool = False
    """Whether it has the image's own program instead of a shell."""

    async def read(self) -> Readings:
        """What it and its services have at this moment; raises `RemoteError`."""
        return {ref: await self._read(ref) for ref in (self.ref, *self.services)}

    async def _read(self, ref: str) -> Reading:
        return of_container(
            await self.engine.call("measure a container", lambda client: measured(client, ref))
        )


@attrs.frozen(kw_only=True)
class _JobImage:
    """The job's own image by its payload and the configuration."""

    name: str
    entrypoint: tuple[str, ...]
    user: str
    platform: str
    pull_policy: object


@contextlib.asynccontextmanager
async def job_container(job: Job, narrator: Narrator, hidden: Sequence[Path]) -> AsyncIterator[JobContainer]:
    """Make all that the job needs on the engine; it is gone when the context is left.

    `hidden` are files of the operator. Raises `StageError` and `RemoteError`.
    """
    settings = read_docker(job.section.tables.get("docker", {}))
    image = _job_image(job, settings)
    narrator.line(f"Using Docker executor with image {image.name} ...")
    if settings.unknown:
        narrator.warning(f"[runners.docker]: without effect here: {', '.join(settings.unknown)}")
    if image.entrypoint and settings.entrypoint_kept:
        narrator.warning("Entrypoint override disabled: the image's own is used")
    label = job_label(job.section.url, job.payload.job_id)
    async with _reached(settings.engine) as engine, kept_clear(settings.engine, label, narrator):
        own = await own_container(engine)
        builds = shared(job.workspace.builds, own)
        factory = await prepared_factory(
            engine,
            settings,
            name=f"runner-{_FOREIGN.sub('-', job.section.token)}-job-{job.payload.job_id}",
            labels=object_labels(job.section.url, job.payload.job_id, os.environ),
            builds=builds,
        )
        hidden = [*hidden, *own_login_files(), *settings.engine.files]
        programs = own_programs(factory, own, builds=builds, hidden=hidden) if own else None
        images = Images(
            engine=engine,
            settings=settings,
            credentials=Credentials(job),
            narrator=narrator,
            own=own.image if own else "",
        )
        reached = own and own.may_join_networks and has_names(factory.network)
        probes = probing_programs(factory, own, hidden).launch if own and reached else launched
        async with _services(job, settings, factory, images, probes) as services:
            usual = job.variables.expand(settings.image)
            check_allowed(image.name, settings.for_job.allowed_images, [usual], "images")
            found = await images.get(image.name, image.pull_policy, platform=image.platform)
            spec = ContainerSpec(
                role="build",
                image=found.ref,
                options=settings.for_job,
                command=COMMAND,
                entrypoint=() if settings.entrypoint_kept else image.entrypoint,
                environment=public_environment(job),
                user=image.user,
                platform=image.platform,
                hostname=settings.hostname,
                aliases=() if settings.network_mode else (JOB_NAME,),
                interactive=True,
            )
            if job.program is not None:
                environment = startable(job.program)
                spec = attrs.evolve(spec, command=None, environment=environment, interactive=False)
            container = await factory.create(spec)
            with _open_to(image.user or found.user, job.workspace):
                yield JobContainer(
                    engine=engine,
                    ref=container,
                    own_programs=programs,
                    services=services,
                    is_program=job.program is not None,
                )


@contextlib.asynccontextmanager
async def _reached(address: Address) -> AsyncIterator[Engine]:
    """Calls are as many as the job needs: it waits for containers and follows logs as long as they last."""
    async with contextlib.aclosing(Engine(address, calls_at_once=UNBOUNDED)) as engine:
        await engine.call("reach the Docker engine (does it run, is its socket at hand?)", Client.ping)
        yield engine


def _job_image(job: Job, settings: DockerSettings) -> _JobImage:
    """Raises `StageError` where there is none, or its user is not allowed."""
    given = job.payload.raw.get("image")
    image: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    wanted = str(image.get("name") or settings.image)
    name = job.variables.expand(wanted)
    if not name:
        text = "the job names no image, and runner.toml has no [runners.docker] `image`"
        if wanted:
            whose = "the job's" if image.get("name") else "runner.toml's"
            text = f"{whose} image is `{wanted}`, which is empty: a variable in it is not set"
        raise StageError(broken(text, Reason.CONFIGURATION))
    user, platform = docker_options(image, job.variables.expand)
    settings.check_user(user)
    return _JobImage(
        name=name,
        entrypoint=texts(image.get("entrypoint")),
        user=user or settings.user,
        platform=platform,
        pull_policy=image.get("pull_policy"),
    )


@contextlib.asynccontextmanager
async def _services(
    job: Job, settings: DockerSettings, factory: ContainerFactory, images: Images, launch: Launch
) -> AsyncIterator[Sequence[str]]:
    """Have the job's services started and waited for; their containers."""
    wanted = read_services(job, settings.services)
    for warning in wanted.warnings:
        images.narrator.warning(warning)
    running = RunningServices(
        factory=factory, settings=settings, images=images, narrator=images.narrator, launch=launch
    )
    services = await running.start(wanted.wanted)
    shown = {service.container: service.name for service in services} if job.settings.debug_services else {}
    async with logs_shown(factory.engine, shown, images.narrator.line):
        await running.wait_for(services)
        yield [service.container for service in services]


@contextlib.contextmanager
def _open_to(user: str, workspace: Workspace) -> Iterator[None]:
    """Let a user who is not root write where root makes all files, as GitLab Runner does (umask 0)."""
    if user.partition(":")[0] in _ROOT:
        yield
        return
    before = os.umask(0)
    try:
        builds = workspace.folder
        files, project = (path.relative_to(workspace.builds) for path in (workspace.files, workspace.project))
        for place in (files, project):
            builds.change_mode(str(place), 0o777)
        for place in project.parents:
            builds.change_mode(str(place), builds.status(str(place)).st_mode | 0o011)
        yield
    finally:
        os.umask(before)
