"""Pods' containers on a Docker engine: images as they are, so that what runs on an engine runs here, too."""

import asyncio
from typing import Any

import attrs

from paas_runner.docker.containers import host_config
from paas_runner.docker.engine import Client, Engine
from paas_runner.errors import RemoteError
from paas_runner.sandbox.kubernetes.runtime import Container, Exit, ImageError

LABEL = "net.heptapod.paas-runner.sandbox-pod"
"""On each container, with the name of its pod."""

_CANNOT_START = 128


@attrs.frozen
class DockerRuntime:
    """On an engine that sees this machine's files; it has to bear calls as long as containers last."""

    engine: Engine

    async def pull(self, image: str) -> None:
        """Only what is not there."""

        def get(client: Client) -> None:
            if not client.images(image):
                client.pull(image)

        try:
            await self.engine.call(f"pull {image}", get)
        except RemoteError as error:
            raise ImageError(f'failed to pull and unpack image "{image}": {error}') from error

    async def run(self, container: Container) -> Exit:
        """It is removed in every case."""
        op = f"run {container.name}"
        try:
            made = await self.engine.shielded_call(op, lambda client: _created(client, container))
        except RemoteError as error:
            container.write(f"{error}\n".encode())
            return Exit(_CANNOT_START, "StartError")
        stop = asyncio.create_task(self._stop(container, made))
        loop = asyncio.get_running_loop()

        def run(client: Client) -> Exit:
            client.start(made)
            for piece in client.logs(made, stream=True, follow=True):
                loop.call_soon_threadsafe(container.write, piece)
            code = int(client.wait(made)["StatusCode"])
            killed = client.inspect_container(made)["State"]["OOMKilled"]
            return Exit(code, "OOMKilled" if killed else "")

        try:
            return await self.engine.call(op, run)
        except RemoteError as error:
            container.write(f"{error}\n".encode())
            return Exit(_CANNOT_START, "StartError")
        finally:
            stop.cancel()
            await self.engine.shielded_call(
                op, lambda client: client.remove_container(made, force=True, v=True)
            )

    async def _stop(self, container: Container, made: str) -> None:
        await container.stopping.wait()
        await self.engine.call(f"stop {container.name}", lambda client: client.kill(made, "SIGTERM"))


def _created(client: Client, container: Container) -> str:
    binds = [f"{outside}:{inside}" for inside, outside in container.mounts.items()]
    made: dict[str, Any] = client.create_container(
        container.image,
        list(container.arguments) or None,
        entrypoint=list(container.command) or None,
        environment=dict(container.environment),
        labels={LABEL: container.pod},
        host_config=host_config(client, binds=binds),
    )
    return str(made["Id"])
