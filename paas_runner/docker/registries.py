"""Images and their registries: credentials in Docker's own formats, and the pull itself."""

import enum
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from docker.auth import AuthConfig, load_config, resolve_repository_name
from docker.errors import DockerException
from docker.utils import parse_repository_tag
from docker.utils.config import find_config_file

from paas_runner.docker.engine import Client
from paas_runner.errors import Transient

RegistryLogin: TypeAlias = Mapping[str, Any]
"""What the SDK sends to the engine for a registry; holds a password."""


class PullPolicy(enum.StrEnum):
    """Whether an image is fetched, or looked for on the engine."""

    ALWAYS = "always"
    IF_NOT_PRESENT = "if-not-present"
    NEVER = "never"


def registry_of(image: str) -> str:
    """The host of an image's registry; raises ValueError for what is no name of an image."""
    try:
        registry, _ = resolve_repository_name(image)
    except (DockerException, IndexError) as error:
        raise ValueError(str(error)) from error
    return str(registry)


def own_login(registry: str) -> RegistryLogin | None:
    """From `config.json` in `$DOCKER_CONFIG` or `~/.docker`, with its helpers.

    Raises ValueError, as `login_in` and `login_among` do, for what cannot be read; its text may have a
    password in it.
    """
    return _resolved(load_config, registry)


def own_login_files() -> tuple[Path, ...]:
    """Where that is, if it is anywhere."""
    found = find_config_file()
    return (Path(str(found)),) if found else ()


def login_in(text: str, registry: str) -> RegistryLogin | None:
    """From a text in the format of `config.json`."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("an object was expected")
    return _resolved(lambda: load_config(config_dict=found) if found else AuthConfig({}), registry)


def login_among(logins: Iterable[Mapping[str, Any]], registry: str) -> RegistryLogin | None:
    """From entries with `url`, `username` and `password`."""
    auths = {
        str(entry.get("url")): {
            "username": entry.get("username"),
            "password": entry.get("password"),
            "serveraddress": entry.get("url"),
        }
        for entry in logins
    }
    return _resolved(lambda: AuthConfig({"auths": auths}), registry)


def _resolved(load: Callable[[], AuthConfig], registry: str) -> RegistryLogin | None:
    try:
        found: RegistryLogin | None = load().resolve_authconfig(registry)
    except (DockerException, TypeError, AttributeError, KeyError) as error:
        raise ValueError(str(error)) from error
    return found


def pull(client: Client, image: str, *, login: RegistryLogin | None, platform: str) -> None:
    """Fetch an image, which may take as long as it takes.

    Raises `Transient` for what goes wrong on the way, with the engine's own words: they do not say whether
    the registry would answer otherwise a little later.
    """
    repository, tag = parse_repository_tag(image)
    for step in client.pull(
        repository,
        tag=tag or "latest",
        stream=True,
        decode=True,
        auth_config=dict(login) if login else {},
        platform=platform or None,
    ):
        if "error" in step:
            raise Transient(str(step["error"]), service="Docker engine", op=f"pull {image}")
