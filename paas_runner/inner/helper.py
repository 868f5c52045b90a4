"""What the inner runner does itself in a job's folder, around the scripts: sources, cache, artifacts.

GitLab Runner does it in a helper container; here it is the inner runner's own process, wherever scripts run.
"""

import enum
from typing import Protocol


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
    """Does one job's stages that are no scripts; what it has to say goes into the trace."""

    def has(self, stage: Stage) -> bool:
        """Whether there is anything to do: a stage without leaves nothing in the trace."""

    async def run(self, stage: Stage) -> None:
        """Do it; may be cancelled anywhere and repeated. Raises `StageError` for what ends the job."""


class NoHelper:
    """For a job of which nothing but the scripts is wanted."""

    def has(self, stage: Stage) -> bool:  # noqa: ARG002 - the same for all
        """Nothing to do."""
        return False

    async def run(self, stage: Stage) -> None:
        """Do nothing."""
