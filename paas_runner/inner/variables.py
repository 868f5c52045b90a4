"""A job's variables: the runner's and its own, by weight, expanded (spec gitlab-runner-api.md §10.7)."""

import platform
from collections.abc import Iterator, Mapping
from pathlib import PurePath

import attrs

from paas_runner import __version__
from paas_runner.inner.section import RunnerSection, Workspace
from paas_runner.job.payload import Payload
from paas_runner.job.variables import Variable, expand, values


@attrs.frozen(kw_only=True)
class JobVariables:
    """Each variable once, with its expanded value; that of a file variable is the file's path."""

    variables: tuple[Variable, ...]
    files: Mapping[PurePath, str] = attrs.field(repr=False)
    """What is to be written where, for the file variables."""

    masked: tuple[str, ...] = attrs.field(repr=False)
    """The values that the trace must not show."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process of the job has in its environment."""
        return {item.key: item.value for item in self.variables if _exportable(item.key, item.value)}

    def get(self, key: str) -> str:
        """One value; empty for what is not there."""
        return next((item.value for item in self.variables if item.key == key), "")

    def expand(self, text: str) -> str:
        """Text with the references to variables replaced, as in image names, cache keys and paths."""
        known = {item.key: item.value for item in self.variables}
        return expand(text, lambda name: known.get(name, ""))


def job_variables(payload: Payload, section: RunnerSection, workspace: Workspace) -> JobVariables:
    """All variables of one job; of equal keys the last wins."""
    found = (
        *_before(payload, section, workspace),
        *payload.variables,
        *_after(workspace),
    )
    last = {variable.key: variable for variable in found}
    paths = {key: str(workspace.files / key) for key, variable in last.items() if variable.file}
    seen = [
        attrs.evolve(variable, value=paths[key], raw=True) if variable.file else variable
        for key, variable in last.items()
    ]
    literal = {variable.key: variable.value for variable in seen}
    contents = {
        key: variable.value if variable.raw else expand(variable.value, lambda name: literal.get(name, ""))
        for key, variable in last.items()
        if variable.file
    }
    expanded = values(seen)
    return JobVariables(
        variables=tuple(attrs.evolve(variable, value=expanded[variable.key]) for variable in seen),
        files={workspace.files / key: content for key, content in contents.items()},
        masked=tuple(contents.get(key, expanded[key]) for key in last if last[key].masked),
    )


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


def _after(workspace: Workspace) -> Iterator[Variable]:
    """What is so whatever a job's author says."""
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


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def _exportable(key: str, value: str) -> bool:
    """Whether a process can have it in its environment."""
    return bool(key) and "=" not in key and "\0" not in key + value
