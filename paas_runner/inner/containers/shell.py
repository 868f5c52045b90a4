"""The shell whose scripts run in a container of the job's image, beside its services."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path, PurePath

import attrs

from paas_runner.inner.containers.attached import as_os_error, script_in, shell_input
from paas_runner.inner.containers.preparation import JobContainer, job_container
from paas_runner.inner.containers.program import program_in
from paas_runner.inner.job import Job, Workspace, write_files
from paas_runner.inner.job_script import Script
from paas_runner.inner.measuring import Tally, sampled
from paas_runner.inner.process import RunningProgram, Write, launched
from paas_runner.inner.project_folder import Place
from paas_runner.inner.shell import ProcessShell, private_folder
from paas_runner.inner.trace import Narrator

SHARED_FOLDER = "/builds"
"""Where a host's image has a volume, so that other containers can be given it."""


@attrs.define(kw_only=True)
class ContainerShell:
    """Runs each script in the same container, one after another, with fresh processes."""

    executor: str = "docker"
    builds_dir: str = ""
    """Where projects stay from one job to the next; without it each job has a folder for itself alone."""

    hidden: Sequence[Path] = ()
    """Files of the operator, which programs that work on the job's files must not read."""

    tally: Tally = attrs.field(factory=Tally)

    _container: JobContainer | None = attrs.field(init=False, default=None)

    @contextlib.contextmanager
    def workspace(self, place: Place) -> Iterator[Workspace]:
        """Folders that containers see under the same path; other users of this machine get no way to them."""
        with contextlib.ExitStack() as stack:
            builds = self.builds_dir or (SHARED_FOLDER if os.path.ismount(SHARED_FOLDER) else "")
            if not builds:
                builds = str(Path(stack.enter_context(private_folder())) / "builds")
            yield stack.enter_context(ProcessShell(builds_dir=builds).workspace(place))

    @contextlib.asynccontextmanager
    async def prepared(self, job: Job, narrator: Narrator) -> AsyncIterator[None]:
        """Services run and the job's container is there; at the end nothing of it is left on the engine.

        Raises `StageError` and OSError.
        """
        with as_os_error():
            async with job_container(job, narrator, self.hidden) as container:
                self._container = container
                try:
                    async with sampled(self.tally, container.read):
                        yield
                finally:
                    self._container = None

    @contextlib.asynccontextmanager
    async def launch(self, script: Script, write: Write) -> AsyncIterator[RunningProgram]:
        """Start the job's container with this script, or its own program; leaving the context stops it."""
        if self._container is None:
            raise RuntimeError("scripts are run while the shell is prepared")
        engine, container = self._container.engine, self._container.ref
        if self._container.is_program:
            running = program_in(engine, container, write)
        else:
            write_files(script.workspace, script.files)
            running = script_in(engine, container, shell_input(script), write)
        with as_os_error():
            async with running as launched:
                yield launched

    def launch_own(
        self, command: Sequence[str], *, folder: PurePath, environment: Mapping[str, str], write: Write
    ) -> AbstractAsyncContextManager[RunningProgram]:
        """Start the program in a container of its own, or beside this process if that is in none."""
        programs = self._container.own_programs if self._container else None
        launch = programs.launch if programs else launched
        return launch(command, folder=folder, environment=environment, write=write)
