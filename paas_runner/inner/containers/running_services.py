"""The containers of a job's services: started, waited for, their logs shown where they are wanted.

A service is up when one of its ports accepts a TCP connection, as GitLab Runner finds out, too. What services
write is a part of the trace where `CI_DEBUG_SERVICES` asks for it, and of the warning about one that is not
up.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import attrs

from paas_runner.docker.containers import log_lines
from paas_runner.docker.engine import Client, Engine
from paas_runner.docker.errors import describe_failure
from paas_runner.errors import RemoteError
from paas_runner.inner.containers.creation import ContainerFactory, ContainerSpec
from paas_runner.inner.containers.images import Images, check_allowed
from paas_runner.inner.containers.services import Service
from paas_runner.inner.containers.settings import DockerSettings
from paas_runner.inner.git_program import Launch
from paas_runner.inner.trace import Narrator

_PROBE = """\
import socket, sys, time
while True:
    for port in sys.argv[2:]:
        try:
            socket.create_connection((sys.argv[1], int(port)), 2.0).close()
            sys.exit()
        except OSError:
            pass
    time.sleep(0.1)
"""
_BETWEEN_INSPECTIONS_SECONDS = 0.5
_MOST_PORTS = 20
_MOST_LOG_LINES = 50
_FRAME = "*" * 9


@attrs.frozen(kw_only=True)
class StartedService:
    """One that runs, or did."""

    service: Service
    container: str
    address: str
    ports: Sequence[int]

    @property
    def name(self) -> str:
        """What it is called in the trace."""
        return self.service.names[-1] if self.service.names else self.service.image


@attrs.frozen(kw_only=True)
class RunningServices:
    """What can be done with the services of one job."""

    factory: ContainerFactory
    settings: DockerSettings
    images: Images
    narrator: Narrator
    launch: Launch
    """Starts a program from where the services are reached."""

    async def start(self, services: Sequence[Service]) -> Sequence[StartedService]:
        """Start them in their order; raises `StageError` and `RemoteError`."""
        always = [str(entry.get("name")) for entry in self.settings.services]
        patterns = self.settings.for_services.allowed_images
        started = []
        for number, service in enumerate(services):
            check_allowed(service.image, patterns, always, "services")
            self.settings.check_user(service.user)
            self.narrator.line(f"Starting service {service.image} ...")
            started.append(await self._started(service, number))
        return started

    async def wait_for(self, services: Sequence[StartedService]) -> None:
        """Wait until all that have ports answer; one that does not is warned of, with its log."""
        limit = self.settings.wait_seconds
        waiting = [service for service in services if service.ports]
        if not waiting or limit <= 0:
            return
        self.narrator.line(f"Waiting for services to be up and running (timeout {limit:g} seconds)...")
        troubles = await asyncio.gather(*(self._trouble(service, limit) for service in waiting))
        for service, trouble in zip(waiting, troubles, strict=True):
            if trouble:
                self.narrator.warning(
                    f"{_FRAME} Service {service.service.image} probably didn't start properly: {trouble}\n"
                    f"Service container logs:\n{await self._log(service)}\n{_FRAME}"
                )

    async def _started(self, service: Service, number: int) -> StartedService:
        image = await self.images.get(service.image, service.pull_policy, platform=service.platform)
        spec = ContainerSpec(
            role=f"service-{number}",
            image=image.ref,
            options=self.settings.for_services,
            command=service.command,
            entrypoint=service.entrypoint,
            environment=service.environment,
            user=service.user,
            platform=service.platform,
            aliases=service.names,
        )
        container = await self.factory.create(spec)

        def start(client: Client) -> dict[str, Any]:
            client.start(container)
            found: dict[str, Any] = client.inspect_container(container)
            return found

        found = await self._engine.shielded_call(f"start the service {service.image}", start)
        return StartedService(
            service=service,
            container=container,
            address=_address(found, self.factory.network),
            ports=(service.port,) if service.port else image.ports,
        )

    async def _trouble(self, started: StartedService, limit: float) -> str:
        """Why the service does not answer; empty when it does."""
        answering = asyncio.ensure_future(self._up(started))
        ending = asyncio.ensure_future(self._ended(started))
        try:
            done, _ = await asyncio.wait(
                {answering, ending}, timeout=limit, return_when=asyncio.FIRST_COMPLETED
            )
            if answering in done:
                return answering.result()
            if ending in done:
                return ending.result()
            ports = ", ".join(map(str, started.ports))
            return f"no connection to port {ports} within {limit:g} seconds"
        finally:
            answering.cancel()
            ending.cancel()
            await asyncio.gather(answering, ending, return_exceptions=True)

    async def _up(self, started: StartedService) -> str:
        """Return when a connection was accepted, or why none can be tried; the caller has a limit."""
        ports = map(str, started.ports[:_MOST_PORTS])
        command = (sys.executable, "-I", "-S", "-c", _PROBE, started.address, *ports)
        try:
            async with self.launch(command, folder=PurePath("/"), environment={}, write=_unseen) as probe:
                code = await probe.wait()
        except OSError as error:
            return f"it could not be looked for: {error}"
        return f"looking for it ended with exit code {code}" if code else ""

    async def _ended(self, started: StartedService) -> str:
        """Return how the container ended, once it has."""
        while True:
            found = await self._engine.call(
                f"look at the service {started.service.image}",
                lambda client: client.inspect_container(started.container),
            )
            state = found["State"]
            if not state["Running"]:
                return f"it has ended with exit code {state['ExitCode']}"
            await asyncio.sleep(_BETWEEN_INSPECTIONS_SECONDS)

    async def _log(self, started: StartedService) -> str:
        try:
            log = await self._engine.call(
                "get the service's log",
                lambda client: client.logs(started.container, tail=_MOST_LOG_LINES),
            )
        except RemoteError as error:
            return f"({describe_failure(error)})"
        return bytes(log).decode(errors="replace").rstrip() or "(nothing)"

    @property
    def _engine(self) -> Engine:
        return self.factory.engine


def _unseen(_output: bytes) -> None:
    """What a probe writes is nobody's concern."""


def _address(inspected: dict[str, Any], network: str) -> str:
    """Where the container is on the job's network; on the machine's own it is the machine."""
    found = inspected["NetworkSettings"]["Networks"].get(network) or {}
    return str(found.get("IPAddress") or "127.0.0.1")


@contextlib.asynccontextmanager
async def logs_shown(
    engine: Engine, containers: Mapping[str, str], show: Callable[[str], None]
) -> AsyncIterator[None]:
    """Within, each line that one of the containers writes is shown, with what it is called."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    def show_in_time(line: str) -> None:
        if not over.is_set():
            show(line)

    def follow(container: str, name: str) -> Callable[[Client], None]:
        def lines(client: Client) -> None:
            for line in log_lines(client, container):
                loop.call_soon_threadsafe(show_in_time, f"[service:{name}] {line}")

        return lines

    following = [
        asyncio.ensure_future(engine.call("follow a service's log", follow(container, name)))
        for container, name in containers.items()
    ]
    try:
        yield
    finally:
        over.set()
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
