"""Files of a job's folder as one file that can be sent: a zip, gzip members one after another, or as it is.

Read and written in pieces: however large they are, they take little memory.
"""

import enum
import gzip
import os
import stat
import struct
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import IO, BinaryIO, Protocol

from paas_runner.errors import RunnerError
from paas_runner.inner.files.folder import Checkpoint, Folder, never_stopping

_PIECE_BYTES = 1024 * 1024
_EARLIEST, _LATEST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)  # what a zip can say
TIMES = 0x5455
"""The extra field with exact times (appnote.txt, "extended timestamp")."""


class Sink(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take some."""


class ArchiveError(RunnerError):
    """Something that cannot be an archive, or what is in one cannot be done."""


class Format(enum.StrEnum):
    """Values of `artifact_format` (spec gitlab-runner-api.md §6.1)."""

    ZIP = "zip"
    GZIP = "gzip"
    RAW = "raw"


def write_archive(
    target: BinaryIO,
    kind: Format,
    folder: Folder,
    files: Sequence[str],
    checkpoint: Checkpoint = never_stopping,
) -> None:
    """Write these into an open file, which is at its beginning afterwards.

    Raises OSError, and `ArchiveError` when the format cannot hold them.
    """
    match kind:
        case Format.ZIP:
            _zip(target, folder, files, checkpoint)
        case Format.GZIP:
            _gzip(target, folder, files, checkpoint)
        case Format.RAW:
            _raw(target, folder, files, checkpoint)
    target.seek(0)


def copy(source: IO[bytes], target: Sink, checkpoint: Checkpoint) -> None:
    """Copy in pieces, from where both are."""
    while piece := source.read(_PIECE_BYTES):
        checkpoint()
        target.write(piece)


def _zip(target: BinaryIO, folder: Folder, files: Sequence[str], checkpoint: Checkpoint) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for path in files:
            checkpoint()
            with folder.parent(path) as (directory, name):
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                if stat.S_ISLNK(status.st_mode):
                    link = os.readlink(name, dir_fd=directory)
                    archive.writestr(_entry(path, status), os.fsencode(link))
            if stat.S_ISDIR(status.st_mode):
                archive.writestr(_entry(f"{path}/", status), b"")
            elif stat.S_ISREG(status.st_mode):
                with folder.reading(path) as source, archive.open(_file_entry(path, source), "w") as entry:
                    copy(source, entry, checkpoint)


def _gzip(target: BinaryIO, folder: Folder, files: Sequence[str], checkpoint: Checkpoint) -> None:
    """Each file as a member with its name and time (spec gitlab-runner-api.md §6.1)."""
    for path in _regular(folder, files):
        with folder.reading(path) as source:
            moment = os.fstat(source.fileno()).st_mtime
            with gzip.GzipFile(path, "wb", 6, target, moment) as member:
                copy(source, member, checkpoint)


def _raw(target: BinaryIO, folder: Folder, files: Sequence[str], checkpoint: Checkpoint) -> None:
    if len(files) != 1 or not _regular(folder, files):
        raise ArchiveError("only one file can be sent as raw")
    with folder.reading(files[0]) as source:
        copy(source, target, checkpoint)


def _regular(folder: Folder, files: Sequence[str]) -> list[str]:
    return [path for path in files if stat.S_ISREG(folder.status(path).st_mode)]


def _file_entry(path: str, source: BinaryIO) -> zipfile.ZipInfo:
    status = os.fstat(source.fileno())
    entry = _entry(path, status)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.file_size = status.st_size  # decides whether large numbers will be needed
    return entry


def _entry(path: str, status: os.stat_result) -> zipfile.ZipInfo:
    """What the zip says of a file, a link or a directory."""
    seconds = int(status.st_mtime)
    moment = datetime.fromtimestamp(seconds, UTC).timetuple()[:6]
    entry = zipfile.ZipInfo(path, min(max(moment, _EARLIEST), _LATEST))
    entry.create_system = 3  # Unix
    entry.external_attr = status.st_mode << 16
    if 0 <= seconds < 2**31:
        entry.extra = struct.pack("<HHBl", TIMES, 5, 1, seconds)
    return entry
