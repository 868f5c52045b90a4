"""What a job's author wants to be kept of its files: artifacts for other jobs, caches for later runs."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

ARCHIVE = "archive"
REPORTS: Mapping[str, tuple[str, str]] = {
    "junit": ("gzip", "junit.xml"),
    "dotenv": ("gzip", ".env"),
    "cobertura": ("gzip", "cobertura-coverage.xml"),
    "jacoco": ("gzip", "jacoco-coverage.xml"),
    "cyclonedx": ("gzip", "gl-sbom.cdx.json"),
    "annotations": ("gzip", "gl-annotations.json"),
    "metrics": ("gzip", "metrics.txt"),
    "lsif": ("zip", "lsif.json"),
    "codequality": ("raw", "gl-code-quality-report.json"),
    "sast": ("raw", "gl-sast-report.json"),
    "dast": ("raw", "gl-dast-report.json"),
    "terraform": ("raw", "tfplan.json"),
    "accessibility": ("raw", "gl-accessibility.json"),
}
"""Kinds of reports: the format in which each is uploaded, and its name (spec gitlab-runner-api.md §6.1)."""

PROTECTED = "-protected"
"""How the keys of caches of a protected branch end; all branches of the sandbox are protected (§2.6)."""


@attrs.frozen(kw_only=True)
class KeptArtifacts:
    """`artifacts`; `reports` are paths by kind."""

    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    untracked: bool = False
    name: str | None = None
    when: str = "on_success"
    expire_in: str | None = None
    reports: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)

    def payload(self) -> Iterator[dict[str, Any]]:
        """The entries of a job's payload, the archive first (§2.6)."""
        if self.paths or self.untracked:
            yield self._entry(ARCHIVE, "zip", self.name, self.paths) | {
                "untracked": self.untracked,
                "exclude": list(self.exclude),
                "when": self.when,
            }
        for kind, paths in self.reports.items():
            yield self._entry(kind, *REPORTS[kind], paths) | {"untracked": None, "when": "always"}

    def _entry(self, kind: str, form: str, name: str | None, paths: tuple[str, ...]) -> dict[str, Any]:
        return {
            "name": name,
            "paths": list(paths),
            "expire_in": self.expire_in,
            "artifact_type": kind,
            "artifact_format": form,
        }


@attrs.frozen(kw_only=True)
class KeptCache:
    """One entry of `cache`."""

    key: str = "default"
    fallback_keys: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    untracked: bool = False
    policy: str = "pull-push"
    when: str = "on_success"

    def payload(self) -> dict[str, Any]:
        """The entry of a job's payload (§2.6)."""
        return {
            "key": f"{self.key}{PROTECTED}",
            "fallback_keys": [f"{key}{PROTECTED}" for key in self.fallback_keys],
            "paths": list(self.paths),
            "untracked": self.untracked,
            "policy": self.policy,
            "when": self.when,
        }
