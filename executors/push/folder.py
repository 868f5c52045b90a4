"""A private folder for each push, with a job's definition in it, which must not stay.

A process that is killed leaves its folders behind. A folder is locked as long as its push goes on, and the
kernel frees a lock with its process: what is not locked is left over, whoever has the process's number now.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "paas-runner-push-"
_TRIES = 10


@contextmanager
def push_folder() -> Iterator[Path]:
    """A folder that only this user can enter, gone afterwards; raises OSError where none can be made."""
    folder, lock = _locked_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def clear_away_leftovers() -> None:
    """Remove this user's folders that no push has any more; what cannot be removed stays, and no error."""
    with suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with suppress(OSError):
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    seen = folder.lstat()
    if seen.st_uid != os.getuid() or not stat.S_ISDIR(seen.st_mode):
        return
    lock = _lock(folder)
    if lock is not None:
        try:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _locked_folder() -> tuple[Path, int]:
    """Another service of ours may take it for left over, between the two steps: then there is another try."""
    for _ in range(_TRIES):
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with suppress(FileNotFoundError):
            lock = _lock(folder)
            if lock is not None:
                if folder.exists():
                    return folder, lock
                os.close(lock)
    raise OSError("each folder for a push is removed at once")


def _lock(folder: Path) -> int | None:
    """None when somebody else has it."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened
