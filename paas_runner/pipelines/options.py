"""What a coordinator is set up with: its options, and the groups with their custom attributes (§7.2)."""

import enum
from collections.abc import Callable, Mapping
from datetime import timedelta

import attrs

from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import Project
from paas_runner.pipelines.reports import Artifact
from paas_runner.secret import Secret


class Matching(enum.StrEnum):
    """Which runners may take a job."""

    TAGS = "tags"
    """Those that have all of its tags; GitLab's rule. One without tags goes to those that run untagged."""

    TAGS_AND_DESCRIPTION = "tags and description"
    """The same, and a runner's description counts as one of its tags."""


@attrs.frozen(kw_only=True)
class CoordinatorOptions:
    """Settings of one coordinator; the defaults are those of a plain GitLab with long polling."""

    registration_token: Secret
    admin_token: Secret
    """Opens the administrator's routes and the control routes of the sandbox (header `PRIVATE-TOKEN`)."""

    project: Project = attrs.field(factory=Project)
    variables: tuple[Variable, ...] = ()
    """The project's own variables: the only ones that can be masked or files, and they win over the job's."""

    groups: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    """Custom attributes by full path of a group; the root group of each job's project exists without."""

    matching: Matching = Matching.TAGS
    tells_namespaces: bool = True
    """Whether `job_info` says where the project is; older coordinators say it in variables alone."""

    acknowledgement_seconds: float = 0.0
    """Two-phase acquisition for runners that announce it (spec gitlab-runner-api.md §2.8): how long a job
    stays reserved for the runner that asked for it. 0, GitLab's default, hands jobs out as running."""

    retries_on_request: bool = True
    """Whether an ended job may be retried by whoever wants it; else its owner alone repeats anything."""

    default_timeout: timedelta = timedelta(hours=1)
    long_poll_seconds: float = 50.0
    """How long an unanswerable job request is held; 0 switches long polling off."""

    trace_interval_seconds: int = 3
    """The pace at which runners are asked to send their trace; 0 leaves it to them."""

    most_trace_bytes: int = 100 * 1024 * 1024
    most_artifact_bytes: int = 100 * 1024 * 1024
    artifact_refusal: Callable[[Artifact], str] = lambda _: ""
    """Why an artifact is answered with 400; empty for one that is taken."""

    stuck_after: timedelta = timedelta(hours=1)
    """A job without PUT or PATCH for this long is failed (spec gitlab-runner-api.md §3.5)."""

    sweep_every: timedelta = timedelta(minutes=1)
    final_put_answers: tuple[int, ...] = ()
    """What the first final PUTs of each job that carry a checksum are answered (202, 412: spec §3.2)."""


class Groups:
    """Attributes by group; ids are given in the order in which the groups appear."""

    def __init__(self, groups: Mapping[str, Mapping[str, str]]) -> None:
        self._attributes = {path: dict(attributes) for path, attributes in groups.items()}

    def ensure(self, path: str) -> None:
        self._attributes.setdefault(path, {})

    def attributes(self, group: str) -> dict[str, str]:
        """The attributes of a group named by its full path or its id; raises KeyError."""
        return self._attributes[self.path_of(group)]

    def top_level(self) -> Mapping[str, Mapping[str, str]]:
        """The attributes of every group that is in no other, by path."""
        return {path: values for path, values in self._attributes.items() if "/" not in path}

    def id_of(self, path: str) -> int:
        """A group's number, from 1; raises KeyError."""
        for number, known in enumerate(self._attributes, 1):
            if known == path:
                return number
        raise KeyError(path)

    def path_of(self, group: str) -> str:
        """By GitLab's rule: digits alone are an id, even where a path is so; case counts for nothing.

        Raises KeyError.
        """
        paths = list(self._attributes)
        if group.isascii() and group.isdigit():
            if not 1 <= int(group) <= len(paths):
                raise KeyError(group)
            return paths[int(group) - 1]
        if group in self._attributes:
            return group
        return {path.lower(): path for path in paths}[group.lower()]

    def rename(self, old: str, new: str) -> None:
        """Its id and its attributes stay; the old path is free. Raises KeyError for an unknown one."""
        self.id_of(old)
        self._attributes = {new if path == old else path: each for path, each in self._attributes.items()}
