"""What is asked of a job and of a pipeline, before anything has run: frozen values."""

import enum
from collections.abc import Iterable, Mapping
from datetime import timedelta

import attrs

from paas_runner.errors import RunnerError
from paas_runner.job.variables import Variable
from paas_runner.sandbox.coordinator.kept import KeptArtifacts, KeptCache

DEFAULT_STAGES = ("build", "test", "deploy")
FIRST_STAGE, LAST_STAGE = ".pre", ".post"


class PipelineError(RunnerError):
    """A pipeline that cannot be run as written; `line` counts from 1."""

    def __init__(self, text: str, *, line: int | None = None) -> None:
        """Begin the sentence with the line, when it is known."""
        super().__init__(text if line is None else f"line {line}: {text}")
        self.line = line


@attrs.frozen(kw_only=True)
class PipelineWarning:
    """Something in the text that has no effect in the sandbox, or another one than on GitLab."""

    job: str  # empty at the top level
    key: str
    text: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        owner = f"job `{self.job}`, " if self.job else ""
        return f"{where}{owner}`{self.key}`: {self.text}"


class When(enum.StrEnum):
    """Under which outcome of the jobs before it a job runs."""

    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"
    ALWAYS = "always"
    MANUAL = "manual"  # nobody presses the button in the sandbox: never


@attrs.frozen(kw_only=True)
class Image:
    """The image in which the job's author wants the script to run."""

    name: str
    entrypoint: tuple[str, ...] | None = None
    pull_policy: tuple[str, ...] | None = None


@attrs.frozen(kw_only=True)
class Service:
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
class JobSpec:
    """One job as its author wrote it; `variables` holds the pipeline's too, the last of a key wins."""

    name: str
    script: tuple[str, ...] = ()
    stage: str = "test"
    before_script: tuple[str, ...] = ()
    after_script: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    image: Image | None = None
    services: tuple[Service, ...] = ()
    needs: tuple[str, ...] | None = None  # None: every job of every earlier stage
    dependencies: tuple[str, ...] | None = None  # whose artifacts it gets; None: of all it waits for
    artifacts: KeptArtifacts = attrs.field(factory=KeptArtifacts)
    caches: tuple[KeptCache, ...] = ()
    timeout: timedelta | None = None
    allow_failure: bool = False
    allowed_exit_codes: frozenset[int] = frozenset()
    retry: Retry = attrs.field(factory=Retry)
    when: When = When.ON_SUCCESS
    tags: tuple[str, ...] = ()

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
