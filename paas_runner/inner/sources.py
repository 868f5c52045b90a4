"""Getting a job's sources with git, as its variables wish (spec gitlab-runner-api.md §10.5)."""

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from pathlib import PurePath

import attrs

from paas_runner.inner.files.folder import Folder
from paas_runner.inner.git import CI_USER, Repository, read_repository
from paas_runner.inner.git_folder import (
    clear,
    is_shallow,
    repository_settings,
    taken_over,
    write_settings,
)
from paas_runner.inner.git_program import JOB_TOKEN_HELPER, Git, Launch, fetching_environment
from paas_runner.inner.job import AUTHORITY, Job, write_files
from paas_runner.inner.settings import GitStrategy, Settings, Submodules
from paas_runner.inner.trace import Narrator

_GIT = ".git"


@attrs.frozen(kw_only=True)
class Sources:
    """One job's repository and the folder that it goes into."""

    repository: Repository
    settings: Settings
    folder: Folder
    git: Git
    narrator: Narrator
    with_job_token: bool
    """Whether a script may go on with git: the credentials are those that it has in `CI_JOB_TOKEN`."""

    async def fetch(self) -> None:
        """Do all that the strategy says; raises `StageError`."""
        match self.settings.git_strategy:
            case GitStrategy.NONE:
                self.narrator.notice("Skipping Git repository setup")
                return
            case GitStrategy.EMPTY:
                self.narrator.notice("Skipping Git repository setup and creating an empty build directory")
                await asyncio.to_thread(clear, self.folder)
                return
            case GitStrategy.CLONE:
                await asyncio.to_thread(clear, self.folder)
            case GitStrategy.FETCH:
                pass
        await self._fetch_commits()
        if self.settings.git_checkout:
            await self._check_out()
        else:
            self.narrator.notice("Skipping Git checkout")
        if self.settings.submodules is Submodules.NONE:
            self.narrator.notice("Skipping Git submodules setup")
        else:
            await self._update_submodules(recursive=self.settings.submodules is Submodules.RECURSIVE)

    async def clear(self) -> None:
        """Remove all files that git knows of and all others, before another try."""
        await asyncio.to_thread(clear, self.folder, keeping=_GIT)

    async def _fetch_commits(self) -> None:
        depth = self._depth
        note = f" with git depth set to {depth}" if depth else ""
        self.narrator.notice(f"Fetching changes{note}...")
        with_submodules = self.settings.submodules is not Submodules.NONE
        fresh = not await asyncio.to_thread(taken_over, self.folder, nested=with_submodules)
        if not fresh:
            self._write_settings()
        kind = self.repository.object_format
        await self.git.must(
            "init", "--template=", *(() if kind == "sha1" else (f"--object-format={kind}",)), "."
        )
        if fresh:
            self._write_settings()
            self.narrator.notice("Created fresh repository.")
        shallow = is_shallow(self.folder)
        limit = ("--depth", str(depth)) if depth else ("--unshallow",) if shallow else ()
        await self.git.must(
            *("fetch", "origin", "--no-recurse-submodules", *self.repository.refspecs),
            *(*limit, *self.settings.git_fetch_flags),
        )

    def _write_settings(self) -> None:
        settings = repository_settings(self.repository.object_format, self.repository.url)
        write_settings(self.folder, [*settings, self._token_helper] if self.with_job_token else settings)

    async def _check_out(self) -> None:
        sha = self.repository.sha
        self.narrator.notice(f"Checking out {sha[:8]} as detached HEAD (ref is {self.repository.ref})...")
        await self.git.must("checkout", "-f", "-q", sha)
        if self.settings.git_clean_flags:
            await self.git.must("clean", *self.settings.git_clean_flags)
        if self._with_lfs:
            await self.git.must("lfs", "pull")

    async def _update_submodules(self, *, recursive: bool) -> None:
        depth = self._submodule_depth
        how = f"{' recursively' if recursive else ''}{f' with git depth set to {depth}' if depth else ''}"
        self.narrator.notice(f"Updating/initializing submodules{how}...")
        deep = ("--recursive",) if recursive else ()
        paths = ("--", *self.settings.submodule_paths) if self.settings.submodule_paths else ()
        each = ("submodule", "--quiet", "foreach", *deep)
        clean = (*each, "git", "clean", *(self.settings.git_clean_flags or ("-ffdx",)))
        reset = (*each, "git", "reset", "--hard", "--quiet")
        synchronise = ("submodule", "--quiet", "sync", *deep, *paths)
        update = (
            *("submodule", "update", "--init", *deep),
            *(("--depth", str(depth)) if depth else ()),
            *(*self.settings.submodule_update_flags, *paths),
        )
        await self.git.must("submodule", "init")
        await self.git.must(*synchronise)
        await self.git.must(*clean)
        await self.git.must(*reset)
        if await self.git.code(*update):
            self.narrator.warning("Updating submodules failed. Retrying...")
            await self.git.must(*synchronise)
            await self.git.must(*update)
            await self.git.must(*reset)
        self.narrator.notice("Updated submodules")
        await self.git.must(*clean)
        if self.with_job_token:
            await self.git.must(*each, "git", "config", *self._token_helper)
        if self._with_lfs:
            await self.git.must(*each, "git", "lfs", "pull")

    @property
    def _depth(self) -> int:
        wanted = self.settings.git_depth
        return self.repository.depth if wanted is None else wanted

    @property
    def _submodule_depth(self) -> int:
        wanted = self.settings.submodule_depth
        return self._depth if wanted is None else wanted

    @property
    def _with_lfs(self) -> bool:
        return not self.settings.lfs_skip_smudge and shutil.which("git-lfs") is not None

    @property
    def _token_helper(self) -> tuple[str, str]:
        return f"credential.{self.repository.origin}.helper", JOB_TOKEN_HELPER


def job_sources(job: Job, folder: Folder, narrator: Narrator, launch: Launch) -> Sources | None:
    """The sources of a job in its folder, which must have been found before any script ran.

    None when its payload names no repository. Raises `StageError`.
    """
    repository = read_repository(job)
    if repository is None:
        return None
    write_files(job.workspace, job.variables.files)  # git may need one: a certificate
    project = job.workspace.project
    git = Git(
        folder=project,
        environment=fetching_environment(
            job.variables.environment,
            repository,
            tuple(_rewritten(job, repository)),
            folder=project,
            certificates=_certificates(job),
            authorities=_authorities(job, repository),
        ),
        write=narrator.write,
        launch=launch,
    )
    with_token = repository.password.reveal() == job.variables.get("CI_JOB_TOKEN")
    return Sources(
        repository=repository,
        settings=job.settings,
        folder=folder,
        git=git,
        narrator=narrator,
        with_job_token=with_token and repository.user == CI_USER,
    )


def _certificates(job: Job) -> str:
    """The file variable that the author lets git trust, if any."""
    wanted = job.variables.get("GIT_SSL_CAINFO")
    return wanted if PurePath(wanted) in job.variables.files else ""


def _authorities(job: Job, repository: Repository) -> Mapping[str, str]:
    """For the coordinator, and where the sources are, the file that says whom to trust there."""
    if not job.section.authority:
        return {}
    return dict.fromkeys((job.section.url, repository.origin), job.variables.get(AUTHORITY))


def _rewritten(job: Job, repository: Repository) -> Iterator[tuple[str, str]]:
    """What submodules of the same installation are fetched from instead (§10.5)."""
    if job.section.clone_url:
        yield f"{repository.origin}/", f"{job.section.url}/"
    host = job.variables.get("CI_SERVER_SHELL_SSH_HOST") or job.variables.get("CI_SERVER_HOST")
    if job.settings.submodule_force_https and host:
        port = job.variables.get("CI_SERVER_SHELL_SSH_PORT")
        server = job.section.clone_url.rstrip("/") or job.section.url
        yield f"{server}/", f"git@{host}:"
        yield f"{server}/", f"ssh://git@{host}{f':{port}' if port not in ('', '22') else ''}/"
