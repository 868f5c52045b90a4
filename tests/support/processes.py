"""Facts about other processes, and waiting until they are true: a process tells no one when it changes."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

PROC = Path("/proc")


async def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Return when the condition holds; a machine may be slow, so the bound is generous."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def with_argument(marker: str) -> set[int]:
    """The processes that have the marker among their arguments."""
    return {pid for pid in _processes() if marker.encode() in _read(pid, "cmdline")}


def alive(marker: str) -> bool:
    """Whether a process has the marker among its arguments."""
    return bool(with_argument(marker))


def children(parent: int) -> set[int]:
    return {pid for pid in _processes() if _status(pid)[1:2] == [b"%d" % parent]}


def exists(pid: int) -> bool:
    """Whether there is such a process; one that has ended and is not waited for is none."""
    return _status(pid)[:1] not in ([], [b"Z"])


def is_pending(pid: int, signal: int) -> bool:
    """Whether a signal was sent to the process that it has not received yet: two at a time would be one."""
    lines = dict(line.split(b":\t", 1) for line in _read(pid, "status").splitlines() if b":\t" in line)
    return any(int(lines.get(name, b"0"), 16) >> (signal - 1) & 1 for name in (b"SigPnd", b"ShdPnd"))


def _processes() -> set[int]:
    return {int(path.name) for path in PROC.iterdir() if path.name.isdecimal()}


def _status(pid: int) -> list[bytes]:
    """State, parent and so on; nothing for no process."""
    return _read(pid, "stat").rpartition(b")")[2].split()


def _read(pid: int, name: str) -> bytes:
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / name).read_bytes()
    return b""
