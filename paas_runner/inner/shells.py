"""Where the scripts of a job run, as its `runner.toml` says."""

from typing import NoReturn

import attrs

from paas_runner.inner.ending import Reason, StageError, broken
from paas_runner.inner.job import Job
from paas_runner.inner.narrator import Narrator
from paas_runner.inner.process_shell import ProcessShell
from paas_runner.inner.section import RunnerSection
from paas_runner.inner.shell import Shell


def shell_for(section: RunnerSection) -> Shell:
    """The shell that the section's `executor` names; one that is not known fails the job with words."""
    match section.executor:
        case "shell" | "":
            return ProcessShell(builds_dir=section.builds_dir)
        case "docker":
            from paas_runner.inner.containers import ContainerShell

            return ContainerShell(builds_dir=section.builds_dir)
        case _:
            return _UnknownShell()


@attrs.frozen(kw_only=True)
class _UnknownShell(ProcessShell):
    """Says that it cannot run scripts."""

    def prepared(self, job: Job, narrator: Narrator) -> NoReturn:  # noqa: ARG002 - as its class says
        """Raises `StageError`."""
        known = 'this inner runner knows `executor = "shell"` and "docker"'
        text = f'runner.toml has `executor = "{job.section.executor}"`, but {known}'
        raise StageError(broken(text, Reason.CONFIGURATION))
