"""Where a secret of the configuration may stand instead of in it, and how it is fetched from there.

    secret:KEY        in the file that `secrets_file` names, a flat TOML table of texts (as in 1.1.1)
    env:NAME          in the environment
    file:PATH         in a file of its own, relative to the configuration
    credential:NAME   in systemd's $CREDENTIALS_DIRECTORY

No complaint repeats a value, nor what follows `secret:` or `env:`: it may be the secret, written there by
mistake. The complaint's line leads to it.
"""

import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import attrs

from paas_runner.database_url import DatabaseUrl
from paas_runner.setting_types import UnfitError, near

CREDENTIALS = "CREDENTIALS_DIRECTORY"

_REFERENCE = re.compile(r"(?P<kind>secret|env|file|credential):(?P<name>.*)", re.DOTALL)
_FOR_OTHERS = stat.S_IROTH | stat.S_IWOTH


class UnavailableError(UnfitError):
    """A reference leads to no usable secret; the text says why and what to do, never a value."""


@attrs.frozen(kw_only=True)
class SecretsFile:
    """The content of one `secrets_file`; `fault` instead of it when it cannot be used."""

    path: Path
    values: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    fault: str = ""


@attrs.frozen(kw_only=True)
class Surroundings:
    """What values may refer to: the environment, the folder of the configuration, the file of secrets."""

    environ: Mapping[str, str] = attrs.field(repr=False)
    folder: Path
    secrets_file: SecretsFile | None = None
    local_url: str | None = None
    """What `url = "local:"` stands for: the address of the pipelines server in whose process we are."""

    def dereferenced(self, raw: str) -> str | None:
        """What the reference leads to, None when `raw` is none; raises `UnavailableError`."""
        found = _REFERENCE.fullmatch(raw)
        if found is None:
            return None
        kind, name = found["kind"], found["name"]
        if not name.strip():
            raise UnavailableError(f"`{kind}:` is followed by no name")
        match kind:
            case "secret":
                value = self._from_secrets_file(name)
            case "env":
                value = self._from_environment(name)
            case "file":
                value = _content(self.folder / name)
            case _:
                value = self._credential(name)
        if not value:
            raise UnavailableError(f"what this `{kind}:` leads to is empty")
        return value

    def _from_secrets_file(self, key: str) -> str:
        if self.secrets_file is None:
            raise UnavailableError("`secret:` needs a `secrets_file`, in this section or globally")
        path, values = self.secrets_file.path, self.secrets_file.values
        if self.secrets_file.fault:
            raise UnavailableError(f"`secret:` needs {path}, which cannot be used")
        if key not in values:
            known = ", ".join(sorted(values)) or "none"
            raise UnavailableError(f"names a key that is not in {path}; keys there: {known}")
        value = values[key]
        if not isinstance(value, str):
            raise UnavailableError(f"names a key that is no text in {path}")
        return value

    def _from_environment(self, name: str) -> str:
        if name not in self.environ:
            hint = near(name, self.environ)
            raise UnavailableError(f"names an environment variable that is not set{hint}")
        return self.environ[name]

    def _credential(self, name: str) -> str:
        folder = self.environ.get(CREDENTIALS)
        if not folder:
            raise UnavailableError(
                f"`credential:` needs ${CREDENTIALS}, which systemd sets for a unit with LoadCredential="
            )
        if "/" in name or name in (".", ".."):
            raise UnavailableError(
                "`credential:` is followed by a path; the name of a credential was expected"
            )
        return _content(Path(folder) / name)


def read_secrets_file(path: Path) -> SecretsFile:
    """The file, or what is wrong with it."""
    try:
        text = _content(path)
        return SecretsFile(path=path, values=tomllib.loads(text))
    except UnavailableError as error:
        return SecretsFile(path=path, fault=str(error))
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line (\d+)", str(error))
        place = f" (line {where[1]})" if where else ""
        return SecretsFile(path=path, fault=f"{path} is not valid TOML{place}")


def is_literal(raw: object) -> bool:
    """Whether a secret stands in the configuration itself."""
    return isinstance(raw, str) and not raw.startswith("$") and not _REFERENCE.fullmatch(raw)


def has_literal_password(raw: object, url: DatabaseUrl) -> bool:
    """Whether one of the passwords of an address does, of which the rest is no secret."""
    return is_literal(raw) and any(each.reveal() in unquote(str(raw)) for each in url.passwords)


def exposed(path: Path) -> str | None:
    """What is wrong with the mode of a file that holds secrets, and what to do; None when nothing is."""
    mode = path.stat().st_mode
    if mode & _FOR_OTHERS:
        return f"other users may open {path} (mode {stat.S_IMODE(mode):04o}): chmod 600 {path}"
    return None


def _content(path: Path) -> str:
    try:
        if not path.is_file():
            raise UnavailableError(f"{path} is no file{_near_file(path)}")
        complaint = exposed(path)
        text = path.read_bytes().decode()
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnavailableError(f"{path} is not UTF-8 text") from None
    if complaint:
        raise UnavailableError(complaint)
    return text.removesuffix("\n").removesuffix("\r")


def _near_file(path: Path) -> str:
    """Which file beside it may be meant; nothing where the folder shows none."""
    try:
        return near(path.name, [each.name for each in path.parent.iterdir() if each.is_file()])
    except OSError:
        return ""
