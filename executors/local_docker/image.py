"""The image of one host: built from the files that a cloud is given, labelled from its first layer on."""

import contextlib
import io
import json
import tarfile
import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import attrs

from executors.host_log import clean_lines
from paas_runner.docker.engine import Client
from paas_runner.docker.errors import DISK_FULL, OPERATORS, is_full
from paas_runner.errors import Rejected, RemoteError, Transient

BUILD_SECONDS = 600.0  # the first build on an engine may have to pull its base
MOST_LINES = 10

_ABSENT = ("pull access denied", "manifest unknown", "repository does not exist", "not found")
_OF_THE_BASE = ("returned a non-zero code", "parse error", "invalid reference format")
_UNREACHABLE = ("dial tcp", "no such host", "i/o timeout", "connection refused", "TLS handshake timeout")


@attrs.frozen(kw_only=True)
class HostImage:
    """What a container is made of."""

    ref: str
    volumes: Sequence[str]
    """Where containers of it get volumes, whether asked for or not."""


@attrs.frozen(kw_only=True)
class Recipe:
    """What is built; without the cache, in which a build stumbles over images that are being removed."""

    files: Mapping[str, bytes]
    tag: str
    base: str
    labels: Mapping[str, str]

    def build(self, client: Client) -> HostImage:
        """Build it; raises `Transient`, `Rejected` with the last lines of the build."""
        last: deque[str] = deque(maxlen=MOST_LINES)
        ends = time.monotonic() + BUILD_SECONDS
        with contextlib.closing(self._steps(client)) as steps:
            for step in steps:
                last.extend(clean_lines(step.get("stream") or step.get("status") or ""))
                if "error" in step:
                    raise self._judged(str(step["error"]), last)
                if time.monotonic() > ends:
                    raise self._error(Transient, f"not ready within {BUILD_SECONDS:g} seconds")
        found = client.inspect_image(self.tag)
        return HostImage(ref=found["Id"], volumes=sorted((found.get("Config") or {}).get("Volumes") or ()))

    def _steps(self, client: Client) -> Generator[Any]:
        return client.build(
            fileobj=io.BytesIO(self._context()),
            custom_context=True,
            tag=self.tag,
            nocache=True,
            rm=True,
            forcerm=True,
            decode=True,
        )

    def _context(self) -> bytes:
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as archive:
            for name, content in {**self.files, "Dockerfile": self._labelled()}.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return context.getvalue()

    def _labelled(self) -> bytes:
        """Labels first: whatever an interrupted build leaves behind has them."""
        first, _, rest = self.files["Dockerfile"].partition(b"\n")
        pairs = (f"{_quoted(name)}={_quoted(value)}" for name, value in self.labels.items())
        return b"\n".join([first, f"LABEL {' '.join(pairs)}".encode(), rest])

    def _judged(self, error: str, last: Sequence[str]) -> RemoteError:
        """What is known to be the base's fault stays so; anything else may be the engine's bad moment."""
        if is_full(error):
            return self._error(Transient, DISK_FULL)
        if any(text in error for text in _UNREACHABLE):
            return self._error(
                Transient, f"its base {self.base} is not there, and its registry does not answer: {error}"
            )
        if any(text in error for text in _ABSENT):
            remedy = "build or pull it on the engine, or set `heptapod_runner_main_image`"
            return self._error(Rejected, f"its base {self.base} cannot be pulled: {error}; {remedy}")
        lines = "".join(f"\n    {line}" for line in last)
        kind = Rejected if any(text in error for text in _OF_THE_BASE) else Transient
        return self._error(kind, f"{error.strip()}. The last lines of the build:{lines}\n")

    def _error(self, kind: type[RemoteError], text: str) -> RemoteError:
        advice = OPERATORS if kind is Rejected else ""
        return kind(text.strip(), service="Docker engine", op="build the host's image", advice=advice)


def _quoted(text: str) -> str:
    return json.dumps(text).replace("$", "\\$")
