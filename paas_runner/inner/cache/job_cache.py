"""A job's caches: restored before its scripts, saved after them.

Nothing that goes wrong here fails the job: it is a warning in the trace.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import attrs
import httpx

from paas_runner.inner.attempts import PAUSE_SECONDS, FailedTryError
from paas_runner.inner.cache.settings import CacheSettings, read_cache_settings
from paas_runner.inner.cache.shelf import Shelf
from paas_runner.inner.cache.transfer import CacheTransfer
from paas_runner.inner.entries import CacheEntry, CachePolicy, FileRules, due, read_caches
from paas_runner.inner.files.archive import ArchiveError, Format, write_archive
from paas_runner.inner.files.folder import Folder, in_thread
from paas_runner.inner.files.selection import found
from paas_runner.inner.files.unpack import unpack_in_thread
from paas_runner.inner.git_program import Launch
from paas_runner.inner.job import Job, mappings
from paas_runner.inner.trace import Narrator
from paas_runner.job.known_runner import short_token


@attrs.frozen(kw_only=True)
class Cache:
    """All caches of one job."""

    folder: Folder
    entries: tuple[CacheEntry, ...]
    shelf: Shelf
    settings: CacheSettings
    transfer: CacheTransfer | None
    """None without a bucket."""

    runner: str
    """The short token, which stands in the names of objects."""

    project_id: int
    narrator: Narrator
    launch: Launch

    def to_archive(self, *, succeeded: bool) -> tuple[CacheEntry, ...]:
        """The entries that are looked at after such a result of the scripts."""
        return due(self.entries, succeeded=succeeded)

    async def restore(self) -> None:
        """Unpack each cache, or the first of its fallbacks that exists."""
        for warning in self.settings.warnings:
            self.narrator.warning(warning)
        for entry in self.entries:
            if self._may(entry, CachePolicy.PULL, "extraction"):
                await self._restore(entry)

    async def archive(self, *, succeeded: bool) -> None:
        """Save each cache that has changed."""
        for entry in self.to_archive(succeeded=succeeded):
            if self._may(entry, CachePolicy.PUSH, "archiving"):
                self.narrator.notice(f"Creating cache {entry.key.text}...")
                with self._warning_of("Failed to create cache"):
                    if await self._create(entry.key.text, entry.wanted):
                        self.narrator.notice("Created cache")

    def _may(self, entry: CacheEntry, direction: CachePolicy, what: str) -> bool:
        """Whether the author wants it and it can be done; the trace has the reason why not."""
        if entry.key.warning:
            self.narrator.warning(entry.key.warning)
        if self.transfer is None and self.shelf.folder is None:
            why = "runner.toml has neither `cache_dir` nor a [runners.cache] that can be used"
            self.narrator.notice(f"Skipping cache {what}: {why}")
        elif not entry.key.text:
            self.narrator.notice(f"Skipping cache {what} due to empty cache key")
        elif entry.policy is None:
            self.narrator.warning(f"Skipping cache {what}: the policy of {entry.key.text} is not known")
        elif not entry.policy.allows(direction):
            verb = "downloading" if direction is CachePolicy.PULL else "uploading"
            self.narrator.notice(f"Not {verb} cache {entry.key.text} due to policy")
        else:
            return True
        return False

    @contextlib.contextmanager
    def _warning_of(self, what: str) -> Iterator[None]:
        """Make warnings of what goes wrong within."""
        try:
            yield
        except (FailedTryError, ArchiveError, OSError) as error:
            self.narrator.warning(_words(error))
            self.narrator.warning(what)

    async def _restore(self, entry: CacheEntry) -> None:
        for key in self._candidates(entry):
            self.narrator.notice(f"Checking cache for {key}...")
            with self._warning_of("Failed to extract cache"):
                await self._extract(key)
                self.narrator.notice("Successfully extracted cache")
                return

    def _candidates(self, entry: CacheEntry) -> Iterator[str]:
        """The keys to be tried in order; what is wrong with one becomes a warning when its turn comes."""
        yield entry.key.text
        for key in entry.fallbacks:
            if key.warning:
                self.narrator.warning(key.warning)
            if key.text:
                yield key.text

    async def _extract(self, key: str) -> None:
        if self.transfer is None:
            self.narrator.line("The runner has no bucket: the cache is looked for on this host alone")
        elif await self._fetch(key, self.transfer):
            return
        with self.shelf.opened(key) as file:
            await unpack_in_thread(file, self.folder, self.narrator)

    async def _fetch(self, key: str, transfer: CacheTransfer) -> bool:
        """Whether there was a newer archive than here, which then was unpacked."""
        with self.shelf.new(key) as new:
            made_at = await transfer.download(self._object(key), new.file, self.shelf.time_here(key))
            if made_at is None:
                return False
            new.keep(made_at)
            await unpack_in_thread(new.file, self.folder, self.narrator)
            return True

    async def _create(self, key: str, wanted: FileRules) -> bool:
        """Whether there is a cache now; without files an earlier one stays, and fallbacks can be found."""
        selection = await found(self.folder, wanted, self.narrator, self.launch)
        if not selection.files:
            self.narrator.line("No files to cache: no archive is made")
            return False
        made_at = self.shelf.time_known(key)
        if made_at is not None and selection.newest <= made_at:
            self.narrator.line("Archive is up to date!")
            return True
        with self.shelf.new(key) as new:
            await in_thread(
                lambda checkpoint: write_archive(
                    new.file, Format.ZIP, self.folder, selection.files, checkpoint
                )
            )
            new.keep()
            await self._upload(key, new.file)
        return True

    async def _upload(self, key: str, file: BinaryIO) -> None:
        size, most = os.fstat(file.fileno()).st_size, self.settings.most_bytes
        if self.transfer is None:
            self.narrator.line("The runner has no bucket: the cache is kept on this host alone")
        elif most and size > most:
            why = f"The cache has {size} bytes, the bucket takes {most} at most"
            self.narrator.line(f"{why}: it is kept on this host alone")
        else:
            await self.transfer.upload(self._object(key), file)

    def _object(self, key: str) -> str:
        return self.settings.object_name(self.runner, self.project_id, key)


def job_cache(
    job: Job, narrator: Narrator, client: httpx.AsyncClient, launch: Launch, *, pause: float = PAUSE_SECONDS
) -> Cache:
    """The caches of a job in its folder; to be made before any script runs.

    Whose they are is what the coordinator says of the job, not what the job's variables say: these may be the
    author's. `client` may be that of the coordinator.
    """
    settings = read_cache_settings(job.section.tables.get("cache", {}))
    transfer = None
    if settings.bucket is not None:
        transfer = CacheTransfer(
            bucket=settings.bucket, client=client, narrator=narrator, clock=narrator.clock, pause=pause
        )
    project_id, project_path = _project(job)
    return Cache(
        folder=Folder(Path(job.workspace.project)),
        entries=read_caches(
            job.payload.raw.get("cache"),
            job.variables.expand,
            default_key=f"{job.payload.job_name}/{job.variables.get('CI_COMMIT_REF_NAME')}",
            fallback_key=job.variables.get("CACHE_FALLBACK_KEY"),
        ),
        shelf=Shelf(folder=_cache_dir(job), project=project_path),
        settings=settings,
        transfer=transfer,
        runner=short_token(job.section.token),
        project_id=project_id,
        narrator=narrator,
        launch=launch,
    )


def _project(job: Job) -> tuple[int, str]:
    """Number and path of the job's project; older coordinators do not say the path (spec §2.6)."""
    (info,) = mappings([job.payload.raw.get("job_info")]) or [{}]
    number = info.get("project_id")
    number = number if isinstance(number, int) else 0
    return number, str(info.get("project_full_path") or number)


def _cache_dir(job: Job) -> Folder | None:
    if not job.section.cache_dir:
        return None
    path = Path(job.section.cache_dir)
    with contextlib.suppress(OSError):  # reported when an archive is to be put there
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Folder(path)


def _words(error: Exception) -> str:
    """What went wrong, without the names of our own files."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
