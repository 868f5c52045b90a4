"""Finding the files to keep, and telling the job's author what was found."""

import os
from collections.abc import Sequence
from pathlib import Path

from paas_runner.inner.files.folder import Folder
from paas_runner.inner.files.selection import Selection, select
from paas_runner.inner.files.threads import in_thread
from paas_runner.inner.files.wanted import Wanted
from paas_runner.inner.narrator import Narrator
from paas_runner.inner.process import launched

_UNTRACKED = (
    *("/bin/sh", "-c", 'exec "$@" 2>/dev/null', "untracked"),  # what git complains of is no path
    *("git", "-c", "safe.directory=*"),
    *("-c", "core.fsmonitor=false"),  # a program that the job's own configuration could name
    *("ls-files", "-o", "-z"),
)


async def found(folder: Folder, wanted: Wanted, narrator: Narrator) -> Selection:
    """What is wanted of a folder; the log has a line for each path."""
    untracked = await _untracked(folder.path) if wanted.untracked else None
    selection = await in_thread(lambda checkpoint: select(folder, wanted, untracked, checkpoint))
    for note in selection.notes:
        (narrator.warning if note.is_warning else narrator.line)(note.text)
    return selection


async def _untracked(folder: Path) -> Sequence[str] | None:
    """What git knows nothing of, ignored files too; None where git cannot tell."""
    output: list[bytes] = []
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    try:
        async with launched(_UNTRACKED, folder=folder, environment=environment, write=output.append) as git:
            if await git.wait():
                return None
    except OSError:
        return None
    return [os.fsdecode(name) for name in b"".join(output).split(b"\0") if name]
