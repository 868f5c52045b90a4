"""`local-docker`: each job in a container of its own on a Docker engine, built from what a cloud would get.

To provision is to build the image and create the container, to launch is to start it: once, since a container
that was ever started is not started again. It is found again by its name, and by labels that name runner and
installation; a container without them is not ours. Made for development and for small installations: hosts
share the engine's machine, and every job there can use the engine.
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import structlog

from executors.build_context import build_context
from executors.host_log import clean_lines
from executors.local_docker.account import Facts, ended, particulars
from executors.local_docker.checks import examine
from executors.local_docker.expiry import overdue_hosts, remove_host
from executors.local_docker.image import HostImage, Recipe
from executors.local_docker.settings import LocalDockerSettings, host_socket
from executors.tag_tables import TagTables
from paas_runner.docker.containers import Mount
from paas_runner.docker.engine import STANDARD_SOCKET, Client, Engine
from paas_runner.docker.errors import OPERATORS, AbsentError, ConflictError
from paas_runner.docker.labels import (
    ENDS_AT,
    INSTALLATION,
    JOB,
    OBJECT_LABELS_VARIABLE,
    RUNNER,
    EngineObject,
    Kind,
    format_labels,
    labeled,
    remove,
    remove_all,
)
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.executor.checks import CheckResult
from paas_runner.executor.contract import HostRequest, ProvisionedHost, Removal, RunnerSection
from paas_runner.executor.optional import ONLY_FLAVOR, ONLY_WEIGHT, OverdueHost
from paas_runner.job.failure import reference
from paas_runner.job.lifetime import written_end
from paas_runner.job.tracked import Host, HostName, SeenHost
from paas_runner.job.use import Use, last_in

log = structlog.stdlib.get_logger(__name__)

REPOSITORY = "paas-runner-host"
MOST_LOG_LINES = 10
REMOVAL_ROUNDS = 5
"""In one call: what resists is removed again by the next one, which the service makes until all is gone."""


class LocalDockerExecutor:
    """Hosts on one engine for one `[[runners]]` section."""

    ready_every = timedelta(seconds=1)
    ready_within = timedelta(seconds=20)

    def __init__(
        self,
        settings: LocalDockerSettings,
        section: RunnerSection,
        *,
        engine: Engine,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take over the engine: `aclose` closes it."""
        self._clock = clock
        self._settings = settings
        self._section = section
        self._engine = engine
        self._tags = TagTables(section.name, settings.tags)

    async def provision(self, request: HostRequest) -> Host:
        """Build the image, create the container; it does not run yet. A refusal leaves nothing of both."""
        try:
            return await self._provisioned(request)
        except Rejected:
            await self.decommission(Removal(name=request.host_name, host=None, search=True))
            raise

    async def _provisioned(self, request: HostRequest) -> Host:
        end = written_end(self._clock(), request.payload.timeout)
        labels = {**self._labels(request.host_name), ENDS_AT: end.isoformat(timespec="seconds")}
        image = await self._engine.call("build the host's image", self._recipe(request, labels).build)
        create = functools.partial(self._create, request=request, image=image, labels=labels)
        try:
            return _host(await self._engine.call("create the host", create))
        except ConflictError as taken:
            host = await self.adopt(request)
            if host is None:
                raise Rejected(
                    f"a container {request.host_name} exists that is not ours: remove it",
                    service=taken.service,
                    op=taken.op,
                    status=taken.status,
                    advice=OPERATORS,
                ) from taken
            return host

    async def adopt(self, request: HostRequest) -> Host | None:
        """The container of that name, if it has our labels."""
        try:
            found = await self._inspected(request.host_name)
        except AbsentError:
            return None
        ours = self._labels(request.host_name).items() <= (found["Config"].get("Labels") or {}).items()
        return _host(found["Id"]) if ours else None

    async def ready(self, provisioned: ProvisionedHost) -> bool:
        """Whether the container exists, as it does from its creation on."""
        await self._inspected(provisioned.host.ref)
        return True

    async def launch(self, request: HostRequest, host: Host) -> None:  # noqa: ARG002 - it is in the image
        """Start the container, unless it was started before."""
        state = (await self._inspected(host.ref))["State"]
        if state["Status"] != "created":
            log.info("launched_already", host=host.ref, state=state["Status"])
            return
        await self._engine.call("start the host", lambda client: client.start(host.ref))

    async def trouble(self, provisioned: ProvisionedHost) -> str | None:
        """Whether the container has ended or is gone; an engine that does not answer is no verdict."""
        facts = await self._facts(provisioned)
        return None if facts.going else ended(facts)

    async def silence(self, provisioned: ProvisionedHost) -> str | None:
        """How the container stands, and the end of its log."""
        return particulars(await self._facts(provisioned))

    async def use(self, provisioned: ProvisionedHost) -> Use | None:
        """By the end of the container's log."""
        return last_in(await self._log(provisioned.host) or ())

    async def hosts(self, tenant: str) -> Sequence[SeenHost]:
        """All that has our labels, by host: a container, or what is left without one; no one pays for any."""
        if tenant:
            return ()
        found = await self._engine.call("list hosts", lambda client: labeled(client, self._runner_labels))
        return _by_host(found)

    async def hosts_of_others(self, tenant: str) -> Sequence[SeenHost]:
        """The same with this runner's label and another installation's."""
        if tenant:
            return ()
        runner = {RUNNER: self._section.short_token}
        found = await self._engine.call("list hosts", lambda client: labeled(client, runner))
        of_others: dict[str, list[EngineObject]] = {}
        for each in found:
            of_others.setdefault(each.labels.get(INSTALLATION, ""), []).append(each)
        return [
            attrs.evolve(host, installation=installation)
            for installation, objects in of_others.items()
            if installation not in {"", self._section.installation}
            for host in _by_host(objects)
        ]

    async def decommission(self, removal: Removal) -> None:
        """Remove container, networks, volumes and images of that name, those of the inner runner, too."""

        def everything(client: Client) -> Sequence[EngineObject]:
            if removal.host:
                remove(client, Kind.CONTAINER, removal.host.ref)
            return remove_all(client, self._labels(removal.name), rounds=REMOVAL_ROUNDS)

        await self._removed(everything)

    async def _removed(self, removal: Callable[[Client], Sequence[EngineObject]]) -> None:
        op = "remove the host"
        if left := await self._engine.call(op, removal):
            text = f"still there: {', '.join(map(str, left))}"
            raise Transient(text, service=self._engine.address.service, op=op)

    async def overdue(self, now: datetime) -> Sequence[OverdueHost]:
        """All of this installation on the engine, by their labels."""
        installation = self._section.installation
        return await self._engine.call(
            "look for hosts that are over their time",
            lambda client: overdue_hosts(client, installation, now),
        )

    async def expire(self, host: OverdueHost) -> None:
        """Remove it as `decommission` does."""
        removal = functools.partial(
            remove_host, installation=self._section.installation, name=host.name, rounds=REMOVAL_ROUNDS
        )
        await self._removed(removal)

    async def examine(self) -> Sequence[CheckResult]:
        """The engine, its machine, and the images of hosts."""
        return await examine(self._engine.address, images=self._settings.images)

    async def aclose(self) -> None:
        await self._engine.aclose()

    @property
    def _runner_labels(self) -> dict[str, str]:
        return {INSTALLATION: self._section.installation, RUNNER: self._section.short_token}

    def _labels(self, name: HostName) -> dict[str, str]:
        return {**self._runner_labels, JOB: name}

    def _recipe(self, request: HostRequest, labels: Mapping[str, str]) -> Recipe:
        base = self._settings.image_for(self._tags.deciding(request.payload))
        inner = self._settings.inner_executor
        return Recipe(
            files=build_context(request, self._section, main_image=base, inner_executor=inner),
            tag=f"{REPOSITORY}:{request.host_name}",
            base=base,
            labels=labels,
        )

    def _create(
        self, client: Client, *, request: HostRequest, image: HostImage, labels: dict[str, str]
    ) -> str:
        """With labeled volumes wherever the image would get volumes that nothing shows to be ours."""
        socket = host_socket(self._settings, self._engine.address)
        mounts = [
            Mount(str(STANDARD_SOCKET), str(socket), type="bind"),
            *(Mount(folder, None, type="volume", labels=labels) for folder in image.volumes),
        ]
        created: dict[str, Any] = client.create_container(
            image.ref,
            name=request.host_name,
            labels=labels,
            environment={OBJECT_LABELS_VARIABLE: format_labels(labels)},
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

    async def _facts(self, provisioned: ProvisionedHost) -> Facts:
        host, hidden = provisioned.host, provisioned.hidden
        known = reference(host.ref[:12])
        try:
            state = (await self._inspected(host.ref))["State"]
        except AbsentError:
            return Facts(state={}, reference=known)
        return Facts(state=state, lines=await self._log(host), reference=known, hidden=hidden)

    async def _log(self, host: Host) -> Sequence[str] | None:
        """The last lines; None when the engine sends logs elsewhere: the other facts are reported anyway."""
        try:
            found = await self._engine.call(
                "read the host's log", lambda client: client.logs(host.ref, tail=MOST_LOG_LINES)
            )
        except RemoteError as error:
            if error.status is None:
                raise
            log.info("host_log_unavailable", host=host.ref, reason=error.text)
            return None
        return clean_lines(bytes(found).decode(errors="replace"))


def _host(ref: str) -> Host:
    return Host(ref=ref, flavor=ONLY_FLAVOR, weight=ONLY_WEIGHT)


def _host_name(found: EngineObject) -> HostName:
    return HostName(found.labels.get(JOB, ""))


def _by_host(found: Sequence[EngineObject]) -> Sequence[SeenHost]:
    of_one = itertools.groupby(sorted(found, key=_host_name), key=_host_name)
    return [_seen(name, list(objects)) for name, objects in of_one]


def _seen(name: HostName, found: Sequence[EngineObject]) -> SeenHost:
    """The container itself if it is there, else whatever is left of the host, which runs no job any more."""
    host = next((each for each in found if each.kind is Kind.CONTAINER and each.name == name), None)
    shown = host or found[0]
    busy = host is not None and host.running
    return SeenHost(name=name, ref=shown.ref, created_at=shown.created_at, busy=busy)
