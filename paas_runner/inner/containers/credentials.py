"""Which credentials a registry is shown: the first that are for it (spec gitlab-runner-api.md §10.6)."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs
from docker.auth import AuthConfig, load_config, resolve_repository_name
from docker.errors import DockerException

from paas_runner.inner.job import Job, mappings

VARIABLE = "DOCKER_AUTH_CONFIG"
AuthConfiguration: TypeAlias = Mapping[str, Any]
"""What the SDK sends to the engine for a registry; holds a password."""


class CredentialsError(ValueError):
    """A source of credentials that cannot be read; the text has nothing of what is in it."""


@attrs.frozen(kw_only=True)
class Login:
    """Credentials, and where they come from."""

    source: str
    configuration: AuthConfiguration = attrs.field(repr=False)


@attrs.frozen
class Credentials:
    """All that a job can show to registries; only looked into when an image is fetched."""

    _job: Job

    def of(self, image: str) -> Login | None:
        """What the registry of an image is to be shown; raises `CredentialsError`."""
        registry, _ = resolve_repository_name(image)
        for source, find in self._sources():
            try:
                found = find(registry)
            except (DockerException, ValueError, TypeError, AttributeError, KeyError):
                raise CredentialsError(f"the credentials in {source} cannot be read") from None
            if found:
                return Login(source=source, configuration=found)
        return None

    def _sources(self) -> Iterator[tuple[str, Callable[[str], AuthConfiguration | None]]]:
        if text := self._job.variables.get(VARIABLE):
            yield f"${VARIABLE}", functools.partial(_from_variable, text)
        yield "the runner's own Docker configuration", _from_own_configuration
        yield "the job's payload", self._from_payload

    def _from_payload(self, registry: str) -> AuthConfiguration | None:
        entries = mappings(self._job.payload.raw.get("credentials"))
        auths = {
            str(entry.get("url")): {
                "username": entry.get("username"),
                "password": entry.get("password"),
                "serveraddress": entry.get("url"),
            }
            for entry in entries
            if entry.get("type") == "registry"
        }
        return _resolved(AuthConfig({"auths": auths}), registry)


def _from_variable(text: str, registry: str) -> AuthConfiguration | None:
    """`text` has the format of Docker's `config.json`; raises ValueError."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("an object was expected")
    return _resolved(load_config(config_dict=found) if found else AuthConfig({}), registry)


def _from_own_configuration(registry: str) -> AuthConfiguration | None:
    """`config.json` in `$DOCKER_CONFIG` or `~/.docker`."""
    return _resolved(load_config(), registry)


def _resolved(configuration: AuthConfig, registry: str) -> AuthConfiguration | None:
    found: AuthConfiguration | None = configuration.resolve_authconfig(registry)
    return found
