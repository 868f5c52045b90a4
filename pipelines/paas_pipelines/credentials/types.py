"""The types of credentials: settings classes, from which both the TOML and the API know their fields."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import attrs

from paas_pipelines.credentials.plugged import PluggedCredential
from paas_runner.secret import Secret
from paas_runner.setting_types import SecretText
from paas_runner.settings import Key, declared, setting


@attrs.frozen(kw_only=True)
class Text:
    """One value."""

    value: Secret = setting("The value.")


@attrs.frozen(kw_only=True)
class UsernamePassword:
    """An account."""

    username: str = setting("The account's name.")
    password: Secret = setting("Its password.")


@attrs.frozen(kw_only=True)
class Ssh:
    """A key for SSH."""

    username: str = setting("As whom to log in.", default="")
    private_key: SecretText = setting("The private key, in PEM.")
    passphrase: Secret | None = setting("What the key is encrypted with.", default=None)


@attrs.frozen(kw_only=True)
class File:
    """Text of any length, with line breaks."""

    content: SecretText = setting("What the file has.")


@attrs.frozen(kw_only=True)
class Docker:
    """A log-in at a registry of images."""

    registry: str = setting("The registry's host, as images name it.")
    username: str = setting("The account's name (AWS ECR: AWS).", default="")
    password: Secret | None = setting("Its password.", default=None)
    command: Sequence[str] = setting(
        "Instead: a program and its arguments that prints the password: `aws ecr get-login-password`.",
        default=(),
    )
    timeout: timedelta = setting("How long the program may take.", default=timedelta(seconds=30), minimum=1)
    lifetime: timedelta = setting(
        "For how long what it printed is used again.", default=timedelta(minutes=10), minimum=0
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What contradicts."""
        if bool(self.password) == bool(self.command):
            yield "password", "needs either `password` or `command`"
        yield from _program_problems(self.command)


@attrs.frozen(kw_only=True)
class Exec:
    """A value that a program prints."""

    command: Sequence[str] = setting("The program and its arguments; the first is an absolute path.")
    timeout: timedelta = setting("How long the program may take.", default=timedelta(seconds=30), minimum=1)
    lifetime: timedelta = setting(
        "For how long what it printed is used again.", default=timedelta(), minimum=0
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What contradicts."""
        if not self.command:
            yield "command", "needs a program"
        yield from _program_problems(self.command)


@attrs.frozen(kw_only=True)
class OidcClient:
    """What this server, or a task, is to an OpenID provider."""

    issuer: str = setting("The provider's address.")
    client_id: str = setting("Its name for the client.")
    client_secret: Secret = setting("What the client shows.")


@attrs.frozen(kw_only=True)
class GithubOauth:
    """An OAuth application of GitHub."""

    client_id: str = setting("GitHub's name for the application.")
    client_secret: Secret = setting("What the application shows.")


TYPES: Mapping[str, type[Any]] = {
    "text": Text,
    "username_password": UsernamePassword,
    "ssh": Ssh,
    "file": File,
    "docker": Docker,
    "exec": Exec,
    "oidc": OidcClient,
    "github_oauth": GithubOauth,
}
ONLY_IN_TOML = frozenset({"exec"})
"""Whoever could store one by the API could run any program."""

VALUE = "value"
"""The field that a program prints, of `exec`."""

CONFIG = "config"
"""The field of `docker` that is a whole `config.json`."""

_MAIN = {
    "text": VALUE,
    "username_password": "password",
    "ssh": "private_key",
    "file": "content",
    "docker": "password",
    "exec": VALUE,
    "oidc": "client_secret",
    "github_oauth": "client_secret",
}
_NOT_FIELDS = frozenset({"command", "timeout", "lifetime"})


def main_field(type_name: str) -> str:
    """The field that is meant where none is named."""
    return _MAIN[type_name]


def type_of(instance: Any) -> str:
    """The type's name of an instance of one of these classes, or of a plug-in's."""
    if isinstance(instance, PluggedCredential):
        return instance.type
    return next(name for name, cls in TYPES.items() if cls is type(instance))


def keys_by_name(type_name: str) -> Mapping[str, Key]:
    """What one of the type is given."""
    return {key.written: key for key in declared(TYPES[type_name])}


def fields_of(type_name: str) -> Sequence[str]:
    """What tasks may be given of one."""
    found = [name for name in keys_by_name(type_name) if name not in _NOT_FIELDS]
    return [*found, *({"exec": [VALUE], "docker": [CONFIG]}.get(type_name, []))]


def fields_of_one(instance: Any) -> Sequence[str]:
    """What tasks may be given of that one."""
    return instance.fields if isinstance(instance, PluggedCredential) else fields_of(type_of(instance))


def is_secret(type_name: str, field: str) -> bool:
    """Whether a field's value is hidden wherever it appears; names of accounts are not."""
    key = keys_by_name(type_name).get(field)
    return key is None or key.kind in (Secret, SecretText)


def docker_config(registry: str, username: str, password: str) -> str:
    """A `config.json` with one log-in."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return json.dumps({"auths": {registry: {"auth": pair}}})


def _program_problems(command: Sequence[str]) -> Iterator[tuple[str, str]]:
    if command and not command[0].startswith("/"):
        yield "command", "begins with no absolute path of a program"
