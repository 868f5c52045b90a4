"""Where the engine is, from the settings or from the environment that Docker's own programs read."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from executors.local_docker.settings import LocalDockerSettings
from paas_runner.errors import RunnerError

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
