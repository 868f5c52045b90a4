"""Where on its host a job's project is: below the builds folder, by its path or where `GIT_CLONE_PATH` says.

The rules are GitLab Runner's (spec gitlab-runner-api.md §9.2, §10.4): with containers an author may choose,
without them only if `[runners.custom_build_dir]` says so, and never a place outside of the builds folder.
"""

import os.path
from collections.abc import Callable
from pathlib import PurePath

import attrs

from paas_runner.inner.job import Workspace, job_variables
from paas_runner.inner.settings import RunnerSection
from paas_runner.job.failure import JobRefusedError
from paas_runner.job.payload import Payload

Place = Callable[[PurePath], Workspace]
"""From the builds folder to those of one job."""

_VARIABLE = "GIT_CLONE_PATH"
_SURE = "project"


def place_of(payload: Payload, section: RunnerSection, trouble: str = "") -> Place:
    """Where a job's project is; a choice that is none leaves it where it usually is, with the refusal.

    `trouble` is why it could not be put there; then it is where it always can be, with that as the refusal.
    """

    def wanted_place(builds: PurePath) -> Workspace:
        try:
            path = (payload.variable("CI_PROJECT_PATH") or "").split("/")
        except JobRefusedError as error:
            return Workspace(builds=builds, project=builds / _SURE, refusal=error.failure.text)
        parts = [part for part in path if part not in ("", ".", "..")] or [_SURE]
        usual = Workspace(builds=builds, project=builds.joinpath(*parts))
        variables = job_variables(payload, section, usual)
        if variables.trouble:
            return attrs.evolve(usual, refusal=variables.trouble)
        wanted = variables.get(_VARIABLE)
        if not wanted:
            return usual
        chosen = PurePath(os.path.normpath(wanted))
        if refusal := _refusal(chosen, wanted, builds, section):
            return attrs.evolve(usual, refusal=refusal)
        return attrs.evolve(usual, project=chosen)

    def sure_place(builds: PurePath) -> Workspace:
        text = f"no folder can be made for the project at `{wanted_place(builds).project}`: {trouble}"
        return Workspace(builds=builds, project=builds / _SURE, refusal=text)

    return sure_place if trouble else wanted_place


def _refusal(chosen: PurePath, wanted: str, builds: PurePath, section: RunnerSection) -> str:
    """Why a project cannot be there; empty when it can."""
    enabled = section.tables.get("custom_build_dir", {}).get("enabled")
    if not (enabled if isinstance(enabled, bool) else section.executor == "docker"):
        table = "`enabled = true` under [runners.custom_build_dir]"
        return f"{_VARIABLE} is not allowed on this runner: its runner.toml would need {table}"
    if "\0" in wanted or builds not in chosen.parents:
        return f"{_VARIABLE} is `{wanted}`, but has to be a folder in `{builds}` ($CI_BUILDS_DIR)"
    return ""
