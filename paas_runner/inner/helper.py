"""What the inner runner does itself in a job's folder, around the scripts: sources, cache, artifacts.

GitLab Runner does it in a helper container. Here it is the inner runner's own process, but for programs that
obey what is in the folder, git, which run where the shell of the job lets them.
"""

import enum
from pathlib import Path
from typing import Protocol

import attrs
import httpx

from paas_runner.inner.artifacts import Artifacts, job_artifacts
from paas_runner.inner.cache import Cache, job_cache
from paas_runner.inner.files.folder import Folder
from paas_runner.inner.git_program import Launch
from paas_runner.inner.job import Job
from paas_runner.inner.sources import job_sources
from paas_runner.inner.trace import Narrator


class Stage(enum.Enum):
    """A stage that is no script: its name in the trace, its title, and the variable for its attempts."""

    GET_SOURCES = ("get_sources", "Getting source from Git repository", "GET_SOURCES_ATTEMPTS")
    CLEAR_WORKTREE = (
        "clear_worktree",
        "Deleting all tracked and untracked files due to source fetch failure",
        None,
    )
    RESTORE_CACHE = ("restore_cache", "Restoring cache", "RESTORE_CACHE_ATTEMPTS")
    DOWNLOAD_ARTIFACTS = ("download_artifacts", "Downloading artifacts", "ARTIFACT_DOWNLOAD_ATTEMPTS")
    ARCHIVE_CACHE = ("archive_cache", "Saving cache for successful job", None)
    ARCHIVE_CACHE_ON_FAILURE = ("archive_cache_on_failure", "Saving cache for failed job", None)
    UPLOAD_ARTIFACTS = ("upload_artifacts_on_success", "Uploading artifacts for successful job", None)
    UPLOAD_ARTIFACTS_ON_FAILURE = ("upload_artifacts_on_failure", "Uploading artifacts for failed job", None)

    def __init__(self, section: str, title: str, attempts: str | None) -> None:
        self.section = section
        self.title = title
        self.attempts = attempts


BEFORE_SCRIPTS = (Stage.GET_SOURCES, Stage.RESTORE_CACHE, Stage.DOWNLOAD_ARTIFACTS)
AFTER_SUCCESS = (Stage.ARCHIVE_CACHE, Stage.UPLOAD_ARTIFACTS)
AFTER_FAILURE = (Stage.ARCHIVE_CACHE_ON_FAILURE, Stage.UPLOAD_ARTIFACTS_ON_FAILURE)


class Helper(Protocol):
    """Does one job's stages that are no scripts; its messages go into the trace."""

    def has(self, stage: Stage) -> bool:
        """Whether there is anything to do: a stage without leaves nothing in the trace."""

    async def run(self, stage: Stage) -> None:
        """Do it; may be canceled anywhere and repeated. Raises `StageError` for what ends the job."""


class NoHelper:
    """For a job of which nothing but the scripts is wanted."""

    def has(self, stage: Stage) -> bool:  # noqa: ARG002 - the same for all
        """Nothing to do."""
        return False

    async def run(self, stage: Stage) -> None:
        """Do nothing."""


@attrs.frozen(kw_only=True)
class JobHelper:
    """Works in the job's folder, which it needs as a real one."""

    job: Job
    folder: Folder
    """The job's, found before any script could put a link in its place."""

    narrator: Narrator
    cache: Cache
    artifacts: Artifacts
    launch: Launch

    def has(self, stage: Stage) -> bool:
        """Sources have a section in every trace, all else where the payload names it."""
        match stage:
            case Stage.GET_SOURCES | Stage.CLEAR_WORKTREE:
                return True
            case Stage.RESTORE_CACHE:
                return bool(self.cache.entries)
            case Stage.DOWNLOAD_ARTIFACTS:
                return bool(self.artifacts.dependencies)
            case Stage.ARCHIVE_CACHE | Stage.ARCHIVE_CACHE_ON_FAILURE:
                return bool(self.cache.to_archive(succeeded=stage is Stage.ARCHIVE_CACHE))
            case Stage.UPLOAD_ARTIFACTS | Stage.UPLOAD_ARTIFACTS_ON_FAILURE:
                return bool(self.artifacts.to_upload(succeeded=stage is Stage.UPLOAD_ARTIFACTS))

    async def run(self, stage: Stage) -> None:
        """Do it; raises `StageError`."""
        match stage:
            case Stage.GET_SOURCES:
                sources = job_sources(self.job, self.folder, self.narrator, self.launch)
                if sources is None:
                    self.narrator.line("The job's payload names no repository: there are no sources to fetch")
                else:
                    await sources.fetch()
            case Stage.CLEAR_WORKTREE:
                sources = job_sources(self.job, self.folder, self.narrator, self.launch)
                if sources is not None:
                    await sources.clear()
            case Stage.RESTORE_CACHE:
                await self.cache.restore()
            case Stage.DOWNLOAD_ARTIFACTS:
                await self.artifacts.download()
            case Stage.ARCHIVE_CACHE | Stage.ARCHIVE_CACHE_ON_FAILURE:
                await self.cache.archive(succeeded=stage is Stage.ARCHIVE_CACHE)
            case Stage.UPLOAD_ARTIFACTS | Stage.UPLOAD_ARTIFACTS_ON_FAILURE:
                await self.artifacts.upload(succeeded=stage is Stage.UPLOAD_ARTIFACTS)


def job_helper(job: Job, narrator: Narrator, client: httpx.AsyncClient, launch: Launch) -> JobHelper:
    """The helper of a job whose folder has just been made.

    `client` knows the coordinator, `launch` starts programs that work on the folder.
    """
    return JobHelper(
        job=job,
        folder=Folder(Path(job.workspace.project)),
        narrator=narrator,
        cache=job_cache(job, narrator, client, launch),
        artifacts=job_artifacts(job, narrator, client, launch),
        launch=launch,
    )
