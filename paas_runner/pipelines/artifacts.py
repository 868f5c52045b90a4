"""The files that jobs have uploaded, and the way they arrive."""

import hashlib
import re
from datetime import datetime

import attrs

from paas_runner.pipelines.spec import ARCHIVE
from paas_runner.secret import Secret

_BOUNDARY = re.compile(r'multipart/form-data;.*boundary="?([^";]{1,70})"?', re.IGNORECASE)
_FILENAME = re.compile(rb'filename="([^"\r\n]*)"', re.IGNORECASE)


@attrs.frozen(kw_only=True)
class Artifact:
    """One uploaded file (spec gitlab-runner-api.md §6.1)."""

    filename: str
    content: bytes = attrs.field(repr=False)
    kind: str = ARCHIVE
    form: str = "zip"
    expires_at: datetime | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()

    def available(self, now: datetime) -> bool:
        """Whether it is still there to be read."""
        return self.expires_at is None or now < self.expires_at


@attrs.frozen(kw_only=True)
class Dependency:
    """A job whose artifacts another gets, and the token that opens them."""

    job_id: int
    name: str
    token: Secret
    archive: Artifact | None
    """None when it left none, or they have expired."""


def uploaded_file(body: bytes, content_type: str) -> tuple[str, bytes] | None:
    """Name and content of the one file in a form; None for anything else."""
    found = _BOUNDARY.match(content_type)
    if found is None:
        return None
    delimiter = b"--" + found[1].encode("latin-1")
    head, separator, content = body.removeprefix(delimiter + b"\r\n").partition(b"\r\n\r\n")
    end = b"\r\n" + delimiter + b"--"
    name = _FILENAME.search(head)
    content = content.removesuffix(b"\r\n")
    if not body.startswith(delimiter) or not separator or not content.endswith(end) or name is None:
        return None
    return name[1].decode(errors="replace"), content.removesuffix(end)
