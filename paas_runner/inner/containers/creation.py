"""How the containers of a job are created: what all of them have, and what each has of its own."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import PurePath
from typing import Any

import attrs

from paas_runner.docker.containers import LogConfig, Mount, host_config
from paas_runner.docker.engine import Client, Engine
from paas_runner.errors import RemoteError
from paas_runner.inner.attempts import PAUSE_SECONDS, TRIES
from paas_runner.inner.containers.settings import ContainerOptions, DockerSettings
from paas_runner.inner.ending import Reason, StageError, broken


@attrs.frozen(kw_only=True)
class ContainerSpec:
    """What one container has of its own."""

    role: str
    """For its name: `build`, or which service."""

    image: str
    options: ContainerOptions
    command: Sequence[str] | None = None
    entrypoint: Sequence[str] | None = None
    environment: Mapping[str, str | None] = attrs.field(factory=dict, repr=False)
    """None removes a variable of the image."""

    user: str = ""
    platform: str = ""
    hostname: str = ""
    aliases: Sequence[str] = ()
    interactive: bool = False
    """Whether it reads what it is to do; then its output is for its reader alone."""


@attrs.frozen(kw_only=True)
class ContainerFactory:
    """Creates the containers of a job; it has what all of them have in common."""

    engine: Engine
    name: str
    """The beginning of the names of all that is made."""

    labels: Mapping[str, str]
    network: str
    mounts: tuple[Mount, ...]
    binds: tuple[str, ...]

    async def create(self, spec: ContainerSpec) -> str:
        """The id of a new container; raises `RemoteError`, and `StageError` for options that are none."""

        def create(client: Client) -> str:
            created: Mapping[str, Any] = client.create_container(
                spec.image,
                name=f"{self.name}-{spec.role}",
                labels=dict(self.labels),
                command=list(spec.command) if spec.command else None,
                entrypoint=list(spec.entrypoint) if spec.entrypoint else None,
                environment=[
                    name if value is None else f"{name}={value}" for name, value in spec.environment.items()
                ],
                user=spec.user or None,
                platform=spec.platform or None,
                hostname=spec.hostname or None,
                stdin_open=spec.interactive,
                host_config=self._host_config(client, spec),
                networking_config=self._networking(client, spec.aliases),
            )
            return str(created["Id"])

        return await self.engine.shielded_call(f"create the container {spec.role}", create)

    def _host_config(self, client: Client, spec: ContainerSpec) -> Mapping[str, Any]:
        try:
            return host_config(
                client,
                **spec.options.host_config,
                network_mode=self.network,
                mounts=list(self.mounts),
                binds=list(self.binds),
                log_config=LogConfig(type="none" if spec.interactive else "json-file"),
            )
        except ValueError as error:
            text = f"runner.toml: [runners.docker] has options that cannot be: {error}"
            raise StageError(broken(text, Reason.CONFIGURATION)) from error

    def _networking(self, client: Client, aliases: Sequence[str]) -> Any:
        if not aliases or not has_names(self.network):
            return None
        return {"EndpointsConfig": {self.network: client.create_endpoint_config(aliases=list(aliases))}}


def has_names(network: str) -> bool:
    """Whether containers on that network find each other by name."""
    return network not in ("host", "none") and not network.startswith("container:")


async def prepared_factory(
    engine: Engine, settings: DockerSettings, *, name: str, labels: Mapping[str, str], builds: Mount
) -> ContainerFactory:
    """Make the network and the volumes of a job; raises `RemoteError`, and `StageError` for odd volumes."""
    unique = f"{name}-{secrets.token_hex(4)}"
    network = settings.network_mode
    if not network:
        network = unique
        await _create_network(engine, network, labels)
    binds = tuple(volume for volume in settings.volumes if ":" in volume)
    folders = [volume for volume in settings.volumes if ":" not in volume]
    mounts = [builds]
    for folder in folders:
        if not PurePath(folder).is_absolute():
            text = f"runner.toml: [runners.docker] `volumes`: {folder!r} is no path"
            raise StageError(broken(text, Reason.CONFIGURATION))
        made = await engine.shielded_call(
            "create a volume", lambda client: client.create_volume(labels=dict(labels))
        )
        mounts.append(Mount(folder, made["Name"], type="volume"))
    return ContainerFactory(
        engine=engine, name=unique, labels=labels, network=network, mounts=tuple(mounts), binds=binds
    )


async def _create_network(engine: Engine, name: str, labels: Mapping[str, str]) -> None:
    """More than once if need be: an engine fails where the machine's firewall is being loaded again."""
    for tries_left in reversed(range(TRIES)):
        try:
            await engine.shielded_call(
                "create the job's network",
                lambda client: client.create_network(name, driver="bridge", labels=dict(labels)),
            )
        except RemoteError as error:
            if (error.status or 0) < HTTPStatus.INTERNAL_SERVER_ERROR or not tries_left:
                raise
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            return
