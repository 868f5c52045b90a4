"""How much memory and CPU a job takes: by this process's own cgroup, by its containers, or by its processes.

Memory is what could not be given back: the kernel's figures without the files that it only keeps in memory
because there is room (`inactive_file`), as Docker's own `stats` shows it. What cannot be read is left out,
and the job goes on.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from paas_runner.job.use import Use

INTERVAL_SECONDS = 1.0
LAST_SECONDS = 2.0
FEWEST_READINGS = 3
"""What was looked at less often says nothing."""

_MICROSECONDS, _NANOSECONDS = 1e6, 1e9
_INIT = 1


@attrs.frozen(kw_only=True)
class Reading:
    """Of one source at one moment."""

    memory_bytes: int
    cpu_seconds: float  # since it began
    cache_bytes: int = 0  # which are not in `memory_bytes`
    peak_bytes: int = 0  # the most it ever had, with such; 0 where that is not known


Readings = Mapping[str, Reading]
"""By source: one that begins again begins to count again."""


@attrs.define
class Tally:
    """What was read of one job, added up."""

    _most: int = 0
    _ended_cpu: float = 0.0
    _running_cpu: dict[str, float] = attrs.field(factory=dict)
    _cache: int = 0
    _readings: int = 0

    def add(self, readings: Readings) -> None:
        """What all sources have at one moment; between two looks at a cgroup it knows its peak itself."""
        known = any(reading.peak_bytes for reading in readings.values())
        seen = any(reading.memory_bytes for reading in readings.values())
        self._readings += FEWEST_READINGS if known else seen
        self._most = max(self._most, sum(reading.memory_bytes for reading in readings.values()))
        for source, reading in readings.items():
            before = self._running_cpu.get(source, 0.0)
            self._ended_cpu += before if reading.cpu_seconds < before else 0.0
            self._running_cpu[source] = reading.cpu_seconds
            self._cache = max(self._cache, reading.cache_bytes)
            self._most = max(self._most, reading.peak_bytes - self._cache)

    def add_ended(self, memory_bytes: int, cpu_seconds: float) -> None:
        """What a process has used, with all that it has started."""
        self._readings = FEWEST_READINGS
        self._most = max(self._most, memory_bytes)
        self._ended_cpu += cpu_seconds

    def use(self, wall_seconds: float) -> Use | None:
        """All in all; None when too little was read."""
        if self._readings < FEWEST_READINGS or not self._most:
            return None
        cpu_seconds = self._ended_cpu + sum(self._running_cpu.values())
        return Use(memory_bytes=self._most, cpu_seconds=cpu_seconds, wall_seconds=wall_seconds)


@contextlib.asynccontextmanager
async def sampled(tally: Tally, read: Callable[[], Awaitable[Readings]]) -> AsyncIterator[None]:
    """Read once a second while the context lasts, and once more at its end."""

    async def once() -> None:
        with contextlib.suppress(Exception):  # no job fails because it cannot be measured
            tally.add(await read())

    async def again_and_again() -> None:
        while True:
            await once()
            await asyncio.sleep(INTERVAL_SECONDS)

    sampling = asyncio.create_task(again_and_again())
    try:
        yield
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await once()
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)


def of_container(figures: Mapping[str, Any]) -> Reading:
    """What Docker's `stats` say; engines on cgroups of version 1 call the cache otherwise."""
    memory = figures.get("memory_stats") or {}
    details = memory.get("stats") or {}
    cache = int(details.get("total_inactive_file", details.get("inactive_file", 0)))
    used = ((figures.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage", 0)
    return Reading(
        memory_bytes=max(int(memory.get("usage", 0)) - cache, 0), cpu_seconds=int(used) / _NANOSECONDS
    )


@attrs.frozen
class Group:
    """A cgroup of version 2 with a folder of its own."""

    folder: Path

    async def read(self) -> Readings:
        """Raises OSError, ValueError or KeyError."""
        current, peak = (int(self._text(f"memory.{name}")) for name in ("current", "peak"))
        cache = self._figure("memory.stat", "inactive_file")
        reading = Reading(
            memory_bytes=max(current - cache, 0),
            cpu_seconds=self._figure("cpu.stat", "usage_usec") / _MICROSECONDS,
            cache_bytes=cache,
            peak_bytes=peak,
        )
        return {"host": reading}

    @property
    def is_readable(self) -> bool:
        return all((self.folder / name).exists() for name in ("memory.peak", "memory.stat", "cpu.stat"))

    @property
    def has_no_others(self) -> bool:
        """Whether nothing runs in it but this process, and perhaps a container's first one."""
        return {int(number) for number in self._text("cgroup.procs").split()} <= {os.getpid(), _INIT}

    def _figure(self, file: str, name: str) -> int:
        found = re.search(rf"^{name} (\d+)$", self._text(file), re.MULTILINE)
        if found is None:
            raise KeyError(f"{file} has no {name}")
        return int(found[1])

    def _text(self, name: str) -> str:
        return (self.folder / name).read_text()


def own_group(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> Group | None:
    """This process's cgroup, if its figures can be read and are those of this job alone: a container's."""
    with contextlib.suppress(OSError, ValueError):
        place = re.search(r"^0::/(.*)$", membership.read_text(), re.MULTILINE)
        group = Group(root / place[1]) if place else None
        if group and group.is_readable and group.has_no_others:
            return group
    return None
