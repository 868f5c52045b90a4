"""`local-docker`: each job in a container of its own on a Docker engine, built from what a cloud would get.

To provision is to build the image and create the container, to launch is to start it: once, since a container
that was started ever is not started again. It is found again by its name, and by labels that tell runner and
installation; what lacks them is not ours. Made for development and for small installations: hosts share the
engine's machine, and whoever runs a job there has the engine.
"""

import functools
import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from docker import APIClient
from docker.errors import APIError, NotFound
from docker.types import Mount

from executors.build_context import build_context
from executors.local_docker.account import Facts, ended, particulars, told_lines
from executors.local_docker.engine import Engine
from executors.local_docker.image import HostImage, Recipe
from executors.local_docker.look import examine
from executors.local_docker.marks import (
    INSTALLATION,
    JOB,
    RUNNER,
    Belonging,
    Kind,
    belongings,
    remove,
    remove_all,
)
from executors.local_docker.settings import STANDARD_SOCKET, LocalDockerSettings
from executors.local_docker.troubles import OPERATORS, AbsentError, ConflictError
from paas_runner.errors import Rejected
from paas_runner.executor.checks import CheckResult
from paas_runner.executor.contract import HostRequest, ProvisionedHost, Removal, RunnerSection
from paas_runner.executor.optional import ONLY_FLAVOR, ONLY_WEIGHT
from paas_runner.job.failure import reference
from paas_runner.job.tracked import Host, HostName, SeenHost

log = structlog.stdlib.get_logger(__name__)

REPOSITORY = "paas-runner-host"
MOST_LOG_LINES = 10
LABELS_VARIABLE = "PAAS_RUNNER_OBJECT_LABELS"
"""Tells it the labels (`name=value`, by commas) for all that it makes, which so goes with its host."""


class LocalDockerExecutor:
    """Hosts on one engine for one `[[runners]]` section."""

    ready_every = timedelta(seconds=1)
    ready_within = timedelta(seconds=20)

    def __init__(self, settings: LocalDockerSettings, section: RunnerSection, *, engine: Engine) -> None:
        """Take over the engine: `aclose` closes it."""
        self._settings = settings
        self._section = section
        self._engine = engine

    async def provision(self, order: HostRequest) -> Host:
        """Build the image, create the container; it does not run yet."""
        image = await self._engine.call("build the host's image", self._recipe(order).build)
        create = functools.partial(self._create, order=order, image=image)
        try:
            return _host(await self._engine.call("create the host", create))
        except ConflictError as taken:
            host = await self.adopt(order)
            if host is None:
                raise Rejected(
                    f"a container {order.host_name} exists that is not ours: remove it",
                    service=taken.service,
                    op=taken.op,
                    status=taken.status,
                    advice=OPERATORS,
                ) from taken
            return host

    async def adopt(self, order: HostRequest) -> Host | None:
        """The container of that name, if it has our labels."""
        try:
            found = await self._inspected(order.host_name)
        except AbsentError:
            return None
        ours = self._marks(order.host_name).items() <= (found["Config"].get("Labels") or {}).items()
        return _host(found["Id"]) if ours else None

    async def ready(self, provisioned: ProvisionedHost) -> bool:
        """Whether the container exists, as it does from its creation on."""
        await self._inspected(provisioned.host.ref)
        return True

    async def launch(self, order: HostRequest, host: Host) -> None:  # noqa: ARG002
        """Start the container, unless it was started before."""
        state = (await self._inspected(host.ref))["State"]
        if state["Status"] != "created":
            log.info("the host was launched already", host=host.ref, state=state["Status"])
            return
        await self._engine.call("start the host", lambda client: client.start(host.ref))

    async def trouble(self, provisioned: ProvisionedHost) -> str | None:
        """Whether the container has ended or is gone; an engine that does not answer is no verdict."""
        facts = await self._facts(provisioned.host)
        return None if facts.going else ended(facts)

    async def silence(self, provisioned: ProvisionedHost) -> str | None:
        """How the container stands, and the end of its log."""
        return particulars(await self._facts(provisioned.host))

    async def hosts(self, tenant: str) -> Sequence[SeenHost]:
        """All that has our labels, by host: a container, or what is left without one; no one pays for any."""
        if tenant:
            return ()
        found = await self._engine.call("list hosts", lambda client: belongings(client, self._runner_marks))
        of_one = itertools.groupby(sorted(found, key=_host_name), key=_host_name)
        return [_seen(name, list(belonging)) for name, belonging in of_one]

    async def decommission(self, removal: Removal) -> None:
        """Remove container, networks, volumes and images of that name, those of the inner runner, too."""

        def everything(client: APIClient) -> None:
            if removal.host:
                remove(client, Kind.CONTAINER, removal.host.ref)
            remove_all(client, self._marks(removal.name))

        await self._engine.call("remove the host", everything)

    async def examine(self) -> Sequence[CheckResult]:
        """The engine, its machine, and the image of hosts."""
        return await examine(self._engine.address, image=self._settings.heptapod_runner_main_image)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._engine.aclose()

    @property
    def _runner_marks(self) -> dict[str, str]:
        return {INSTALLATION: self._section.installation, RUNNER: self._section.short_token}

    def _marks(self, name: HostName) -> dict[str, str]:
        return {**self._runner_marks, JOB: name}

    def _recipe(self, order: HostRequest) -> Recipe:
        base = self._settings.heptapod_runner_main_image
        inner = self._settings.inner_executor
        return Recipe(
            files=build_context(order, self._section, main_image=base, inner_executor=inner),
            tag=f"{REPOSITORY}:{order.host_name}",
            base=base,
            labels=self._marks(order.host_name),
        )

    def _create(self, client: APIClient, *, order: HostRequest, image: HostImage) -> str:
        """With a volume of our own wherever the image would get one that nobody can tell to be ours."""
        marks = self._marks(order.host_name)
        mounts = [
            Mount(str(STANDARD_SOCKET), str(self._engine.address.socket), type="bind"),
            *(Mount(folder, None, type="volume", labels=marks) for folder in image.volumes),
        ]
        created: dict[str, Any] = client.create_container(
            image.ref,
            name=order.host_name,
            labels=marks,
            environment={LABELS_VARIABLE: ",".join(f"{name}={value}" for name, value in marks.items())},
            host_config=client.create_host_config(
                mounts=mounts, network_mode=self._settings.docker_network or "default"
            ),
        )
        return str(created["Id"])

    async def _inspected(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = await self._engine.call(
            "look at the host", lambda client: client.inspect_container(container)
        )
        return found

    async def _facts(self, host: Host) -> Facts:
        def found(client: APIClient) -> Facts:
            known = reference(host.ref[:12])
            try:
                state = client.inspect_container(host.ref)["State"]
            except NotFound:
                return Facts(state={}, reference=known)
            return Facts(state=state, lines=_log(client, host.ref), reference=known)

        return await self._engine.call("look at the host", found)


def _host(ref: str) -> Host:
    return Host(ref=ref, flavor=ONLY_FLAVOR, weight=ONLY_WEIGHT)


def _log(client: APIClient, container: str) -> Sequence[str] | None:
    """The last lines; None when the engine sends logs elsewhere, which keeps the rest of no account back."""
    try:
        return told_lines(client.logs(container, tail=MOST_LOG_LINES).decode(errors="replace"))
    except APIError as error:
        log.info("no log of the host available", host=container, reason=error.explanation)
        return None


def _host_name(belonging: Belonging) -> HostName:
    return belonging.host_name


def _seen(name: HostName, found: Sequence[Belonging]) -> SeenHost:
    """The container itself if it is there, else whatever is left of the host, which runs no job any more."""
    shown = max(found, key=lambda each: each.is_host)
    busy = shown.is_host and shown.running
    return SeenHost(name=name, ref=shown.ref, created_at=shown.created_at, busy=busy)
