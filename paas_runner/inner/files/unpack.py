"""Unpacks a zip of any origin into a job's folder: nothing is ever written anywhere else.

All names are looked at before anything is written. Links are made as they are, since a cache may well hold
`python3 -> /usr/bin/python3`, but no file is written through one that leads out of the folder. They are made
last, but before the files that an archive has behind one of its own links.
"""

import contextlib
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import BinaryIO

import attrs

from paas_runner.inner.files.archive import TIMES, ArchiveError, copy
from paas_runner.inner.files.folder import Checkpoint, Folder, OutsideError, in_thread, never_stopping
from paas_runner.inner.trace import Narrator

_UTF8 = 0x800
_PERMISSIONS = 0o777
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others can be unpacked only at once, into memory
_MOST_LINK_BYTES = 4096
_HEAD, _TIME = struct.Struct("<HH"), struct.Struct("<Bl")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL

_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OverflowError, ValueError),
    *(NotImplementedError, RuntimeError),  # a method of compression that is not known; encrypted
)


@attrs.frozen(kw_only=True)
class _Entry:
    path: str
    info: zipfile.ZipInfo
    kind: int  # S_IFDIR, S_IFLNK or S_IFREG
    permissions: int
    times: tuple[float, float]


async def unpack_in_thread(archive: BinaryIO, folder: Folder, narrator: Narrator) -> None:
    """Unpack, with a warning in the trace about a part of `.git`; raises as `unpack`."""
    if await in_thread(lambda checkpoint: unpack(archive, folder, checkpoint)):
        narrator.warning("Part of .git directory is on the list of files to extract")
        narrator.warning("This may introduce unexpected problems")


def unpack(archive: BinaryIO, folder: Folder, checkpoint: Checkpoint = never_stopping) -> bool:
    """Write all that is in the archive, over what is there; modes and times are those of the archive.

    Returns whether a part of `.git` was in it. Raises `ArchiveError` for what is no zip, is damaged or would
    leave the folder, and OSError.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [_entry(info) for info in opened.infolist()]
            for entry in _in_order(entries):
                checkpoint()
                with _named(entry):
                    _write(opened, entry, folder, checkpoint)
    except _DAMAGED as error:
        raise ArchiveError(f"the archive cannot be unpacked: {error}") from error
    for entry in sorted(entries, key=lambda entry: entry.path, reverse=True):  # the inmost first
        if entry.kind == stat.S_IFDIR:
            with _named(entry), folder.parent(f"{entry.path}/.") as (directory, name):
                os.utime(name, entry.times, dir_fd=directory)  # all that is in it has been written
                os.chmod(name, entry.permissions, dir_fd=directory)  # no more may be allowed after this
    return any(entry.path.partition("/")[0] == ".git" for entry in entries)


def _in_order(entries: Sequence[_Entry]) -> list[_Entry]:
    """As they can be written: files, links, and the files that lie behind links."""
    links = {entry.path for entry in entries if entry.kind == stat.S_IFLNK}

    def turn(entry: _Entry) -> int:
        if any(str(above) in links for above in PurePosixPath(entry.path).parents):
            return 2
        return 1 if entry.kind == stat.S_IFLNK else 0

    return sorted(entries, key=turn) if links else list(entries)


@contextlib.contextmanager
def _named(entry: _Entry) -> Iterator[None]:
    """Let an error say which entry could not be written, and not where on this host."""
    try:
        yield
    except OutsideError:
        raise
    except OSError as error:
        text = f"`{entry.path}` of the archive cannot be unpacked: {error.strerror or error}"
        raise ArchiveError(text) from error


def _write(archive: zipfile.ZipFile, entry: _Entry, folder: Folder, checkpoint: Checkpoint) -> None:
    if entry.kind == stat.S_IFDIR:
        folder.make_directory(entry.path)
        return
    folder.make_directory(entry.path.rpartition("/")[0])
    folder.remove(entry.path)
    if entry.kind == stat.S_IFLNK:
        with folder.parent(entry.path) as (directory, name):
            os.symlink(_link(archive, entry), name, dir_fd=directory)
            os.utime(name, entry.times, dir_fd=directory, follow_symlinks=False)
        return
    with folder.opened(entry.path, _NEW) as descriptor, open(descriptor, "wb", closefd=False) as target:
        with archive.open(entry.info) as source:
            copy(source, target, checkpoint)
        target.flush()
        os.fchmod(descriptor, entry.permissions)
        os.utime(descriptor, entry.times)


def _entry(info: zipfile.ZipInfo) -> _Entry:
    """What the archive says of one file; raises `ArchiveError` for one that would lie elsewhere."""
    name = info.filename if info.flag_bits & _UTF8 else os.fsdecode(info.filename.encode("cp437"))
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise ArchiveError(f"`{name}` in the archive lies outside of the project, nothing was unpacked")
    if info.compress_type not in _METHODS:
        text = f"`{name}` in the archive is compressed by method {info.compress_type}"
        raise ArchiveError(f"{text}, which is not read here, nothing was unpacked")
    mode = info.external_attr >> 16
    kind = stat.S_IFDIR if name.endswith("/") or not parts else stat.S_IFMT(mode) or stat.S_IFREG
    if kind not in (stat.S_IFDIR, stat.S_IFLNK, stat.S_IFREG):
        raise ArchiveError(f"`{name}` in the archive is no file, link or directory, nothing was unpacked")
    usual = 0o755 if kind == stat.S_IFDIR else 0o644
    seconds = _seconds(info)
    return _Entry(
        path="/".join(parts),
        info=info,
        kind=kind,
        permissions=mode & _PERMISSIONS or usual,
        times=(seconds, seconds),
    )


def _seconds(info: zipfile.ZipInfo) -> float:
    """When the file was changed, since the epoch: exactly, or as the older field says."""
    for kind, data in _extra(info.extra):
        if kind == TIMES and len(data) >= _TIME.size and data[0] & 1:
            return float(_TIME.unpack_from(data)[1])
    try:
        return datetime(*info.date_time, tzinfo=UTC).timestamp()
    except ValueError:  # month 0: a writer that knew no time
        return datetime(1980, 1, 1, tzinfo=UTC).timestamp()


def _extra(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEAD.size:
        kind, length = _HEAD.unpack_from(data)
        yield kind, data[_HEAD.size : _HEAD.size + length]
        data = data[_HEAD.size + length :]


def _link(archive: zipfile.ZipFile, entry: _Entry) -> bytes:
    """Where a link leads."""
    with archive.open(entry.info) as source:
        target = source.read(_MOST_LINK_BYTES)
    if not target or b"\0" in target:
        raise ArchiveError(f"the link `{entry.path}` in the archive leads nowhere")
    return target
