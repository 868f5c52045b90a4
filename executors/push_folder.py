"""The private folders of pushes: each has a job's definition in it, with credentials, and must not stay.

A process that is killed leaves its folders behind; they carry its number, so the next one clears them away.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OURS = re.compile(r"paas-runner-push-([0-9]+)-\w+")


@contextmanager
def push_folder() -> Iterator[Path]:
    """A folder that only this user can enter, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"paas-runner-push-{os.getpid()}-") as folder:
        yield Path(folder)


def clear_away_leftovers() -> None:
    """Remove this user's folders whose process is no more."""
    for folder in list(Path(tempfile.gettempdir()).glob("paas-runner-push-*")):
        named = _OURS.fullmatch(folder.name)
        if named and not _alive(int(named[1])) and _is_ours(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    try:
        return folder.lstat().st_uid == os.getuid()
    except FileNotFoundError:  # another service of ours was quicker
        return False


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
