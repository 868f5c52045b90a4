"""Files with secrets in them, replaced as a whole or not at all.

A new file is for its owner alone (0600); as root, that is the owner of its folder. An existing one keeps its
owner and its group; others lose their rights, and the group keeps its own only if others had none.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_OTHERS = stat.S_IRWXO
_GROUP = stat.S_IRWXG


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """No other holder of this lock changes files of `folder` meanwhile; waits for it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def candidate(path: Path, text: str) -> Iterator[Path]:
    """A file beside `path` with the new content and the final owner and mode; it is gone afterwards.

    `put_in_place` makes it permanent. Raises OSError.
    """
    path = path.resolve()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            _take_over(file.fileno(), path)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def make_folders(folder: Path, undo: ExitStack) -> None:
    """Make `folder` and what is missing above it, for its owner alone, until `undo`.

    As root, the owner is that of the folder above. What is in use by then stays. Raises OSError.
    """
    for each in reversed([folder, *folder.parents]):
        if each.exists():
            continue
        each.mkdir(mode=0o700)
        undo.callback(_remove, each)
        if os.geteuid() == 0:
            above = each.parent.stat()
            os.chown(each, above.st_uid, above.st_gid)


def _remove(folder: Path) -> None:
    with suppress(OSError):  # something was put into it meanwhile
        folder.rmdir()


def put_in_place(new: Path, path: Path) -> None:
    """Make a candidate the file; survives a power loss. Raises OSError, after which nothing has changed."""
    path = path.resolve()
    new.replace(path)
    with suppress(OSError):  # it is in place, whatever comes of this
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def replace(path: Path, text: str) -> None:
    """Let `text` be the content of the file; raises OSError."""
    with candidate(path, text) as new:
        put_in_place(new, path)


def content(path: Path) -> str | None:
    """The text of a file, line ends as they are; None if there is no file. Raises OSError, ValueError."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None


def _take_over(descriptor: int, path: Path) -> None:
    """Give a new file the owner and mode that the one at `path` has, or would have."""
    try:
        present = path.stat()
    except FileNotFoundError:
        if os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
        return
    mode = stat.S_IMODE(present.st_mode)
    if mode & _OTHERS:
        mode &= ~(_OTHERS | _GROUP)
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (present.st_uid, present.st_gid):
        os.fchown(descriptor, present.st_uid, present.st_gid)
    os.fchmod(descriptor, mode)
