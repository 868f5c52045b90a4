"""The keys that `executor = "local-docker"` adds to a `[[runners]]` section."""

import re
from collections.abc import Iterable
from pathlib import Path

import attrs

from paas_runner.executor import setting

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
