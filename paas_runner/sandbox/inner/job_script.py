"""A job's payload into shell scripts: pure, nothing is run or written here."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

import attrs

from paas_runner import __version__
from paas_runner.job.payload import Payload
from paas_runner.job.variables import Variable, expand, values
from paas_runner.sandbox.inner.narrator import echo
from paas_runner.sandbox.inner.section import RunnerSection

AFTER_SCRIPT = "after_script"


@attrs.frozen(kw_only=True)
class Workspace:
    """The directories of one job."""

    root: PurePath
    project: PurePath

    @property
    def files(self) -> PurePath:
        """Where file variables are written (spec gitlab-runner-api.md §10.4)."""
        return self.project.with_name(f"{self.project.name}.tmp")


@attrs.frozen(kw_only=True)
class Script:
    """One step: commands that share a shell."""

    name: str
    commands: tuple[str, ...]
    directory: PurePath
    home: PurePath
    environment: Mapping[str, str] = attrs.field(repr=False)
    files: Mapping[PurePath, str] = attrs.field(repr=False)

    def text(self) -> str:
        """The script for bash or sh: each command is shown, then run; the first failure ends it."""
        lines = ["set -e", "if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi", "set +o noclobber"]
        for command in self.commands:
            lines += [f"printf '%s\\n' {shlex.quote(echo(command))}", command]
        return "\n".join(lines) + "\n"

    def knowing(self, status: str) -> "Script":
        """The same with the job's status so far."""
        return attrs.evolve(self, environment={**self.environment, "CI_JOB_STATUS": status})


@attrs.frozen(kw_only=True)
class JobScripts:
    """All that is run for one job, and what must not be shown."""

    steps: tuple[Script, ...]
    after_script: Script | None
    secrets: tuple[str, ...] = attrs.field(repr=False)


def job_scripts(payload: Payload, section: RunnerSection, workspace: Workspace) -> JobScripts:
    """The steps of a job in order, and the after_script if it has one."""
    variables = tuple(_all_variables(payload, section, workspace))
    environment, contents = _expanded(variables, workspace)
    scripts = {
        str(step.get("name", "")): Script(
            name=str(step.get("name", "")),
            commands=tuple(str(command) for command in step.get("script") or ()),
            directory=workspace.project,
            home=workspace.files,
            environment={key: value for key, value in environment.items() if _exportable(key, value)},
            files={workspace.files / key: content for key, content in contents.items()},
        )
        for step in _mappings(payload.raw.get("steps"))
    }
    after_script = scripts.pop(AFTER_SCRIPT, None)
    masked = [variable.key for variable in variables if variable.masked]
    return JobScripts(
        steps=tuple(scripts.values()),
        after_script=after_script,
        secrets=tuple(contents[key] if key in contents else environment[key] for key in masked),
    )


def image_names(payload: Payload) -> tuple[str, ...]:
    """The images that the job wants: its own and its services'."""
    wanted = [payload.raw.get("image"), *_mappings(payload.raw.get("services"))]
    names = [str(image["name"]) for image in wanted if isinstance(image, Mapping) and image.get("name")]
    return tuple(expand(name, lambda key: payload.variable(key) or "") for name in names)


def _all_variables(payload: Payload, section: RunnerSection, workspace: Workspace) -> Iterator[Variable]:
    """The runner's and the job's, the later win (spec gitlab-runner-api.md §7.3, §10.7)."""
    for entry in section.environment:
        key, _, value = entry.partition("=")
        yield Variable(key=key, value=value)
    image = payload.raw.get("image")
    own = {
        "CI_JOB_IMAGE": str(image.get("name", "")) if isinstance(image, Mapping) else "",
        "CI_BUILDS_DIR": str(workspace.root / "builds"),
        "CI_PROJECT_DIR": str(workspace.project),
        "CI_CONCURRENT_ID": "0",
        "CI_CONCURRENT_PROJECT_ID": "0",
        "CI_SERVER": "yes",
        "CI_JOB_STATUS": "running",
        "CI_JOB_TIMEOUT": str(int(payload.timeout.total_seconds())),
        "CI_RUNNER_SHORT_TOKEN": section.token,
        "CI_RUNNER_VERSION": __version__,
        "CI_DISPOSABLE_ENVIRONMENT": "true",
        "RUNNER_TEMP_PROJECT_DIR": str(workspace.files),
    }
    for key, value in own.items():
        yield Variable(key=key, value=value, public=True)
    yield from payload.variables


def _expanded(
    variables: Iterable[Variable], workspace: Workspace
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The environment, and the contents of file variables; a file variable's own value is its path."""
    last = {variable.key: variable for variable in variables}
    seen = [
        attrs.evolve(variable, value=str(workspace.files / key), raw=True) if variable.file else variable
        for key, variable in last.items()
    ]
    literal = {variable.key: variable.value for variable in seen}
    contents = {
        key: variable.value if variable.raw else expand(variable.value, lambda name: literal.get(name, ""))
        for key, variable in last.items()
        if variable.file
    }
    return values(seen), contents


def _mappings(found: object) -> list[Mapping[str, Any]]:
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _exportable(key: str, value: str) -> bool:
    """Whether a process can have it in its environment."""
    return bool(key) and "=" not in key and "\0" not in key + value
