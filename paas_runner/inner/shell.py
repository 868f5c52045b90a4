"""The edge behind which a job's scripts run, and the shell of the host itself: bash if there is one, else sh.

`Shell` is what the flow (`execution.py`) needs of any place for scripts; `runner.toml` says which it is.
"""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path, PurePath
from typing import NoReturn, Protocol

import attrs

from paas_runner.inner.ending import Reason, StageError, broken
from paas_runner.inner.environment import exports, process_environment, startable
from paas_runner.inner.files.folder import Folder
from paas_runner.inner.job import Job, Workspace, write_files
from paas_runner.inner.job_script import Script
from paas_runner.inner.measuring import Group, Tally, own_group, sampled
from paas_runner.inner.process import RunningProgram, Write, launched
from paas_runner.inner.project_folder import Place
from paas_runner.inner.settings import RunnerSection
from paas_runner.inner.trace import Narrator


class Shell(Protocol):
    """Runs scripts; whatever it starts is gone when its contexts are left, however that comes about."""

    @property
    def executor(self) -> str:
        """What the trace calls it, by GitLab Runner's names."""

    @property
    def tally(self) -> Tally:
        """What its scripts have used so far."""

    def workspace(self, place: Place) -> AbstractContextManager[Workspace]:
        """Folders for one job; what no later job may see is gone at the end."""

    def prepared(self, job: Job, narrator: Narrator) -> AbstractAsyncContextManager[None]:
        """All that the job's scripts need beside them (images, services), as long as the context lasts.

        The trace shows what it does: the flow has opened a section for it. Raises `StageError`, or OSError.
        """

    def launch(self, script: Script, write: Write) -> AbstractAsyncContextManager[RunningProgram]:
        """Start a script whose output goes to `write`; at the end of the context nothing of it is alive.

        Raises OSError, or ValueError for text that no process can be given.
        """

    def launch_own(
        self, command: Sequence[str], *, folder: PurePath, environment: Mapping[str, str], write: Write
    ) -> AbstractAsyncContextManager[RunningProgram]:
        """Start a program of ours, as `process.launched` does, where it has no more than the job has."""


def shell_for(section: RunnerSection, hidden: Sequence[Path] = ()) -> Shell:
    """The shell that the section's `executor` names; one that is not known fails the job with words.

    `hidden` are the operator's files, which no program that works on the job's files may read.
    """
    match section.executor:
        case "shell" | "":
            return ProcessShell(builds_dir=section.builds_dir)
        case "docker":
            from paas_runner.inner.containers import ContainerShell

            return ContainerShell(builds_dir=section.builds_dir, hidden=hidden)
        case _:
            return _UnknownShell(executor=section.executor)


@attrs.frozen(kw_only=True)
class ProcessShell:
    """Runs scripts as this user, with nothing of our own environment but PATH.

    When a script's shell has ended, whatever it left behind is killed.
    """

    executor: str = "shell"
    builds_dir: str = ""
    """Where projects stay from one job to the next; without it each job has a folder for itself alone."""

    group: Group | None = attrs.field(factory=own_group)
    """The cgroup in which nothing runs but this job; without one its processes are counted."""

    tally: Tally = attrs.field(factory=Tally)

    @contextlib.contextmanager
    def workspace(self, place: Place) -> Iterator[Workspace]:
        """Folders that only this user can enter; file variables are always removed at the end."""
        with contextlib.ExitStack() as stack:
            builds = Path(self.builds_dir or stack.enter_context(private_folder()))
            workspace = place(builds)
            builds.mkdir(parents=True, exist_ok=True)
            folder = Folder(builds)  # in which an earlier job may have left links
            project, files = (str(path.relative_to(builds)) for path in (workspace.project, workspace.files))
            stack.callback(_removed, folder, files)
            folder.make_directory(project)
            folder.status(f"{project}/.")  # refuses one that lies elsewhere
            folder.remove_tree(files)
            folder.make_directory(files)
            folder.change_mode(files, 0o700)
            yield workspace

    @contextlib.asynccontextmanager
    async def prepared(self, job: Job, narrator: Narrator) -> AsyncIterator[None]:
        """Nothing is needed beside scripts; the trace names what is not started."""
        narrator.line(f"Using Shell ({Path(_shell()).name}) executor...")
        for name in job.image_names:
            narrator.line(f"The script runs on the host itself; image {name} is not started")
        async with sampled(self.tally, self.group.read) if self.group else contextlib.nullcontext():
            yield

    def launch(self, script: Script, write: Write) -> AbstractAsyncContextManager[RunningProgram]:
        """Start the shell; leaving the context kills all that it has started."""
        environment = process_environment(script.environment, script.workspace)
        started = startable(environment)
        late = {name: value for name, value in environment.items() if name not in started}
        return launched(
            (_shell(), str(_written(script, late))),
            folder=script.workspace.project,
            environment=started,
            write=write,
            used=self._used,
        )

    def launch_own(
        self, command: Sequence[str], *, folder: PurePath, environment: Mapping[str, str], write: Write
    ) -> AbstractAsyncContextManager[RunningProgram]:
        """Start it beside this process: scripts have all that this user has."""
        return launched(command, folder=folder, environment=environment, write=write, used=self._used)

    def _used(self, memory_bytes: int, cpu_seconds: float) -> None:
        if self.group is None:
            self.tally.add_ended(memory_bytes, cpu_seconds)


@attrs.frozen(kw_only=True)
class _UnknownShell(ProcessShell):
    """Cannot run scripts, and fails the job with words."""

    def prepared(self, job: Job, narrator: Narrator) -> NoReturn:  # noqa: ARG002 - as its class says
        """Raises `StageError`."""
        known = 'this inner runner knows `executor = "shell"` and "docker"'
        text = f'runner.toml has `executor = "{self.executor}"`, but {known}'
        raise StageError(broken(text, Reason.CONFIGURATION))


def _removed(folder: Folder, path: str) -> None:
    with contextlib.suppress(OSError):
        folder.remove_tree(path)


@contextlib.contextmanager
def private_folder() -> Iterator[str]:
    """One that only this user can enter; it is gone at the end, with all that can be removed."""
    path = Path(tempfile.mkdtemp(prefix="paas-runner-job-"))
    try:
        yield str(path)
    finally:
        _removed(Folder(path.parent), path.name)


def _shell() -> str:
    return shutil.which("bash") or "/bin/sh"


def _written(script: Script, variables: Mapping[str, str]) -> Path:
    """The script as a file beside the project, which begins by setting these; and its file variables."""
    path = Path(script.workspace.files, f".{script.name}.sh")
    text = "\n".join([*exports(variables), script.text()])
    write_files(script.workspace, {**script.files, path: text})
    return path
