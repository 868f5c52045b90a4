"""Who we are at the cluster, at this moment: a token, or a certificate, which a program may give us.

Of such programs nothing but their answer is believed, which is kept until it expires or is refused
(`client.authentication.k8s.io`; kubernetes.io, "Authenticating", client-go credential plugins).
"""

import asyncio
import base64
import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from paas_runner.errors import Rejected, Transient
from paas_runner.kubernetes.config import Configuration, Plugin
from paas_runner.logs import redactor
from paas_runner.plain_text import one_line, printable, shortened
from paas_runner.secret import Secret

PLUGIN_SECONDS = 60.0
EARLY = timedelta(seconds=30)
"""So long before its end a credential is replaced."""

_OP = "show who we are"
_MOST_TOLD = 300
_SHORTEST_VALUE = 8
_HIDDEN = "[secret]"
_NAMED = re.compile(r"(?i)(?:token|password|passwd|secret|key)[\"']?\s*[=:]\s*\S+")
_LONG_WORD = re.compile(r"(?i)[a-z0-9+/=_~-]{20,}")
"""With a figure it may be a key, or a part of a JWT."""

_MOST_READ = 4096
_MOST_ANSWER = 1024 * 1024


@attrs.frozen(kw_only=True)
class Shown:
    """What goes with a call."""

    authorization: Secret | None = None
    identity: Secret | None = None
    """A certificate and its key, instead of the configuration's."""

    expires_at: datetime | None = None


class Credentials:
    """Those of one configuration."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        service: str,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`environ` is what a plugin's own environment begins with."""
        self._configuration = configuration
        self._user = configuration.user
        self._service = service
        self._environ = os.environ if environ is None else environ
        self._clock = clock
        self._kept: Shown | None = None
        self._asking = asyncio.Lock()

    async def current(self) -> Shown:
        """Raises `Transient` where a file or a plugin has nothing now, `Rejected` where it never will."""
        user = self._user
        if user.token_file:
            try:
                return _bearer(user.token_file.read_text().strip())
            except (OSError, ValueError) as error:  # being written, maybe
                reason = error.strerror if isinstance(error, OSError) else "has no token"
                raise self._error(Transient, f"{user.token_file}: {reason}") from None
        if user.token:
            return _bearer(user.token.reveal())
        if user.basic:
            name, password = user.basic
            words = base64.b64encode(f"{name}:{password.reveal()}".encode()).decode()
            return Shown(authorization=_hidden(f"Basic {words}"))
        return await self._by_plugin(user.plugin) if user.plugin else Shown()

    def refused(self, shown: Shown) -> bool:
        """The cluster did not take it; whether there may be another now."""
        if self._kept is shown:
            self._kept = None
        return bool(self._user.plugin or self._user.token_file)

    async def _by_plugin(self, plugin: Plugin) -> Shown:
        async with self._asking:
            kept = self._kept
            if kept is None or (kept.expires_at and kept.expires_at - EARLY <= self._clock()):
                kept = self._kept = self._read(plugin, await self._answer(plugin))
            return kept

    async def _answer(self, plugin: Plugin) -> bytes:
        environment = {
            **self._environ,
            **plugin.environment,
            "KUBERNETES_EXEC_INFO": json.dumps(self._told(plugin)),
        }
        try:
            process = await asyncio.create_subprocess_exec(
                plugin.command,
                *plugin.arguments,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_MOST_ANSWER,
            )
        except OSError as error:
            hint = one_line(plugin.hint)
            raise self._error(
                Rejected, f"{plugin.where}: {plugin.command} cannot be run: {error.strerror}", hint
            ) from error
        try:
            async with asyncio.timeout(PLUGIN_SECONDS):
                streams = filter(None, (process.stdout, process.stderr))
                answer, told = await asyncio.gather(*map(_beginning, streams))
                await process.wait()
        except TimeoutError as error:
            text = f"{plugin.where}: {plugin.command} has not ended within {PLUGIN_SECONDS:.0f} s"
            raise self._error(Transient, text) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            said = shortened(_without_secrets(told.decode(errors="replace"), plugin), _MOST_TOLD)
            text = f"{plugin.where}: {plugin.command} ended with exit code {process.returncode}: {said}"
            raise self._error(Transient, text)
        return answer

    def _told(self, plugin: Plugin) -> Mapping[str, Any]:
        spec: dict[str, Any] = {"interactive": False}
        if plugin.tells_cluster:
            tls = self._configuration.tls
            spec["cluster"] = {"server": self._configuration.server}
            if tls.authorities:
                data = base64.b64encode(tls.authorities.encode()).decode()
                spec["cluster"]["certificate-authority-data"] = data
            if tls.server_name:
                spec["cluster"]["tls-server-name"] = tls.server_name
            if not tls.verify:
                spec["cluster"]["insecure-skip-tls-verify"] = True
        return {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}

    def _read(self, plugin: Plugin, answer: bytes) -> Shown:
        try:
            told = json.loads(answer)
            status = told["status"]
            token, end = status.get("token"), status.get("expirationTimestamp")
            certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
            fitting = told["apiVersion"] == plugin.api_version and (token or (certificate and key))
            fitting = fitting and (not end or datetime.fromisoformat(end).tzinfo is not None)
            identity = _hidden(f"{certificate}\n{key}") if certificate else None
            expires_at = datetime.fromisoformat(end) if end else None
            authorization = _bearer(token).authorization if token else None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            fitting = False
        if not fitting:
            text = f"{plugin.where}: {plugin.command} gave no ExecCredential of {plugin.api_version}"
            raise self._error(Transient, text)
        return Shown(authorization=authorization, identity=identity, expires_at=expires_at)

    def _error(self, kind: type[Transient | Rejected], text: str, advice: str = "") -> Transient | Rejected:
        return kind(text, service=self._service, op=_OP, advice=advice)


async def _beginning(stream: asyncio.StreamReader) -> bytes:
    """What an answer may be; the rest is read, so that its writer goes on, and forgotten."""
    kept = bytearray()
    while piece := await stream.read(_MOST_ANSWER):
        kept += piece[: _MOST_ANSWER - len(kept)]
    return bytes(kept)


def _bearer(token: str) -> Shown:
    """Raises ValueError for what no header can have."""
    if not token or not token.isascii() or not token.isprintable():
        raise ValueError
    _hidden(token)
    return Shown(authorization=Secret(f"Bearer {token}"))


def _without_secrets(said: str, plugin: Plugin) -> str:
    """What a program says as it fails, without what looks like a credential: authors of jobs may read it."""
    said = redactor.text(one_line(printable(said[:_MOST_READ])))
    for given in sorted((*plugin.environment.values(), *plugin.arguments), key=len, reverse=True):
        value = given.partition("=")[2] or given
        said = said.replace(value, _HIDDEN) if len(value) >= _SHORTEST_VALUE else said
    said = _NAMED.sub(_HIDDEN, said)
    return _LONG_WORD.sub(lambda word: _HIDDEN if re.search("[0-9]", word[0]) else word[0], said)


def _hidden(text: str) -> Secret:
    redactor.add([Secret(text)])
    return Secret(text)
