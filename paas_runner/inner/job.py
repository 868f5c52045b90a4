"""One job as all stages see it: the payload with what was read from it.

The folders of one job.
"""

from collections.abc import Mapping
from typing import Any

import attrs

from paas_runner.inner.section import RunnerSection, Workspace
from paas_runner.inner.settings import Settings, read_settings
from paas_runner.inner.variables import JobVariables, job_variables
from paas_runner.job.payload import Payload


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
        """Whether the coordinator wants marks around the stages in the trace."""
        return bool(self._features.get("trace_sections"))

    @property
    def failure_reasons(self) -> tuple[str, ...]:
        """Those that the coordinator knows beside the three that all know."""
        return _texts(self._features.get("failure_reasons"))

    @property
    def token_prefixes(self) -> tuple[str, ...]:
        """How tokens begin that must not show in the trace."""
        return _texts(self._features.get("token_mask_prefixes"))

    @property
    def unsupported(self) -> str:
        """The first thing that this job cannot do without and that is not done here; empty for none."""
        raw = self.payload.raw
        if raw.get("run"):
            return "`run` steps"
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
        settings=read_settings(variables, may_fetch=may_fetch),
    )


def mappings(found: object) -> list[Mapping[str, Any]]:
    """The objects of a list in a payload; what is no list has none."""
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _texts(found: object) -> tuple[str, ...]:
    return tuple(str(item) for item in found) if isinstance(found, list) else ()
