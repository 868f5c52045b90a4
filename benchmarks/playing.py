"""The world's process, from outside: started, told what to do, asked what happened."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs

ADMIN_TOKEN = "administrator-token-00"
CLOUD_TOKEN = "organisation-token-000"
ORGANISATION = "orga_benchmark"
LONG_POLL_SECONDS = 50.0
_LOOK_SECONDS = 0.05
_FAR = {"call": 0.12, "create": 0.8, "repository": 2.0}


@attrs.frozen(kw_only=True)
class Setting:
    """What differs from one world to the next; distances in seconds."""

    runners: int = 1
    long_poll: bool = False
    distance: Mapping[str, float] = attrs.field(factory=dict)
    first_byte_seconds: float = 0.3
    run_seconds: float = 2.0

    @property
    def tokens(self) -> Sequence[str]:
        return [f"{number:02}runner-of-benchmark" for number in range(self.runners)]


FAR = Setting(distance=_FAR)


@attrs.frozen
class Job:
    """The moments of one job on the machine's monotonic clock; None for what did not happen."""

    job_id: int
    queued: float
    acquired: float | None
    created: float | None
    pushed: float | None
    ends: float | None
    found: float | None
    deleted: float | None
    failed: float | None


@attrs.frozen
class Summary:
    requests: Mapping[str, int]
    done: Mapping[str, int]
    first_request: float | None
    cpu_seconds: float
    """Of the world itself, since it began."""

    unseen: int
    """How many of the jobs that ran at the last `mark` were not asked about since."""

    def at(self, door: str) -> int:
        """Requests at a door; those that are held are counted once."""
        return sum(
            count
            for name, count in self.requests.items()
            if name.startswith(f"{door}: ") and not name.endswith(" held")
        )


class World:
    """One world; made by `playing`."""

    def __init__(
        self, process: asyncio.subprocess.Process, setting: Setting, urls: Mapping[str, str]
    ) -> None:
        self._process = process
        self.setting = setting
        self.urls = urls

    async def submit(self, count: int, *, runner: int = 0, run_seconds: float | None = None) -> list[int]:
        """Queue jobs; returns their ids."""
        seconds = self.setting.run_seconds if run_seconds is None else run_seconds
        job = {
            "token": self.setting.tokens[runner],
            "first_byte_seconds": self.setting.first_byte_seconds,
            "run_seconds": seconds,
        }
        ids: list[int] = await self._told({"do": "submit", "count": count, "job": job})
        return ids

    async def end(self, jobs: Sequence[int], at: float) -> None:
        await self._told({"do": "end", "jobs": list(jobs), "at": at})

    async def mark(self) -> None:
        await self._told({"do": "mark"})

    async def summary(self) -> Summary:
        return Summary(**await self._told({"do": "summary"}))

    async def jobs(self) -> Sequence[Job]:
        names = [field.name for field in attrs.fields(Job)]
        return [Job(**{name: job[name] for name in names}) for job in await self._told({"do": "jobs"})]

    async def until(self, met: Callable[[Summary], bool], within: float) -> bool:
        """Whether it was met within so many seconds."""
        deadline = time.monotonic() + within
        while not met(await self.summary()):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True

    async def _told(self, order: Mapping[str, Any]) -> Any:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a process without its pipes")
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return json.loads(await self._process.stdout.readline())


@asynccontextmanager
async def playing(setting: Setting, *, user_in_git_url: bool) -> AsyncIterator[World]:
    options = {
        "runners": setting.tokens,
        "admin_token": ADMIN_TOKEN,
        "cloud_token": CLOUD_TOKEN,
        "organisation": ORGANISATION,
        "long_poll_seconds": LONG_POLL_SECONDS if setting.long_poll else 0.0,
        "distance": setting.distance,
        "user_in_git_url": user_in_git_url,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.world",
        json.dumps(options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("a process without its pipes")
        yield World(process, setting, json.loads(await process.stdout.readline()))
    finally:
        process.kill()
        await process.wait()
