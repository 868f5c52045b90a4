"""One mapping of a kubeconfig file, read strictly: each complaint names the file and the key."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from paas_runner.errors import Exit, RunnerError


class KubeconfigError(RunnerError):
    """It cannot be told where the cluster is, or who we are; the text quotes no credential."""

    exit_code = Exit.CONFIG


@attrs.frozen
class Entry:
    """`where` is its place in the file; what is absent or null is empty."""

    file: Path
    where: str
    values: Mapping[str, Any] = attrs.field(repr=False)

    def wrong(self, key: str, text: str) -> KubeconfigError:
        """To be raised: what is wrong with a key."""
        place = ".".join(filter(None, (self.where, key)))
        return KubeconfigError(f"{self.file}: {place}: {text}")

    def has(self, key: str) -> bool:
        return bool(self.values.get(key))

    def text(self, key: str) -> str:
        return self._typed(key, str, "a text") or ""

    def required(self, key: str) -> str:
        """A text that must not be empty."""
        if not (found := self.text(key)):
            raise self.wrong(key, "is missing")
        return found

    def flag(self, key: str) -> bool:
        return bool(self._typed(key, bool, "true or false"))

    def texts(self, key: str) -> Sequence[str]:
        found = self._typed(key, list, "a list of texts") or []
        if not all(isinstance(each, str) for each in found):
            raise self.wrong(key, "must be a list of texts")
        return found

    def part(self, key: str, where: str) -> "Entry":
        """A mapping in it, whose place is `where`."""
        return Entry(self.file, where, self._typed(key, dict, "a mapping") or {})

    def entries(self, key: str) -> Iterator["Entry"]:
        """The mappings of a list."""
        for number, each in enumerate(self._typed(key, list, "a list") or []):
            where = ".".join(filter(None, (self.where, f"{key}[{number}]")))
            if not isinstance(each, dict):
                raise KubeconfigError(f"{self.file}: {where}: must be a mapping")
            yield Entry(self.file, where, each)

    def path(self, key: str) -> Path | None:
        """Of a file, relative to the folder of this one."""
        return self.file.parent / self.text(key) if self.text(key) else None

    def content(self, key: str) -> str:
        """Of a file, or what `<key>-data` has of it in base64, which goes before."""
        if data := self.text(f"{key}-data"):
            try:
                return base64.b64decode(data, validate=True).decode()
            except (binascii.Error, ValueError):
                raise self.wrong(f"{key}-data", "is no text in base64") from None
        if path := self.path(key):
            try:
                return path.read_text()
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else "is no text"
                raise self.wrong(key, f"{path}: {reason}") from None
        return ""

    def address(self, key: str, schemes: Sequence[str]) -> str:
        """An address with a host, without a slash at its end."""
        address = self.required(key)
        try:
            parts = urlsplit(address)
            fine = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            fine = False
        if not fine:
            raise self.wrong(key, f"an address that begins with {' or '.join(schemes)}:// is needed")
        return address.rstrip("/")

    def _typed(self, key: str, kind: type, expected: str) -> Any:
        found = self.values.get(key)
        if found is not None and not isinstance(found, kind):
            raise self.wrong(key, f"must be {expected}")
        return found
