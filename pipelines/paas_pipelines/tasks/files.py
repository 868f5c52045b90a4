"""The files that tasks leave to those after them: packed into one archive a task, kept as long as the run.

Promises: an archive, whoever has made it, is looked through before anything of it is kept or unpacked; what
would lead out of a working directory, is no file, or is beyond a bound, is refused in words. An archive is on
the disk before the record that tells of it (`store.journal`); one of which no record tells is swept.
"""

import hashlib
import os
import re
import stat
import struct
import threading
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from io import BufferedRandom
from itertools import islice, takewhile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import attrs

from paas_pipelines.runs.run import Run, Saved
from paas_pipelines.store.journal import Journal
from paas_runner.inner.entries import FileRules
from paas_runner.inner.files.archive import ArchiveError, Format, write_archive
from paas_runner.inner.files.folder import Folder
from paas_runner.inner.files.selection import select
from paas_runner.inner.files.unpack import unpack

MEBIBYTE = 1024 * 1024
MOST_TASK_BYTES = 100 * MEBIBYTE
MOST_RUN_BYTES = 1024 * MEBIBYTE
MOST_ENTRIES = 10_000

_MOST_DIRECTORY_BYTES = 10 * MEBIBYTE  # of an archive's own list, which is read into memory
_END = struct.Struct("<4s4H2LH")
_MOST_COMMENT_BYTES = 65_535
_MOST_LINK_BYTES = 4096
_HARMLESS = re.compile(r"no matching files|\.git directory|unexpected problems")


@attrs.frozen(kw_only=True)
class Entry:
    """A file in an archive; its size is in bytes."""

    name: str
    size: int


class FilesError(Exception):
    """What cannot be saved or loaded, in words for the author of the task."""


@attrs.frozen
class RunFiles:
    """The archives of all runs: `<folder>/<run>/<digest of the task's name>.zip`."""

    folder: Path
    _journal: Journal
    most_task_bytes: int = MOST_TASK_BYTES
    most_run_bytes: int = MOST_RUN_BYTES
    _saving: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def path(self, run_id: str, task: str) -> Path:
        """Of a task's archive; raises ValueError for a run's id that is no name of a folder."""
        if "/" in run_id or run_id in ("", ".", ".."):
            raise ValueError("the id of a run is no name of a folder")
        name = hashlib.sha256(task.encode(errors="surrogatepass")).hexdigest()[:32]
        return self.folder / run_id / f"{name}.zip"

    def sweep(self, runs: Iterable[Run]) -> None:
        """Remove what no record tells of: once, before any task is at work."""
        tasks = ((run.run_id, task.name) for run in runs for task in run.tasks if task.saved)
        known = {self.path(*each) for each in tasks}
        for path in self.folder.glob("*/*"):
            if path not in known:
                path.unlink(missing_ok=True)
        for path in self.folder.glob("*"):
            with suppress(OSError):
                path.rmdir()  # as long as it is empty

    def save(self, run_id: str, task: str, folder: Path, patterns: Sequence[str]) -> Saved:
        """Pack what they mean in the folder, in the place of what was there; raises `FilesError`. Blocks."""
        with _saying("save"), self._new(run_id, task) as (path, file):
            selected = _selected(folder, patterns)
            _check_selected(Folder(folder), selected, self.most_task_bytes)
            write_archive(file, Format.ZIP, Folder(folder), selected)
            return self._kept(path, file, run_id, task)

    def take(self, run_id: str, task: str, content: bytes) -> Saved:
        """Keep an archive that another machine has made; raises `FilesError`. Blocks."""
        with _saying("save"), self._new(run_id, task) as (path, file):
            file.write(content)
            return self._kept(path, file, run_id, task)

    def load(self, run: Run, names: Sequence[str], folder: Path) -> None:
        """Unpack what these tasks have left, in that order; raises `FilesError`. Blocks.

        A task that was skipped has left nothing.
        """
        for name in names:
            if (saved := run.task(name).saved) is None:
                continue
            with _saying(f'load: the files of "{name}"'), self.path(run.run_id, name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != saved.digest:
                    raise FilesError("they were changed on the disk")
                check(file, self.most_task_bytes)
                unpack(file, Folder(folder))

    def entries(self, run_id: str, task: str, most: int) -> Sequence[Entry]:
        """The first that a task has saved, in the archive's order; none where it is gone or unreadable."""
        try:
            with zipfile.ZipFile(self.path(run_id, task)) as archive:
                found = (each for each in archive.infolist() if not each.is_dir())
                return [Entry(name=each.filename, size=each.file_size) for each in islice(found, most)]
        except (OSError, zipfile.BadZipFile, NotImplementedError):
            return []

    def _new(self, run_id: str, task: str) -> "_Replacing":
        path = self.path(run_id, task)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _Replacing(path)

    def _kept(self, path: Path, file: BufferedRandom, run_id: str, task: str) -> Saved:
        count = check(file, self.most_task_bytes)
        file.flush()
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
        file.seek(0)
        saved = Saved(digest=hashlib.file_digest(file, "sha256").hexdigest(), size=size, count=count)
        target = self.path(run_id, task)
        with self._saving:
            others = sum(each.stat().st_size for each in target.parent.glob("*.zip") if each != target)
            if others + size > self.most_run_bytes:
                raise FilesError(f"the files of a run are more than {_size(self.most_run_bytes)}")
            path.replace(target)
        return saved

    def durable(self, run_id: str, task: str) -> None:
        """What is put into the journal from now on finds the archive on the disk."""
        path = self.path(run_id, task)
        for each in (path, path.parent, path.parent.parent):
            self._journal.grown(each)


class _Replacing:
    """A new file beside another one, which is gone at the end unless it was moved away."""

    def __init__(self, target: Path) -> None:
        self._path = target.with_suffix(".part")

    def __enter__(self) -> tuple[Path, BufferedRandom]:
        self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b")
        return self._path, self._file

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def _saying(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FilesError(f"{what}: {error.strerror or error}") from None
    except (ArchiveError, FilesError) as error:
        raise FilesError(f"{what}: {error}") from None


def check(archive: BinaryIO, most_bytes: int = MOST_TASK_BYTES) -> int:
    """The count of the entries of an archive that harms nobody; raises `FilesError`, `ArchiveError`."""
    _check_directory(archive)
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _check_bounds(len(entries), sum(entry.file_size for entry in entries), most_bytes)
            links = {entry.filename for entry in entries if _kind(entry) == stat.S_IFLNK}
            for entry in entries:
                _check_entry(opened, entry, links)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise ArchiveError(f"the archive cannot be read: {error}") from error
    archive.seek(0)
    return len(entries)


def _check_directory(archive: BinaryIO) -> None:
    """Before all of its list is read into memory."""
    size = archive.seek(0, os.SEEK_END)
    archive.seek(max(0, size - _END.size - _MOST_COMMENT_BYTES))
    end = archive.read()
    at = end.rfind(b"PK\5\6")
    if at < 0 or len(end) - at < _END.size:
        raise ArchiveError("the archive cannot be read: it is no zip")
    if _END.unpack_from(end, at)[5] > _MOST_DIRECTORY_BYTES:
        raise FilesError(f"there are more than {MOST_ENTRIES:,} files")
    archive.seek(0)


def _kind(entry: zipfile.ZipInfo) -> int:
    return stat.S_IFMT(entry.external_attr >> 16)


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, links: AbstractSet[str]) -> None:
    name = entry.filename
    behind_link = any(str(above) in links for above in PurePosixPath(name).parents)
    if name.startswith("/") or ".." in name.split("/") or "\\" in name or "\0" in name or behind_link:
        raise FilesError(f'"{name}" leads out of the working directory')
    if _kind(entry) == stat.S_IFLNK:
        with archive.open(entry) as file:
            _check_link(name, os.fsdecode(file.read(_MOST_LINK_BYTES)))
    elif _kind(entry) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise FilesError(f'"{name}" is no file, link or folder')


def _check_link(name: str, target: str) -> None:
    """Raises `FilesError` for one that leads out: it may go up before it goes down, and no further."""
    steps = target.split("/")
    ups = len(list(takewhile(lambda step: step == "..", steps)))
    if target.startswith("/") or ".." in steps[ups:] or ups > name.count("/"):
        raise FilesError(f'the link "{name}" leads out of the working directory')


def _check_bounds(count: int, size: int, most_bytes: int) -> None:
    if count > MOST_ENTRIES:
        raise FilesError(f"there are more than {MOST_ENTRIES:,} files")
    if size > most_bytes:
        raise FilesError(f"the files are more than {_size(most_bytes)}")


def _selected(folder: Path, patterns: Sequence[str]) -> Sequence[str]:
    found: dict[str, None] = {}
    for pattern in patterns:
        selection = select(Folder(folder), FileRules(paths=(pattern,)))
        wrong = [note.text for note in selection.notes if note.is_warning and not _HARMLESS.search(note.text)]
        if wrong:
            raise FilesError(wrong[0])
        if not selection.files:
            raise FilesError(f'nothing matches "{pattern}"')
        found.update(dict.fromkeys(selection.files))
    return sorted(found)


def _check_selected(folder: Folder, paths: Sequence[str], most_bytes: int) -> None:
    """Before anything is packed; raises OSError, `FilesError`."""
    statuses = [folder.status(path) for path in paths]
    _check_bounds(
        len(paths), sum(each.st_size for each in statuses if stat.S_ISREG(each.st_mode)), most_bytes
    )
    for path, status in zip(paths, statuses, strict=True):
        if stat.S_ISLNK(status.st_mode):
            with folder.parent(path) as (directory, name):
                _check_link(path, os.readlink(name, dir_fd=directory))


def _size(count: int) -> str:
    gibibytes, rest = divmod(count, 1024 * MEBIBYTE)
    return f"{gibibytes} GiB" if gibibytes and not rest else f"{count // MEBIBYTE} MiB"
