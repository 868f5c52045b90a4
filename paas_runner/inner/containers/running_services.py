"""The containers of a job's services: started, waited for, their logs shown where they are wanted.

Whether a service answers: by a TCP connection to one of its ports, as GitLab Runner finds out.

What services write, as a part of the trace (`CI_DEBUG_SERVICES`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
from docker import APIClient

from paas_runner.inner.containers.creation import Surroundings, Wanted
from paas_runner.inner.containers.engine import Engine, EngineError
from paas_runner.inner.containers.images import Images, check_allowed
from paas_runner.inner.containers.services import Service
from paas_runner.inner.containers.settings import DockerSettings
from paas_runner.inner.trace import Narrator

_PAUSE_SECONDS = 0.1
_CONNECT_SECONDS = 2.0
_MOST_PORTS = 20


@attrs.frozen(kw_only=True)
class Endpoint:
    """Where a service can be reached, if it can."""

    address: str
    ports: Sequence[int]


async def answers(endpoint: Endpoint) -> None:
    """Return when a connection was accepted; whoever waits has a limit."""
    while not await _any_connected(endpoint):  # noqa: ASYNC110 - nobody tells when a port opens
        await asyncio.sleep(_PAUSE_SECONDS)


async def _any_connected(endpoint: Endpoint) -> bool:
    tries = [_connected(endpoint.address, port) for port in endpoint.ports[:_MOST_PORTS]]
    return any(await asyncio.gather(*tries))


async def _connected(address: str, port: int) -> bool:
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
            writer.close()
            return True
    return False


_LOOK_SECONDS = 0.5
_MOST_LOG_LINES = 50
_FRAME = "*" * 9


@attrs.frozen(kw_only=True)
class StartedService:
    """One that runs, or did."""

    service: Service
    container: str
    endpoint: Endpoint

    @property
    def name(self) -> str:
        """What it is called in the trace."""
        return self.service.names[-1] if self.service.names else self.service.image


@attrs.frozen(kw_only=True)
class RunningServices:
    """What can be done with the services of one job."""

    surroundings: Surroundings
    settings: DockerSettings
    images: Images
    narrator: Narrator

    async def start(self, services: Sequence[Service]) -> Sequence[StartedService]:
        """Start them in their order; raises `StageError` and `EngineError`."""
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
        waiting = [service for service in services if service.endpoint.ports]
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
        wanted = Wanted(
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
        container = await self.surroundings.create(wanted)

        def start(client: APIClient) -> dict[str, Any]:
            client.start(container)
            found: dict[str, Any] = client.inspect_container(container)
            return found

        told = await self._engine.call(f"to start the service {service.image}", start)
        ports = (service.port,) if service.port else image.ports
        address = _address(told, self.surroundings.network)
        return StartedService(
            service=service, container=container, endpoint=Endpoint(address=address, ports=ports)
        )

    async def _trouble(self, started: StartedService, limit: float) -> str:
        """Why the service does not answer; empty when it does."""
        answering = asyncio.ensure_future(answers(started.endpoint))
        ending = asyncio.ensure_future(self._ended(started))
        try:
            done, _ = await asyncio.wait(
                {answering, ending}, timeout=limit, return_when=asyncio.FIRST_COMPLETED
            )
            if answering in done:
                return ""
            if ending in done:
                return ending.result()
            ports = ", ".join(map(str, started.endpoint.ports))
            return f"no connection to port {ports} within {limit:g} seconds"
        finally:
            answering.cancel()
            ending.cancel()
            await asyncio.gather(answering, ending, return_exceptions=True)

    async def _ended(self, started: StartedService) -> str:
        """Return how the container ended, once it has."""
        while True:
            told = await self._engine.call(
                f"to look at the service {started.service.image}",
                lambda client: client.inspect_container(started.container),
            )
            state = told["State"]
            if not state["Running"]:
                return f"it has ended with exit code {state['ExitCode']}"
            await asyncio.sleep(_LOOK_SECONDS)

    async def _log(self, started: StartedService) -> str:
        try:
            log = await self._engine.call(
                "to get the service's log",
                lambda client: client.logs(started.container, tail=_MOST_LOG_LINES),
            )
        except EngineError as error:
            return f"({error})"
        return bytes(log).decode(errors="replace").rstrip() or "(nothing)"

    @property
    def _engine(self) -> Engine:
        return self.surroundings.engine


def _address(told: dict[str, Any], network: str) -> str:
    """Where the container is on the job's network; on the machine's own it is the machine."""
    found = told["NetworkSettings"]["Networks"].get(network) or {}
    return str(found.get("IPAddress") or "127.0.0.1")


_MOST_LINE_BYTES = 64 * 1024


@contextlib.asynccontextmanager
async def logs_shown(
    engine: Engine, containers: Mapping[str, str], show: Callable[[str], None]
) -> AsyncIterator[None]:
    """Within, each line that one of the containers writes is shown, with what it is called."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    def tell(line: str) -> None:
        if not over.is_set():
            show(line)

    def follow(container: str, name: str) -> Callable[[APIClient], None]:
        def lines(client: APIClient) -> None:
            for line in _lines(client, container):
                loop.call_soon_threadsafe(tell, f"[service:{name}] {line}")

        return lines

    following = [
        asyncio.ensure_future(engine.abandonable("to follow a service's log", follow(container, name)))
        for container, name in containers.items()
    ]
    try:
        yield
    finally:
        over.set()
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


def _lines(client: APIClient, container: str) -> Iterator[str]:
    """Until the container ends; a line that does not end is cut."""
    rest = b""
    for piece in client.logs(container, stream=True, follow=True):
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
        if len(rest) > _MOST_LINE_BYTES:
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace")
