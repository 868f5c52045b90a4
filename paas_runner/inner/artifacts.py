"""A job's artifacts: those of other jobs before its scripts, its own after them.

What goes wrong here fails the job, as it does in GitLab Runner, where the helper then exits with 1; no file
to be uploaded does not.
"""

import tempfile
from pathlib import Path

import attrs
import httpx

from paas_runner.inner.artifact_transfer import ArtifactTransfer
from paas_runner.inner.attempts import PAUSE_SECONDS, FailedTryError
from paas_runner.inner.ending import StageError, exited
from paas_runner.inner.entries import ArtifactEntry, Dependency, due, read_artifacts, read_dependencies
from paas_runner.inner.files.archive import ArchiveError, Format, write_archive
from paas_runner.inner.files.folder import Folder, in_thread
from paas_runner.inner.files.selection import found
from paas_runner.inner.files.unpack import unpack_in_thread
from paas_runner.inner.git_program import Launch
from paas_runner.inner.job import Job
from paas_runner.inner.trace import Narrator
from paas_runner.secret import Secret


@attrs.frozen(kw_only=True)
class Artifacts:
    """Both directions, for one job."""

    job_id: int
    token: Secret
    folder: Folder
    entries: tuple[ArtifactEntry, ...]
    dependencies: tuple[Dependency, ...]
    transfer: ArtifactTransfer
    narrator: Narrator
    launch: Launch

    def to_upload(self, *, succeeded: bool) -> tuple[ArtifactEntry, ...]:
        """The entries that are uploaded after such a result of the scripts."""
        return due(self.entries, succeeded=succeeded)

    async def download(self) -> None:
        """Get and unpack the artifacts of each dependency, in order; raises `StageError`."""
        for dependency in self.dependencies:
            self.narrator.notice(f"Downloading artifacts for {dependency.name} ({dependency.job_id})...")
            try:
                await self._download(dependency)
            except (FailedTryError, ArchiveError, OSError) as error:
                self.narrator.error(str(error))
                raise StageError(exited(1)) from error

    async def upload(self, *, succeeded: bool) -> None:
        """Upload each entry, whatever becomes of the others; raises `StageError` when one failed."""
        failed = False
        for entry in self.to_upload(succeeded=succeeded):
            self.narrator.notice("Uploading artifacts...")
            try:
                await self._upload(entry)
            except (FailedTryError, ArchiveError, OSError) as error:
                self.narrator.error(str(error))
                failed = True
        if failed:
            raise StageError(exited(1))

    async def _download(self, dependency: Dependency) -> None:
        with tempfile.TemporaryFile() as file:
            await self.transfer.download(dependency, file)
            await unpack_in_thread(file, self.folder, self.narrator)

    async def _upload(self, entry: ArtifactEntry) -> None:
        kind = _format(entry)
        selection = await found(self.folder, entry.wanted, self.narrator, self.launch)
        if not selection.files:
            self.narrator.error("No files to upload")
            return
        with tempfile.TemporaryFile() as file:
            await in_thread(
                lambda checkpoint: write_archive(file, kind, self.folder, selection.files, checkpoint)
            )
            await self.transfer.upload(file, entry, job_id=self.job_id, token=self.token)


def job_artifacts(
    job: Job, narrator: Narrator, client: httpx.AsyncClient, launch: Launch, *, pause: float = PAUSE_SECONDS
) -> Artifacts:
    """Those of a job in its folder; to be made before any script runs. `client` knows the coordinator."""
    return Artifacts(
        job_id=job.payload.job_id,
        token=job.payload.token,
        folder=Folder(Path(job.workspace.project)),
        entries=read_artifacts(job.payload.raw.get("artifacts"), job.variables.expand),
        dependencies=read_dependencies(job.payload.raw.get("dependencies")),
        transfer=ArtifactTransfer(client=client, narrator=narrator, pause=pause),
        narrator=narrator,
        launch=launch,
    )


def _format(entry: ArtifactEntry) -> Format:
    try:
        return Format(entry.format or Format.ZIP)
    except ValueError:
        raise ArchiveError(f"`artifact_format` {entry.format} is not known to this runner") from None
