"""What is asked of a job and of a pipeline, before anything has run: frozen values.

Among them what is to be stored of a job's files: artifacts for other jobs, caches for later runs.
"""

import enum
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import attrs

from paas_runner.job.variables import Variable
from paas_runner.pipelines.complaints import PipelineWarning
from paas_runner.secret import Secret

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
class ArtifactSpec:
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
class CacheSpec:
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


DEFAULT_STAGES = ("build", "test", "deploy")
FIRST_STAGE, LAST_STAGE = ".pre", ".post"


class RunWhen(enum.StrEnum):
    """Under which outcome of the jobs before it a job runs."""

    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"
    ALWAYS = "always"
    MANUAL = "manual"  # there is no button to press here: never


@attrs.frozen(kw_only=True)
class ImageSpec:
    """The image in which the job's author wants the script to run."""

    name: str
    entrypoint: tuple[str, ...] | None = None
    pull_policy: tuple[str, ...] | None = None


@attrs.frozen(kw_only=True)
class ServiceSpec:
    """A container wanted beside the job."""

    name: str
    alias: str | None = None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    variables: tuple[Variable, ...] = ()
    pull_policy: tuple[str, ...] | None = None


@attrs.frozen(kw_only=True)
class Retry:
    """How often a failed job is run again, and after which failure reasons (`always` stands for all)."""

    times: int = 0
    reasons: frozenset[str] = frozenset({"always"})

    def covers(self, reason: str) -> bool:
        """Whether a failure with `reason` is one to try again."""
        return "always" in self.reasons or reason in self.reasons


@attrs.frozen(kw_only=True)
class Sources:
    """What a job checks out, instead of its project's repository."""

    url: str
    """Without credentials, which are entrusted (`Coordinator.entrust`)."""

    ref: str
    """A branch, a tag, or the id of a commit that can be fetched."""

    depth: int = 20


@attrs.frozen(kw_only=True)
class JobSpec:
    """One job as its author wrote it; `variables` holds the pipeline's too, the last of a key wins."""

    name: str
    script: tuple[str, ...] = ()
    stage: str = "test"
    before_script: tuple[str, ...] = ()
    after_script: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    image: ImageSpec | None = None
    services: tuple[ServiceSpec, ...] = ()
    needs: tuple[str, ...] | None = None  # None: every job of every earlier stage
    dependencies: tuple[str, ...] | None = None  # whose artifacts it gets; None: of all it waits for
    artifacts: ArtifactSpec = attrs.field(factory=ArtifactSpec)
    caches: tuple[CacheSpec, ...] = ()
    timeout: timedelta | None = None
    allow_failure: bool = False
    allowed_exit_codes: frozenset[int] = frozenset()
    retry: Retry = attrs.field(factory=Retry)
    when: RunWhen = RunWhen.ON_SUCCESS
    tags: tuple[str, ...] = ()
    program: Mapping[str, Secret] | None = None
    """Its environment, where the job is the program of its image; `script` is for runners that cannot."""

    files_of: tuple[int, ...] = ()
    """Ids of jobs of other pipelines whose artifacts it gets, too."""

    entrusted: bool = False
    """Whether it has variables that no record has (`Coordinator.entrust`), without which nobody gets it."""

    sources: Sources | None = None
    requires_worker: tuple[str, ...] = ()
    """Labels, each a name or name=value, all of which the machine that takes it must have."""

    @property
    def required_features(self) -> frozenset[str]:
        """What a runner must have announced, else the job is failed (spec gitlab-runner-api.md §2.2)."""
        return frozenset({"return_exit_code"}) if self.allowed_exit_codes else frozenset()

    def tolerates(self, exit_code: int | None) -> bool:
        """Whether the pipeline goes on although this job failed."""
        return self.allow_failure or exit_code in self.allowed_exit_codes


@attrs.frozen(kw_only=True)
class Pipeline:
    """Jobs that belong together; stages are those in use, in order."""

    jobs: tuple[JobSpec, ...]
    stages: tuple[str, ...] = (FIRST_STAGE, *DEFAULT_STAGES, LAST_STAGE)
    warnings: tuple[PipelineWarning, ...] = ()

    def predecessors(self) -> Mapping[str, frozenset[str]]:
        """The names of the jobs each job waits for."""
        place = {stage: index for index, stage in enumerate(self.stages)}
        return {
            spec.name: frozenset(spec.needs if spec.needs is not None else self._before(place[spec.stage]))
            for spec in self.jobs
        }

    def _before(self, place: int) -> Iterable[str]:
        earlier = set(self.stages[:place])
        return (spec.name for spec in self.jobs if spec.stage in earlier)
