"""The inner runner as the helper of one job: sources by git, cache and artifacts by their own modules."""

from collections.abc import Iterator
from pathlib import Path

import attrs
import httpx

from paas_runner.inner.artifacts import Artifacts, job_artifacts
from paas_runner.inner.cache import Cache, job_cache
from paas_runner.inner.git import Git, git_environment
from paas_runner.inner.helper import Stage
from paas_runner.inner.job import Job
from paas_runner.inner.narrator import Narrator
from paas_runner.inner.process_shell import process_environment
from paas_runner.inner.repository import Repository, read_repository
from paas_runner.inner.section import write_files
from paas_runner.inner.sources import Sources


@attrs.frozen(kw_only=True)
class JobHelper:
    """Works in the job's folder, which it needs as a real one."""

    job: Job
    narrator: Narrator
    cache: Cache
    artifacts: Artifacts

    def has(self, stage: Stage) -> bool:
        """Sources are spoken of in any case, all else where the payload names it."""
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
                sources = self._sources()
                if sources is None:
                    self.narrator.line("The job's payload names no repository: there are no sources to fetch")
                else:
                    await sources.fetch()
            case Stage.CLEAR_WORKTREE:
                sources = self._sources()
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

    def _sources(self) -> Sources | None:
        repository = read_repository(self.job)
        if repository is None:
            return None
        write_files(self.job.variables.files)  # git may be told of them: a certificate, a key
        folder = Path(self.job.workspace.project)
        base = process_environment(self.job.variables.environment, self.job.workspace)
        git = Git(
            folder=folder,
            environment=git_environment(base, repository, tuple(self._rewritten(repository))),
            write=self.narrator.write,
        )
        token = repository.password.reveal() == self.job.variables.get("CI_JOB_TOKEN")
        return Sources(
            repository=repository,
            settings=self.job.settings,
            folder=folder,
            git=git,
            narrator=self.narrator,
            with_job_token=token and repository.user == "gitlab-ci-token",
        )

    def _rewritten(self, repository: Repository) -> Iterator[tuple[str, str]]:
        """What submodules of the same installation are fetched from instead (§10.5)."""
        if self.job.section.clone_url:
            yield f"{repository.origin}/", f"{self.job.section.url}/"
        host = self.job.variables.get("CI_SERVER_SHELL_SSH_HOST") or self.job.variables.get("CI_SERVER_HOST")
        if self.job.settings.submodule_force_https and host:
            port = self.job.variables.get("CI_SERVER_SHELL_SSH_PORT")
            server = self.job.section.clone_url.rstrip("/") or self.job.section.url
            yield f"{server}/", f"git@{host}:"
            yield f"{server}/", f"ssh://git@{host}{f':{port}' if port not in ('', '22') else ''}/"


def job_helper(job: Job, narrator: Narrator, client: httpx.AsyncClient) -> JobHelper:
    """The helper of a job whose folder has just been made; `client` knows the coordinator."""
    return JobHelper(
        job=job,
        narrator=narrator,
        cache=job_cache(job, narrator, client),
        artifacts=job_artifacts(job, narrator, client),
    )
