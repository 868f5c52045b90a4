"""What a workflow file says, as frozen values (spec kog-jobs.md §1)."""

import enum
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import attrs

from paas_runner.errors import UsageError

Object: TypeAlias = Mapping[str, Any]
"""An object of JSON."""

DEFAULT_WORKFLOW, DEFAULT_STEP = "run", "start"


class ExitMode(enum.StrEnum):
    """How a step ends, and by that where the workflow goes."""

    SUCCESS = "success"
    FAILURE = "failure"
    ABORT = "abort"
    TIMEOUT = "timeout"


@attrs.frozen(kw_only=True)
class Step:
    """A place in a workflow."""

    action: str
    targets: Mapping[ExitMode, str] = attrs.field(factory=dict)
    """The next step for an exit mode; the workflow ends where there is none."""

    duration: timedelta | None = None
    """From the start of its container to the end."""


@attrs.frozen(kw_only=True)
class Action:
    """A container image with settings, which steps share."""

    image: str
    version: str = "latest"
    """A tag, or a digest, which begins with `sha256:`."""

    env: Mapping[str, str] = attrs.field(factory=dict)
    required_env: tuple[str, ...] = ()
    required_paths: tuple[str, ...] = ()
    """Dotted paths that the context must have."""

    output: Object = attrs.field(factory=dict)
    """What it adds to the context on success, with nulls for values; nobody but the check looks at it."""

    @property
    def reference(self) -> str:
        """The image with its tag or digest."""
        return f"{self.image}{'@' if self.version.startswith('sha256:') else ':'}{self.version}"


@attrs.frozen(kw_only=True)
class WorkflowFile:
    """All of it; `decoding` makes none whose start or targets do not exist."""

    name: str
    description: str = ""
    current_workflow: str = DEFAULT_WORKFLOW
    current_step: str = DEFAULT_STEP
    stop_on_failure: bool = False
    workflows: Mapping[str, Mapping[str, Step]]
    actions: Mapping[str, Action]
    context: Object = attrs.field(factory=dict)

    @property
    def steps(self) -> Mapping[str, Step]:
        """Those of the current workflow."""
        return self.workflows[self.current_workflow]

    def beginning(self, workflow: str | None, step: str | None) -> "WorkflowFile":
        """With another start; raises `UsageError` for one that is not there.

        Another workflow without a step begins with its `start`, unless it is the file's own.
        """
        name = workflow or self.current_workflow
        if name not in self.workflows:
            raise UsageError(f"there is no workflow `{name}`; there are {', '.join(sorted(self.workflows))}")
        first = step or (self.current_step if name == self.current_workflow else DEFAULT_STEP)
        if first not in self.workflows[name]:
            there = ", ".join(sorted(self.workflows[name]))
            raise UsageError(f"the workflow `{name}` has no step `{first}`; it has {there}")
        return attrs.evolve(self, current_workflow=name, current_step=first)
