"""The keys that `executor = "local-docker"` adds to a `[[runners]]` section, and the engine that they name.

Without `host` it is the engine that Docker's own programs would use, by the environment that they read.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from executors.tag_tables import TagImage
from paas_runner.addresses import AddressError, parsed
from paas_runner.docker.engine import STANDARD_SOCKET, Address, address_from
from paas_runner.docker.errors import SettingNames
from paas_runner.errors import RunnerError
from paas_runner.settings import setting

_NAMES = SettingNames(host="host", certificates="docker_cert_path", verify="docker_tls_verify")

_IMAGE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._:/@-]*")
_NETWORK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")


@attrs.frozen(kw_only=True)
class LocalDockerSettings:
    """`host` is the key of 1.1.1 (core-features.md H102); the others are named as Docker's variables."""

    host: str | None = setting(
        "the engine: unix:///path or tcp://name:port; default: $DOCKER_HOST, else the standard socket",
        default=None,
    )
    docker_cert_path: Path | None = setting(
        "folder with ca.pem, cert.pem and key.pem, for an engine that wants TLS", default=None
    )
    docker_tls_verify: bool = setting("whether the engine's certificate is checked", default=True)
    docker_socket: Path | None = setting(
        "the socket on the engine's own machine that hosts get; default: that of `host`", default=None
    )
    docker_network: str | None = setting(
        'network of the hosts; "host" reaches a coordinator on loopback; default: the engine\'s own',
        default=None,
    )
    heptapod_runner_main_image: str = setting(
        "image of the inner runner",
        default="registry.heptapod.net:443/heptapod/heptapod-runner/runner:0.7.0",
    )

    inner_executor: str = setting(
        "where the inner runner runs scripts: in the job's image, or in the host's own",
        default="docker",
        choices=("docker", "shell"),
    )
    tags: Mapping[str, TagImage] = setting(
        "hosts of jobs with a tag, by that: the first of a job's tags that is here decides", factory=dict
    )

    def image_for(self, tag: str) -> str:
        """The image of hosts for jobs of which `tag` decides; empty for those of which none does."""
        return self.tags[tag].image if tag in self.tags else self.heptapod_runner_main_image

    @property
    def images(self) -> Sequence[str]:
        """All that hosts may have, each once, the section's own first."""
        return list(dict.fromkeys(map(self.image_for, ("", *self.tags))))

    def problems(self) -> Iterable[tuple[str, str]]:
        if self.host is None and self.docker_cert_path:
            yield "docker_cert_path", "needs `host`"
        if self.host is not None and self.docker_cert_path and not self.host.startswith("tcp://"):
            yield "docker_cert_path", "is for tcp:// only"
        if self.docker_socket and not self.docker_socket.is_absolute():
            yield "docker_socket", "must be an absolute path"
        if self.docker_network is not None and not _NETWORK.fullmatch(self.docker_network):
            yield "docker_network", "is no name of a network"
        if not _IMAGE.fullmatch(self.heptapod_runner_main_image):
            yield "heptapod_runner_main_image", "is no image name"


def address(settings: LocalDockerSettings, environ: Mapping[str, str]) -> Address:
    """The engine of one section; raises `RunnerError` when that is nowhere.

    `host` comes with its own keys, $DOCKER_HOST with its own variables.
    """
    if settings.host is not None:
        found, source = Address(url=settings.host, certificates=settings.docker_cert_path), "`host`"
        found = attrs.evolve(found, verify=settings.docker_tls_verify)
    elif environ.get("DOCKER_HOST"):
        found, source = address_from(environ), "$DOCKER_HOST"
        if not environ.get("DOCKER_TLS_VERIFY"):  # without it the docker program shows no certificates
            found = attrs.evolve(found, certificates=None)
    else:
        found, source = Address(), "the standard socket"
    if _socket_of(found) is None:
        raise RunnerError(f"{source} is no engine: unix:///path/of/socket or tcp://name:port is needed")
    for file in found.files:
        if not file.is_file():
            raise RunnerError(f"{source} wants TLS, but there is no file {file}")
    return attrs.evolve(found, names=_NAMES)


def host_socket(settings: LocalDockerSettings, engine: Address) -> Path:
    """The socket on the engine's own machine that hosts get."""
    return settings.docker_socket or _socket_of(engine) or STANDARD_SOCKET


def _socket_of(engine: Address) -> Path | None:
    """Of an engine here its own, of one elsewhere the usual one; None for what is no address."""
    if engine.url.startswith("unix:///"):
        path = engine.url.removeprefix("unix://")
        return Path(path) if path.isprintable() else None
    try:
        parsed(engine.url, ("tcp",))
    except AddressError:
        return None
    return STANDARD_SOCKET
