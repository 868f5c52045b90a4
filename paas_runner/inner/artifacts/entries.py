"""What a payload says of artifacts: which are to be uploaded, and whose are to be downloaded; pure."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from paas_runner.inner.files.selection import Wanted, When, read_wanted, read_when
from paas_runner.inner.job import mappings
from paas_runner.secret import Secret

_SUFFIXES = {"zip": ".zip", "gzip": ".gz"}


@attrs.frozen(kw_only=True)
class ArtifactEntry:
    """One archive or report (spec gitlab-runner-api.md §6.1); variables are expanded."""

    wanted: Wanted
    when: When = When.ON_SUCCESS
    name: str = "artifacts"
    kind: str = "archive"
    """The `artifact_type`, e.g. `junit`."""

    format: str = "zip"
    """The `artifact_format` as it came."""

    expire_in: str = ""

    @property
    def filename(self) -> str:
        """What the uploaded file is called."""
        name = self.name.rstrip("/").rpartition("/")[2]
        return (name if name not in ("", ".") else "default") + _SUFFIXES.get(self.format, "")

    @property
    def query(self) -> dict[str, str]:
        """The parameters of its upload; those without a value are left out."""
        found = {"artifact_format": self.format, "artifact_type": self.kind, "expire_in": self.expire_in}
        return {name: value for name, value in found.items() if value}


@attrs.frozen(kw_only=True)
class Dependency:
    """Another job whose artifacts this one gets, and the token that opens them."""

    job_id: int
    name: str
    token: Secret


def read_artifacts(found: object, expand: Callable[[str], str]) -> tuple[ArtifactEntry, ...]:
    """The entries of the payload's `artifacts`; those that name no files are left out."""
    entries = (
        ArtifactEntry(
            wanted=read_wanted(entry, expand),
            when=read_when(entry),
            name=expand(str(entry.get("name") or "artifacts")),
            kind=str(entry.get("artifact_type") or "archive"),
            format=str(entry.get("artifact_format") or "zip"),
            expire_in=str(entry.get("expire_in") or ""),
        )
        for entry in mappings(found)
    )
    return tuple(entry for entry in entries if entry.wanted)


def read_dependencies(found: object) -> tuple[Dependency, ...]:
    """The entries of the payload's `dependencies` that have artifacts (spec gitlab-runner-api.md §6.2)."""
    return tuple(
        Dependency(
            job_id=entry["id"],
            name=str(entry.get("name", "")),
            token=Secret(str(entry.get("token", ""))),
        )
        for entry in mappings(found)
        if isinstance(entry.get("id"), int) and any(file.get("filename") for file in _file(entry))
    )


def _file(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return mappings([entry.get("artifacts_file")])
