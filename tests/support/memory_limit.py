"""A bound on the memory of another process: a cgroup where one can be made, else the process's own limit."""

import contextlib
import os
import resource
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
_ADDRESSES = 4
"""So many times as much may be addressed where only that can be bounded: stacks of threads, libraries."""


@attrs.frozen(kw_only=True)
class MemoryLimit:
    """What a process may use in all from the moment at which it is put in."""

    mebibytes: int
    folder: Path | None

    def put_in(self, pid: int) -> None:
        if self.folder:
            (self.folder / "cgroup.procs").write_text(str(pid))
        else:
            most = self.mebibytes * _ADDRESSES * 1024 * 1024
            resource.prlimit(pid, resource.RLIMIT_AS, (most, most))


@contextmanager
def memory_limit(mebibytes: int) -> Iterator[MemoryLimit]:
    """The bound, and at the end nothing of it: all that was put in must have ended by then."""
    folder = _cgroup(mebibytes * 1024 * 1024)
    try:
        yield MemoryLimit(mebibytes=mebibytes, folder=folder)
    finally:
        if folder:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _cgroup(most: int) -> Path | None:
    parent, name = (_V1, "memory.limit_in_bytes") if _V1.is_dir() else (_V2, "memory.max")
    folder = parent / f"paas-runner-test-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir()
    except OSError:
        return None
    try:
        (folder / name).write_text(str(most))
    except OSError:  # no such controller here
        folder.rmdir()
        return None
    return folder
