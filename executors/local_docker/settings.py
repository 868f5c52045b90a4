"""The keys that `executor = "local-docker"` adds to a `[[runners]]` section.

Where the engine is, from the settings or from the environment that Docker's own programs read.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from paas_runner.errors import RunnerError
from paas_runner.settings import setting

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

    def problems(self) -> Iterable[tuple[str, str]]:
        """Contradictions between keys."""
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


STANDARD_SOCKET = Path("/var/run/docker.sock")
_CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")


@attrs.frozen(kw_only=True)
class Address:
    """How to reach an engine, and the socket on its machine by which hosts reach it."""

    url: str
    certificates: Path | None = None
    verify: bool = True
    socket: Path = STANDARD_SOCKET

    @property
    def ca_file(self) -> str:
        """The authority of the engine's certificate."""
        return self._file(0)

    @property
    def client_files(self) -> tuple[str, str]:
        """Our certificate and its key."""
        return self._file(1), self._file(2)

    def _file(self, number: int) -> str:
        return str((self.certificates or Path()) / _CERTIFICATES[number])


def address(settings: LocalDockerSettings, environ: Mapping[str, str]) -> Address:
    """The engine of one section; raises `RunnerError` when that is nowhere."""
    found, source = _told(settings, environ)
    parts = urlsplit(found.url)
    if parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc:
        socket = Path(parts.path)
    elif parts.scheme == "tcp" and parts.hostname and not parts.username:
        socket = STANDARD_SOCKET
    else:
        raise RunnerError(f"{source} is no engine: unix:///path/of/socket or tcp://name:port is needed")
    for name in _CERTIFICATES if found.certificates else ():
        file = Path(found.certificates or "") / name
        if not file.is_file():
            raise RunnerError(f"{source} wants TLS, but there is no file {file}")
    return attrs.evolve(found, socket=settings.docker_socket or socket)


def _told(settings: LocalDockerSettings, environ: Mapping[str, str]) -> tuple[Address, str]:
    """`host` comes with its own keys, $DOCKER_HOST with its own variables."""
    if settings.host is not None:
        given = Address(
            url=settings.host, certificates=settings.docker_cert_path, verify=settings.docker_tls_verify
        )
        return given, "`host`"
    if url := environ.get("DOCKER_HOST"):
        folder = environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker"
        certificates = Path(folder) if environ.get("DOCKER_TLS_VERIFY") else None
        return Address(url=url, certificates=certificates), "$DOCKER_HOST"
    return Address(url=f"unix://{STANDARD_SOCKET}"), "the standard socket"
