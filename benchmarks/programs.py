"""The programs that are compared, as processes: run, read from /proc, and those counted that they start."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs


@attrs.frozen
class Process:
    """One run of a program, as /proc tells it."""

    pid: int

    @property
    def cpu_seconds(self) -> float:
        """In user and system mode, with children that have ended."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    @property
    def wake_ups(self) -> int:
        """Of all its threads."""
        return sum(
            self._status(task, "voluntary_ctxt_switches") for task in Path(f"/proc/{self.pid}/task").iterdir()
        )

    @property
    def peak_memory_mib(self) -> float:
        """The largest resident size so far."""
        return self._status(Path(f"/proc/{self.pid}"), "VmHWM") / 1024

    @staticmethod
    def _status(folder: Path, name: str) -> int:
        lines = (folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@asynccontextmanager
async def running(command: Sequence[str | Path], config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with config.with_name("service.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, cwd=config.parent)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class CountedProcesses:
    """How often a program starts another, which is replaced for it in a mount namespace."""

    def __init__(self, folder: Path, name: str) -> None:
        self._original = Path(shutil.which(name) or name).resolve()
        self._log = folder / f"{name}.log"
        self._counting = folder / f"counting-{name}"
        copied = folder / name
        shutil.copy(self._original, copied)
        self._counting.write_text(f'#!/bin/sh\necho >> "{self._log}"\nexec "{copied}" "$@"\n')
        self._counting.chmod(0o755)
        if self._possible:
            self._log.touch()

    @property
    def _possible(self) -> bool:
        return os.geteuid() == 0 and shutil.which("unshare") is not None

    def counted(self, *command: str | Path) -> Sequence[str | Path]:
        """The command to run instead."""
        if not self._possible:
            return command
        script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", self._counting, self._original, *command]

    @property
    def count(self) -> int | None:
        """So far; None where it cannot be known."""
        return self._log.read_text().count("\n") if self._possible else None
