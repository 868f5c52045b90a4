"""One job as all stages see it: its folders, its variables, and the payload with what was read from it.

Variables are the runner's and the job's own, by weight, expanded (spec gitlab-runner-api.md §10.7).
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import attrs

from paas_runner import __version__
from paas_runner.inner.files.folder import Folder
from paas_runner.inner.settings import RunnerSection, Settings, read_settings
from paas_runner.job.payload import Payload
from paas_runner.job.variables import Budget, BudgetExceededError, Variable, expand, values

AUTHORITY = "CI_SERVER_TLS_CA_FILE"
"""The file variable with the certificates that the coordinator's own is to be checked with."""

MOST_CHARACTERS = 32 * 1024 * 1024  # as many as a whole payload may have bytes
TOO_LONG = f"the job's variables stand for more than {MOST_CHARACTERS} characters, written out"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@attrs.frozen(kw_only=True)
class Workspace:
    """Where projects are, where this one's sources are, and what lies beside them."""

    builds: PurePath
    project: PurePath
    folder: Folder = attrs.field(
        default=attrs.Factory(lambda self: Folder(Path(self.builds)), takes_self=True), eq=False, repr=False
    )
    """`builds` as it was before any script of the job could put a link in its place."""

    refusal: str = ""
    """Why the project cannot be where the job wants it; empty when it is there."""

    @property
    def files(self) -> PurePath:
        """Where file variables are written (spec gitlab-runner-api.md §10.4)."""
        return self.project.with_name(f"{self.project.name}.tmp")

    @property
    def gitlab_env(self) -> PurePath:
        """What a script writes into this file, as `NAME=value`, the next script has as variables (§10.4)."""
        return self.files / "gitlab_runner_env"


def write_files(workspace: Workspace, files: Mapping[PurePath, str]) -> None:
    """Write new files of a job below `builds`, whatever its scripts have put in their places.

    Raises OSError, and ValueError for text that no file can hold and for places elsewhere.
    """
    for path, content in files.items():
        place = path.relative_to(workspace.builds)
        workspace.folder.make_directory(str(place.parent))
        workspace.folder.write(str(place), content.encode())


@attrs.frozen(kw_only=True)
class JobVariables:
    """Each variable once, with its expanded value; that of a file variable is the file's path."""

    variables: tuple[Variable, ...]
    files: Mapping[PurePath, str] = attrs.field(repr=False)
    """What is to be written where, for the file variables."""

    masked: tuple[str, ...] = attrs.field(repr=False)
    """The values that the trace must not show."""

    trouble: str = ""
    """Why the values are those that were written, with nothing expanded; empty when they are not."""

    _budget: Budget = attrs.field(factory=lambda: Budget(MOST_CHARACTERS), eq=False, repr=False)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process of the job has in its environment."""
        return {item.key: item.value for item in self.variables if _exportable(item.key, item.value)}

    def get(self, key: str) -> str:
        """One value; empty for what is not there."""
        return next((item.value for item in self.variables if item.key == key), "")

    def expand(self, text: str) -> str:
        """Text with the references to variables replaced, as in image names, cache keys and paths.

        Raises `BudgetExceededError` when all that is asked for together is too long.
        """
        known = {item.key: item.value for item in self.variables}
        return expand(text, lambda name: known.get(name, ""), self._budget)


@attrs.frozen(kw_only=True)
class Job:
    """What a stage needs to know of its job."""

    payload: Payload
    section: RunnerSection
    workspace: Workspace
    variables: JobVariables
    settings: Settings

    @property
    def debug_trace(self) -> bool:
        """Whether each command of a script is shown with its arguments as they are."""
        return self.settings.debug_trace and not self.section.debug_trace_disabled

    @property
    def with_sections(self) -> bool:
        """Whether the coordinator wants section markers around the stages in the trace."""
        return bool(self._features.get("trace_sections"))

    @property
    def failure_reasons(self) -> tuple[str, ...]:
        """Those that the coordinator knows beside the three that all know."""
        return texts(self._features.get("failure_reasons"))

    @property
    def token_prefixes(self) -> tuple[str, ...]:
        """How tokens begin that must not show in the trace."""
        return texts(self._features.get("token_mask_prefixes"))

    @property
    def program(self) -> Mapping[str, str] | None:
        """The environment of a job that is the program of its image, by our own coordinator; else None."""
        found = self.payload.raw.get("program")
        given = found.get("environment") if isinstance(found, Mapping) else None
        return {str(key): str(value) for key, value in given.items()} if isinstance(given, Mapping) else None

    @property
    def unsupported(self) -> str:
        """The first thing that this job cannot do without and that is not done here; empty for none."""
        raw = self.payload.raw
        if raw.get("run"):
            return "`run` steps"
        if self.program is not None and self.section.executor != "docker":
            return "programs of images, other than with `inner_executor` docker,"
        return "`secrets` from a vault" if raw.get("secrets") else ""

    @property
    def image_names(self) -> tuple[str, ...]:
        """The images that the job wants: its own and its services'."""
        wanted = [self.payload.raw.get("image"), *mappings(self.payload.raw.get("services"))]
        names = [str(image["name"]) for image in wanted if isinstance(image, Mapping) and image.get("name")]
        return tuple(self.variables.expand(name) for name in names)

    @property
    def _features(self) -> Mapping[str, Any]:
        found = self.payload.raw.get("features")
        return found if isinstance(found, Mapping) else {}


def read_job(payload: Payload, section: RunnerSection, workspace: Workspace) -> Job:
    """A job that will be run in these folders."""
    variables = job_variables(payload, section, workspace)
    may_fetch = payload.raw.get("allow_git_fetch") is not False
    return Job(
        payload=payload,
        section=section,
        workspace=workspace,
        variables=variables,
        settings=read_settings(variables.get, may_fetch=may_fetch),
    )


def mappings(found: object) -> list[Mapping[str, Any]]:
    """The objects of a list in a payload; what is no list has none."""
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def texts(found: object, expand: Callable[[str], str] = str) -> tuple[str, ...]:
    """The texts of a list in a payload, expanded; what is no list has none."""
    return tuple(expand(str(item)) for item in found) if isinstance(found, list) else ()


def job_variables(payload: Payload, section: RunnerSection, workspace: Workspace) -> JobVariables:
    """All variables of one job; of equal keys the last wins."""
    found = (
        *_before(payload, section, workspace),
        *payload.variables,
        *_after(section, workspace),
    )
    last = {variable.key: variable for variable in found}
    paths = {key: str(workspace.files / key) for key, variable in last.items() if variable.file}
    seen = [
        attrs.evolve(variable, value=paths[key], raw=True) if variable.file else variable
        for key, variable in last.items()
    ]
    files = {key: variable for key, variable in last.items() if variable.file}
    trouble = ""
    try:
        expanded, contents = _expanded(seen, files)
    except BudgetExceededError:
        trouble = TOO_LONG
        expanded, contents = _literal(seen), _literal(files.values())
    return JobVariables(
        trouble=trouble,
        variables=tuple(attrs.evolve(variable, value=expanded[variable.key]) for variable in seen),
        files={workspace.files / key: content for key, content in contents.items()},
        masked=tuple(contents.get(key, expanded[key]) for key in last if last[key].masked),
    )


def _expanded(
    seen: Sequence[Variable], files: Mapping[str, Variable]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The values of variables, and the contents of files; raises `BudgetExceededError`."""
    budget, literal = Budget(MOST_CHARACTERS), _literal(seen)
    contents = {
        key: item.value if item.raw else expand(item.value, lambda name: literal.get(name, ""), budget)
        for key, item in files.items()
    }
    return values(seen, budget), contents


def _literal(variables: Iterable[Variable]) -> Mapping[str, str]:
    return {variable.key: variable.value for variable in variables}


def _before(payload: Payload, section: RunnerSection, workspace: Workspace) -> Iterator[Variable]:
    """What a job's author may replace (spec gitlab-runner-api.md §7.3)."""
    image = payload.raw.get("image")
    if isinstance(image, Mapping) and image.get("name"):
        yield Variable(key="CI_JOB_IMAGE", value=str(image["name"]), public=True)
    for entry in section.environment:
        key, _, value = entry.partition("=")
        yield Variable(key=key, value=value)
    own = {
        "CI_RUNNER_SHORT_TOKEN": section.token,
        "CI_BUILDS_DIR": str(workspace.builds),
        "CI_PROJECT_DIR": str(workspace.project),
        "CI_CONCURRENT_ID": "0",
        "CI_CONCURRENT_PROJECT_ID": "0",
        "CI_SERVER": "yes",
        "CI_JOB_STATUS": "running",
        "CI_JOB_TIMEOUT": str(int(payload.timeout.total_seconds())),
    }
    for key, value in own.items():
        yield Variable(key=key, value=value, public=True)


def _after(section: RunnerSection, workspace: Workspace) -> Iterator[Variable]:
    """What no author of a job may replace."""
    if section.authority:
        yield Variable(key=AUTHORITY, value=section.authority, public=True, file=True, raw=True)
    own = {
        "CI_DISPOSABLE_ENVIRONMENT": "true",
        "CI_RUNNER_VERSION": __version__,
        "CI_RUNNER_REVISION": __version__,
        "CI_RUNNER_EXECUTABLE_ARCH": f"linux/{_ARCHITECTURES.get(platform.machine(), platform.machine())}",
        "RUNNER_TEMP_PROJECT_DIR": str(workspace.files),
        "GITLAB_ENV": str(workspace.gitlab_env),
    }
    for key, value in own.items():
        yield Variable(key=key, value=value, public=True)


def _exportable(key: str, value: str) -> bool:
    """Whether a process can have it in its environment."""
    return bool(key) and "=" not in key and "\0" not in key + value
