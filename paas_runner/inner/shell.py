"""The edge behind which a job's scripts run, and what the flow (`execution.py`) asks of it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

from paas_runner.inner.job import Job
from paas_runner.inner.job_script import Script
from paas_runner.inner.narrator import Narrator
from paas_runner.inner.section import Workspace

Write = Callable[[bytes], None]


class Launched(Protocol):
    """A script that runs."""

    async def wait(self) -> int:
        """Its exit code, once all its output has been written; raises OSError for what could not start."""

    def terminate(self) -> None:
        """Ask it to end."""


class Shell(Protocol):
    """Runs scripts; whatever it starts is gone when its contexts are left, however that comes about."""

    def workspace(self, project_path: str) -> AbstractContextManager[Workspace]:
        """Folders for one job; what no later job may see is gone at the end."""

    def prepared(self, job: Job, narrator: Narrator) -> AbstractAsyncContextManager[None]:
        """All that the job's scripts need beside them (images, services), as long as the context lasts.

        Says what it does: the flow has opened a section for it. Raises `StageError`, or OSError.
        """

    def launch(self, script: Script, write: Write) -> AbstractAsyncContextManager[Launched]:
        """Start a script whose output goes to `write`; at the end of the context nothing of it is alive.

        Raises OSError, or ValueError for text that no process can be given.
        """
