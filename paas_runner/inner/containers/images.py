"""Getting a job's images onto the engine: policies, credentials, and what the trace has of it.

A registry is shown the first credentials that are for it (spec gitlab-runner-api.md §10.6); they are only
looked into when an image is fetched.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from paas_runner.docker.engine import Engine
from paas_runner.docker.errors import AbsentError
from paas_runner.docker.labels import JOB
from paas_runner.docker.registries import (
    PullPolicy,
    RegistryLogin,
    login_among,
    login_in,
    own_login,
    pull,
    registry_of,
)
from paas_runner.errors import RemoteError
from paas_runner.inner.containers.settings import DockerSettings, read_policies
from paas_runner.inner.ending import Reason, StageError, broken
from paas_runner.inner.files.globs import GlobError, parse
from paas_runner.inner.job import Job, mappings
from paas_runner.inner.trace import Narrator
from paas_runner.job.images import InvalidReferenceError, is_image_id
from paas_runner.job.images import parse as parse_reference

_LOGINS_VARIABLE = "DOCKER_AUTH_CONFIG"


class CredentialsError(ValueError):
    """Credentials that cannot be read, or a name without a registry; the text has nothing secret."""


@attrs.frozen(kw_only=True)
class Login:
    """Credentials, and where they come from."""

    source: str
    configuration: RegistryLogin = attrs.field(repr=False)


@attrs.frozen
class Credentials:
    """All that a job can show to registries."""

    _job: Job

    def of(self, image: str) -> Login | None:
        """What the registry of an image is to be shown; raises `CredentialsError`."""
        try:
            registry = registry_of(image)
        except ValueError as error:
            raise CredentialsError(str(error)) from None
        for source, find in self._sources():
            try:
                found = find(registry)
            except ValueError:
                raise CredentialsError(f"the credentials in {source} cannot be read") from None
            if found:
                return Login(source=source, configuration=found)
        return None

    def _sources(self) -> Iterator[tuple[str, Callable[[str], RegistryLogin | None]]]:
        if text := self._job.variables.get(_LOGINS_VARIABLE):
            yield f"${_LOGINS_VARIABLE}", lambda registry: login_in(text, registry)
        yield "the runner's own Docker configuration", own_login
        entries = mappings(self._job.payload.raw.get("credentials"))
        logins = [entry for entry in entries if entry.get("type") == "registry"]
        yield "the job's payload", lambda registry: login_among(logins, registry)


@attrs.frozen(kw_only=True)
class Image:
    """An image on the engine."""

    ref: str
    user: str
    """As which its programs run, unless another is asked for; empty for root."""

    ports: tuple[int, ...]
    """Where services of it may be reached by TCP."""


@attrs.frozen(kw_only=True)
class Images:
    """Those of one job."""

    engine: Engine
    settings: DockerSettings
    credentials: Credentials
    narrator: Narrator
    own: str = ""
    """The id of that which the runner's own container was made of, if it is in one."""

    async def get(self, name: str, wanted: object, *, platform: str = "") -> Image:
        """The image of that name, as the first policy that succeeds gives it.

        `wanted` is the `pull_policy` in the payload. Raises `StageError`.
        """
        policies = self._policies(wanted)
        why = ""
        for number, policy in enumerate(policies, start=1):
            if number > 1:
                self.narrator.notice(f'Attempt #{number}: Trying "{policy}" pull policy')
            try:
                return await self._by(policy, name, platform)
            except (RemoteError, CredentialsError) as error:
                why = error.text if isinstance(error, RemoteError) else str(error)
                self.narrator.warning(f'Failed to pull image with policy "{policy}": {why}')
        shown = " ".join(policies)
        text = f'failed to pull image "{name}" with specified policies [{shown}]: {why}'
        raise StageError(broken(text, Reason.IMAGE_PULL))

    def _policies(self, wanted: object) -> Sequence[PullPolicy]:
        """Those of the job that the configuration allows, in the job's order."""
        if not wanted:
            return self.settings.pull_policies
        found = read_policies(wanted if isinstance(wanted, list) else [wanted], "`pull_policy`")
        allowed = [policy for policy in found if policy in self.settings.allowed_pull_policies]
        if not allowed:
            theirs, ours = " ".join(found), " ".join(self.settings.allowed_pull_policies)
            text = f"the job's pull policies [{theirs}] are not allowed by this runner, which allows [{ours}]"
            raise StageError(broken(text, Reason.CONFIGURATION))
        return allowed

    async def _by(self, policy: PullPolicy, name: str, platform: str) -> Image:
        match policy:
            case PullPolicy.ALWAYS:
                return await self._pulled(name, platform)
            case PullPolicy.NEVER:
                return await self._present(name)
            case PullPolicy.IF_NOT_PRESENT:
                try:
                    found = await self._present(name)
                except AbsentError:
                    return await self._pulled(name, platform)
                self.narrator.line('Using locally found image version due to "if-not-present" pull policy')
                return found

    async def _pulled(self, name: str, platform: str) -> Image:
        login = self.credentials.of(name)
        if login:
            self.narrator.line(f"Authenticating with credentials from {login.source}")
        self.narrator.line(f"Pulling docker image {name} ...")
        configuration = login.configuration if login else None
        await self.engine.call(
            f"pull {name}", lambda client: pull(client, name, login=configuration, platform=platform)
        )
        return await self._present(name)

    async def _present(self, name: str) -> Image:
        _check_name(name)
        found = await self.engine.call(f"look for {name}", lambda client: client.inspect_image(name))
        self._check_whose(name, found)
        digests = found.get("RepoDigests") or ()
        exactly = f" with digest {digests[0]}" if digests else ""
        self.narrator.line(f"Using docker image {found['Id']} for {name}{exactly} ...")
        return _image(found)

    def _check_whose(self, name: str, found: Mapping[str, Any]) -> None:
        """Raise `StageError` for the image of a host: files of its owner are in it."""
        labels = (found.get("Config") or {}).get("Labels") or {}
        if found["Id"] == self.own or JOB in labels:
            text = f'the image "{name}" is that of a host, with files of its owner: no job may use it'
            raise StageError(broken(text, Reason.CONFIGURATION))


def _check_name(name: str) -> None:
    """Raise `CredentialsError` for what the engine could take for anything else than an image."""
    if is_image_id(name):
        return
    try:
        parse_reference(name)
    except InvalidReferenceError as error:
        raise CredentialsError(f"it is no image name: {error}") from None


def check_allowed(name: str, patterns: Sequence[str], always: Sequence[str], what: str) -> None:
    """Raise `StageError` for an image that the runner's configuration does not allow.

    `always` are the names in that configuration itself.
    """
    if not patterns or name in always:
        return
    try:
        if any(parse(pattern).matches(name) for pattern in patterns):
            return
    except GlobError as error:
        text = f"runner.toml: the patterns of allowed {what} cannot be read: {error}"
        raise StageError(broken(text, Reason.CONFIGURATION)) from None
    text = f'the image "{name}" is not among the {what} that this runner allows: {", ".join(patterns)}'
    raise StageError(broken(text, Reason.CONFIGURATION))


def _image(found: Mapping[str, Any]) -> Image:
    config = found.get("Config") or {}
    ports = (port.partition("/") for port in config.get("ExposedPorts") or ())
    return Image(
        ref=found["Id"],
        user=str(config.get("User") or ""),
        ports=tuple(sorted(int(number) for number, _, kind in ports if kind in ("", "tcp"))),
    )
