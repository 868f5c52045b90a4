"""The edge behind which scripts run: what `runner.py` asks of it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

from paas_runner.sandbox.inner.job_script import Script, Workspace

Write = Callable[[bytes], None]


class Launched(Protocol):
    """A script that runs."""

    async def wait(self) -> int:
        """Its exit code, once all its output has been written."""

    def terminate(self) -> None:
        """Ask it to end."""


class Shell(Protocol):
    """Runs scripts."""

    def workspace(self, project_path: str) -> AbstractContextManager[Workspace]:
        """Directories for one job, gone at the end."""

    def launch(self, script: Script, write: Write) -> AbstractAsyncContextManager[Launched]:
        """Start a script whose output goes to `write`; at the end of the context nothing of it is alive.

        Raises OSError when it cannot be started.
        """
