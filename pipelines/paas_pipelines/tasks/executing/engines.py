"""An executor's settings as a place for containers: `docker` and `kubernetes`, each opened once.

The configuration of whoever runs the server is read where a setting names a context, and never written: the
credentials and helpers of an executor are a configuration of their own.
"""

import base64
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from paas_pipelines.credentials.vault import CredentialError
from paas_pipelines.definitions.automation import ExecutorDefinition, FromCredential
from paas_pipelines.tasks.checkout import Reveal
from paas_pipelines.tasks.executing.containers import BadExecutorError, Opened
from paas_pipelines.tasks.executing.transfer import Parcels, Transfer
from paas_pipelines.tasks.files import RunFiles
from paas_pipelines.tasks.workspace import Workspaces
from paas_runner.errors import RunnerError

if TYPE_CHECKING:  # what speaks to engines is large, and imported where there is one
    from paas_runner.docker.engine import Address
    from paas_runner.docker.registries import RegistryLogin

_PROXIES = {"httpProxy": "HTTP_PROXY", "httpsProxy": "HTTPS_PROXY", "noProxy": "NO_PROXY"} | {
    "ftpProxy": "FTP_PROXY",
    "allProxy": "ALL_PROXY",
}
"""Keys of `proxies.default`, and the variables that containers get by them (docs.docker.com, "proxy")."""


@attrs.define(kw_only=True)
class Engines:
    """All that executors have opened; to be closed at the end."""

    files: RunFiles | None
    workspaces: Workspaces
    environ: Mapping[str, str] = attrs.field(factory=lambda: dict(os.environ), repr=False)
    reveal: Reveal | None = None
    """The value of a credential that a setting names."""

    pause: float = 1.0
    """In seconds, between two looks at a cluster."""

    _open: dict[str, Opened] = attrs.field(init=False, factory=dict)
    _closing: list[Callable[[], Awaitable[None]]] = attrs.field(init=False, factory=list)

    async def opened(self, executor: ExecutorDefinition) -> Opened:
        """Raises `BadExecutorError`."""
        key = json.dumps([executor.type, _plain(executor.settings)], sort_keys=True, default=str)
        if key not in self._open:
            try:
                made = self._docker if executor.type == "docker" else self._kubernetes
                self._open[key] = await made(executor.settings)
            except (CredentialError, RunnerError, ValueError, OSError) as error:
                raise BadExecutorError(f"its executor cannot be used: {error}") from None
        return self._open[key]

    async def aclose(self) -> None:
        while self._closing:
            await self._closing.pop()()

    async def _docker(self, settings: Mapping[str, Any]) -> Opened:
        from paas_runner.docker.engine import UNBOUNDED, Engine
        from paas_runner.docker.place import DockerPlace
        from paas_runner.docker.registries import own_login

        engine = Engine(self._address(settings), calls_at_once=UNBOUNDED)
        self._closing.append(engine.aclose)
        configuration = dict(settings.get("config.json") or {})
        if login := settings.get("login"):
            configuration |= await self._login(login, str(settings.get("image") or ""))
        place = DockerPlace(engine, login=_login_of(configuration) if configuration else own_login)
        default = (configuration.get("proxies") or {}).get("default") or {}
        proxies = {
            spelled: str(default[key])
            for key, name in _PROXIES.items()
            if default.get(key)
            for spelled in (name, name.lower())
        }
        return Opened(
            containers=place,
            image=str(settings.get("image") or ""),
            volumes=tuple(_volume(each) for each in settings.get("volumes") or ()),
            environment=proxies,
            platform=str(settings.get("platform") or ""),
            transfer=Transfer(place=place, files=self.files, workspaces=self.workspaces),
        )

    def _address(self, settings: Mapping[str, Any]) -> "Address":
        """The `host`, the `context`, or else what $DOCKER_HOST and $DOCKER_CONTEXT say."""
        from paas_runner.docker.engine import address_from

        host = settings.get("host")
        context = settings.get("context") or (not host and self.environ.get("DOCKER_CONTEXT"))
        if host:
            address = address_from({**self.environ, "DOCKER_HOST": str(host)})
        elif context and context != "default":
            address = context_address(self._docker_folder, str(context))
        else:
            address = address_from(self.environ)
        return attrs.evolve(address, proxies=_proxies(address.url, settings))

    @property
    def _docker_folder(self) -> Path:
        given = self.environ.get("DOCKER_CONFIG")
        return Path(given) if given else Path(self.environ.get("HOME", "/"), ".docker")

    async def _login(self, login: Mapping[str, Any], image: str) -> dict[str, Any]:
        """As keys of `config.json`."""
        from paas_runner.docker.registries import registry_of

        found: dict[str, Any] = {key: login[key] for key in ("credsStore", "credHelpers") if login.get(key)}
        if login.get("username"):
            username, password = [await self._text(login.get(key)) for key in ("username", "password")]
            auth = {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}
            registry = registry_of(image)
            name = "https://index.docker.io/v1/" if registry == "docker.io" else registry
            found["auths"] = {name: auth}
        return found

    async def _text(self, value: Any) -> str:
        """A setting, which may be a credential; raises `BadExecutorError`."""
        if not isinstance(value, Mapping):
            return str(value or "")
        if self.reveal is None:
            raise BadExecutorError("this server has no credentials")
        named = FromCredential(name=str(value.get("from_credential")), field=str(value.get("field") or ""))
        return (await self.reveal(named)).reveal()

    async def _kubernetes(self, settings: Mapping[str, Any]) -> Opened:
        from paas_runner.http import Http
        from paas_runner.kubernetes.api import Cluster
        from paas_runner.kubernetes.config import load
        from paas_runner.kubernetes.place import KubernetesPlace

        kubeconfig = settings.get("kubeconfig")
        configuration = load(self.environ, kubeconfig=Path(kubeconfig) if kubeconfig else None)
        cluster = Cluster(configuration, Http(), namespace=settings.get("namespace") or None)
        self._closing.append(cluster.aclose)
        account = str(settings.get("service_account") or "")
        place = KubernetesPlace(cluster, service_account=account, pause=self.pause)
        return Opened(
            containers=place,
            image=str(settings.get("image") or ""),
            parcels=Parcels(place=place, files=self.files, workspaces=self.workspaces),
        )


def context_address(folder: Path, name: str) -> "Address":
    """The engine of a context of the program `docker`; raises ValueError."""
    from paas_runner.docker.engine import Address

    digest = hashlib.sha256(name.encode()).hexdigest()
    try:
        told = json.loads((folder / "contexts" / "meta" / digest / "meta.json").read_text())
        endpoint = told["Endpoints"]["docker"]
        url, verify = str(endpoint["Host"]), not endpoint.get("SkipTLSVerify")
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f'there is no Docker context "{name}" below {folder}') from None
    certificates = folder / "contexts" / "tls" / digest / "docker"
    return Address(url=url, certificates=certificates if certificates.is_dir() else None, verify=verify)


def _proxies(url: str, settings: Mapping[str, Any]) -> Mapping[str, str]:
    """By which the engine is reached, where it is reached over TCP and not excepted."""
    parts = urlsplit(url)
    excepted = [each.strip().lstrip("*.") for each in str(settings.get("no_proxy") or "").split(",")]
    host = parts.hostname or ""
    direct = any(each and (host == each or host.endswith(f".{each}")) for each in excepted)
    if parts.scheme not in ("tcp", "http", "https") or direct:
        return {}
    given = {"http": settings.get("http_proxy"), "https": settings.get("https_proxy")}
    return {scheme: str(proxy) for scheme, proxy in given.items() if proxy}


def _login_of(configuration: Mapping[str, Any]) -> "Callable[[str], RegistryLogin | None]":
    from paas_runner.docker.registries import login_in

    text = json.dumps({key: value for key, value in configuration.items() if key != "proxies"})
    return lambda registry: login_in(text, registry)


def _volume(given: Any) -> str:
    """As `docker run --volume` takes it; raises ValueError."""
    if isinstance(given, str):
        return given
    try:
        return f"{given['name']}:{given['path']}{':ro' if given.get('read_only') else ''}"
    except (KeyError, TypeError, AttributeError):
        raise ValueError("a volume needs `name` and `path`") from None


def _plain(value: Any) -> Any:
    """Mappings of any kind as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
