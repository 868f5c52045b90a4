"""The archives of caches that stay on this host from one job to the next.

They are `<cache_dir>/<project>/<key>/cache.zip`, as GitLab Runner has them. Without a `cache_dir` nothing
stays; then only the times of the archives of this job are known.
"""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

import attrs

from paas_runner.inner.files.folder import Folder

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL


@attrs.frozen(kw_only=True)
class Shelf:
    """The archives of one project; jobs may have a hand in there (a volume), so no link is followed."""

    folder: Folder | None = None
    """The `cache_dir`."""

    project: str = ""
    """Its full path."""

    _times: dict[str, float] = attrs.field(factory=dict, init=False)

    def time_here(self, key: str) -> float | None:
        """When the archive that stays here was made, in seconds since the epoch; None for none."""
        if self.folder is not None:
            with contextlib.suppress(OSError):
                return self.folder.status(self._path(key)).st_mtime
        return None

    def time_known(self, key: str) -> float | None:
        """The same, also of one that was fetched for this job and did not stay."""
        here = self.time_here(key)
        return self._times.get(key) if here is None else here

    @contextlib.contextmanager
    def opened(self, key: str) -> Iterator[BinaryIO]:
        """The archive that stays here; raises OSError."""
        if self.folder is None:
            raise FileNotFoundError("file does not exist")
        with self.folder.reading(self._path(key)) as file:
            yield file

    @contextlib.contextmanager
    def new(self, key: str) -> Iterator["NewArchive"]:
        """An empty file for an archive; it is gone afterwards unless it is kept; raises OSError."""
        if self.folder is None:
            with tempfile.TemporaryFile() as file:
                yield NewArchive(file, lambda made_at: self._times.update({key: made_at}))
            return
        folder, place = self.folder, self._path(key).rpartition("/")[0]
        folder.make_directory(place)
        path = f"{place}/.archive_{secrets.token_hex(8)}"
        with (
            folder.opened(path, _NEW) as descriptor,
            open(descriptor, "w+b", closefd=False) as file,
        ):
            try:
                yield NewArchive(file, lambda _: folder.rename(path, self._path(key)))
            finally:
                folder.remove(path)

    def _path(self, key: str) -> str:
        return f"{self.project}/{key}/cache.zip"


@attrs.frozen
class NewArchive:
    """A file that may become the archive of its key."""

    file: BinaryIO
    _put: Callable[[float], None]

    def keep(self, made_at: float | None = None) -> None:
        """Put it in the archive's place; it was made now unless another time is given; raises OSError."""
        self.file.flush()
        if made_at is not None:
            os.utime(self.file.fileno(), (made_at, made_at))
        self._put(os.fstat(self.file.fileno()).st_mtime)
