"""A cluster on a port of loopback, while its block lasts; with what clients need to reach it.

Without TLS kubectl does not show its token, so it wants a certificate; one is made by the program `openssl`.
"""

import asyncio
import base64
import contextlib
import os
import secrets
import ssl
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from paas_runner.errors import RunnerError
from paas_runner.sandbox.faults import FaultInjector, FaultPlan
from paas_runner.sandbox.kubernetes.api import create_app
from paas_runner.sandbox.kubernetes.cluster import Cluster
from paas_runner.sandbox.kubernetes.options import ClusterOptions
from paas_runner.sandbox.kubernetes.runtime import Runtime
from paas_runner.secret import Secret
from paas_runner.server.listening import Listener

_USER = "kubernetes-admin"


class KubernetesServer:
    """`async with KubernetesServer(runtime) as server:` serves a cluster; nothing is left afterwards."""

    cluster: Cluster
    token: Secret
    """Of an account that may do everything; `cluster.accounts` has more."""

    authority: Path | None = None
    """The certificate that clients have to trust, where there is TLS."""

    def __init__(self, runtime: Runtime, options: ClusterOptions | None = None, *, tls: bool = False) -> None:
        self._runtime = runtime
        self._options = options or ClusterOptions()
        self._tls = tls
        self._stack = contextlib.AsyncExitStack()
        self.faults = FaultPlan()

    async def __aenter__(self) -> Self:
        """Raises `RunnerError` where no certificate can be made."""
        try:
            folder = Path(
                self._stack.enter_context(tempfile.TemporaryDirectory(prefix="paas-runner-kubernetes-"))
            )
            context = await self._context(folder) if self._tls else None
            self.cluster = Cluster(
                clock=_now, rng=secrets.SystemRandom(), runtime=self._runtime, options=self._options
            )
            self._stack.push_async_callback(self.cluster.aclose)
            self.token = Secret(secrets.token_urlsafe(24))
            self.cluster.accounts.add(_USER, self.token)
            self._listener = Listener(FaultInjector(create_app(self.cluster), self.faults), context)
            await self._listener.start()
            self._stack.push_async_callback(self._listener.stop)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        return self._listener.url

    async def restart(self, outage_seconds: float = 0.0) -> None:
        """Cut all connections and listen again later; what runs goes on running."""
        await self._listener.stop()
        await asyncio.sleep(outage_seconds)
        await self._listener.start()

    def kubeconfig(self, *, namespace: str = "default", token: Secret | None = None) -> str:
        """What clients read; it contains the token."""
        data = self.authority and base64.b64encode(self.authority.read_bytes()).decode()
        cluster = {"server": self.url, **({"certificate-authority-data": data} if data else {})}
        context = {"cluster": "sandbox", "user": _USER, "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "sandbox", "cluster": cluster}],
            "users": [{"name": _USER, "user": {"token": (token or self.token).reveal()}}],
            "contexts": [{"name": "sandbox", "context": context}],
            "current-context": "sandbox",
        }
        return yaml.safe_dump(config, sort_keys=False)

    def write_kubeconfig(self, path: Path, **more: Any) -> None:
        """The same into a new file, readable by its owner alone; raises `OSError`."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self.kubeconfig(**more))

    async def _context(self, folder: Path) -> ssl.SSLContext:
        key, self.authority = folder / "key.pem", folder / "ca.pem"
        new = (
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
        )
        names = ("-subj", "/CN=sandbox", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        files = ("-keyout", str(key), "-out", str(self.authority))
        try:
            process = await asyncio.create_subprocess_exec(
                "openssl",
                *new,
                *names,
                *files,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            code = await process.wait()
        except OSError as error:
            raise RunnerError(f"the program `openssl` makes the certificate: {error}") from error
        if code:
            raise RunnerError(f"`openssl req -x509` made no certificate: it ended with exit code {code}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority, key)
        return context


def _now() -> datetime:
    return datetime.now(UTC)
