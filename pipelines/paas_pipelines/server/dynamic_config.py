"""The secret with which tokens are signed: given, else of the dynamic configuration, which is made (§5).

An embedding application reads the same file. Two servers that start at once find one file, whole.
"""

import os
import secrets
import string
import tempfile
import time
from pathlib import Path

import structlog
import yaml

from paas_pipelines.api.access import signed_token
from paas_pipelines.server.settings import Settings
from paas_runner.errors import Exit, RunnerError
from paas_runner.logs import redactor
from paas_runner.secret import Secret

FEWEST_CHARACTERS = 16
_LENGTH = 32

log = structlog.stdlib.get_logger(__name__)


class SecretError(RunnerError):
    """There is no secret that can be used."""

    exit_code = Exit.CONFIG


def secret_of(settings: Settings) -> Secret:
    """The one that is given, else that of the file, which is made if need be; raises `SecretError`."""
    if settings.jwt_secret and settings.jwt_secret.reveal():
        return _checked(settings.jwt_secret.reveal(), "invalid CLI config")
    try:
        if not settings.config.exists():
            _create(settings.config)
        text = settings.config.read_text()
        if settings.config.stat().st_mode & 0o004:
            log.warning("everybody on this machine can read the secret", file=str(settings.config))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text in UTF-8"
        raise SecretError(f"config file {settings.config}: {reason}") from error
    return _checked(_jwt_secret(text, settings.config), f"invalid config: {settings.config}")


def shown_token(settings: Settings, *, minimal: bool) -> str:
    """What `debug` prints: a token without an end, or, if not `minimal`, how to use it."""
    token = signed_token(secret_of(settings), {"iat": int(time.time())})
    if minimal:
        return f"Bearer {token}"
    return f"Send the following HTTP header for JWT authorization:\n    Authorization: Bearer {token}"


def _checked(text: str, where: str) -> Secret:
    if not text:
        raise SecretError(f"{where}: missing jwt_secret")
    if len(text.encode()) < FEWEST_CHARACTERS:
        raise SecretError(f"{where}: jwt_secret must be at least {FEWEST_CHARACTERS} characters long")
    secret = Secret(text)
    redactor.add([secret])
    return secret


def _jwt_secret(text: str, path: Path) -> str:
    """With nothing of the file in what is raised."""
    try:
        read = yaml.load(text, Loader=yaml.BaseLoader) or {}  # noqa: S506 - texts alone, whatever they look like
    except yaml.YAMLError:
        raise SecretError(f"decoding config: {path} is no YAML") from None
    found = read.get("jwt_secret", "") if isinstance(read, dict) else None
    if not isinstance(found, str):
        raise SecretError(f"decoding config: {path} is no mapping with a text as jwt_secret")
    return found


def _create(path: Path) -> None:
    """Whole or not at all, and never in place of a file that another server has made meanwhile."""
    alphabet = string.ascii_letters + string.digits
    secret = "".join(secrets.choice(alphabet) for _ in range(_LENGTH))
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"jwt_secret: {secret}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(made, path)
            log.info("a config with a new secret was made", file=str(path))
        except FileExistsError:
            return
    finally:
        Path(made).unlink()
