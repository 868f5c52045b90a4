"""Who runs the demo's jobs: one service that is restarted in the middle, or two of which one is killed."""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from paas_runner.demo.database import DatabaseServer
from paas_runner.demo.service_process import LogEvent, ServiceProcess
from paas_runner.errors import Exit, RunnerError
from paas_runner.job.lease import LEASE_SECONDS

TAKEN_WITHIN_SECONDS = 30.0
"""Longer than anything that is promised: then the demo has failed."""

Say = Callable[[str], None]
Hear = Callable[[LogEvent], None]


class Services(Protocol):
    """What the course of the demo does with them."""

    longer_seconds: float
    """How much longer everything takes because of them."""

    takeover_seconds: float | None
    """How long it took until another service went on, where one was killed."""

    async def start(self) -> None:
        """Start all."""

    async def disturb(self) -> None:
        """Whatever is to be shown in the middle of everything; raises `RunnerError` when it does not work."""

    async def stop(self) -> Sequence[str]:
        """Stop all; what was wrong with that."""


class OneService:
    """Stopped and started again in the middle."""

    longer_seconds = 0.0
    takeover_seconds: float | None = None

    def __init__(self, config: Path, say: Say, hear: Hear) -> None:
        self._config = config
        self._say = say
        self._hear = hear
        self._process = ServiceProcess(config, hear)
        self._problems: list[str] = []

    async def start(self) -> None:
        await self._process.start()
        self._say(f"service started: heptapod-paas-runner {self._config.name}")

    async def disturb(self) -> None:
        """An orderly restart."""
        self._say("service: SIGTERM in the middle of everything")
        self._problems += await _stopped("the service", self._process)
        self._say("service: stopped; jobs in progress go on running on their hosts")
        self._process = ServiceProcess(self._config, self._hear)
        await self._process.start()
        self._say("service: started again")

    async def stop(self) -> Sequence[str]:
        return [*self._problems, *await _stopped("the service", self._process)]


class TwoServices:
    """On one database, each with a folder of its own; the one that works is killed, the other goes on."""

    longer_seconds = TAKEN_WITHIN_SECONDS

    def __init__(
        self, configuration: str, folder: Path, database: DatabaseServer, say: Say, hear: Hear
    ) -> None:
        """`configuration` is for one service alone."""
        self._say = say
        self._hear = hear
        self.takeover_seconds: float | None = None
        self._taken: dict[str, asyncio.Event] = {}
        self._processes: dict[str, ServiceProcess] = {}
        self._configs = {
            name: written(
                folder / name,
                f'state_store = "{database.url}"\nstate_store_member = "{name}"\n{configuration}',
            )
            for name in ("one", "two")
        }

    async def start(self) -> None:
        """The second one finds that the first one has everything."""
        await self._started("one")
        await self._until_taken("one")
        self._say("service one started: it holds the runner")
        await self._started("two")
        self._say("service two started: same database, it waits")

    async def disturb(self) -> None:
        """The worst: `kill -9` of the one that works, which so tells nobody."""
        self._say(
            "service one: kill -9 in the middle of everything; jobs in progress go on running on their hosts"
        )
        killed_at = time.monotonic()
        self._processes["one"].signal(signal.SIGKILL)
        await self._processes.pop("one").wait()
        self._say(
            f"service two: waits until the lease of service one has run out, {LEASE_SECONDS:g} s at most"
        )
        await self._until_taken("two")
        self.takeover_seconds = time.monotonic() - killed_at
        self._say(f"service two: took over {self.takeover_seconds:.1f} s after the kill, with all records")
        await self._started("one")
        self._say("service one: started again, it waits")

    async def stop(self) -> Sequence[str]:
        """The one that waits first, so that nothing changes hands any more."""
        problems: list[str] = []
        for name, process in sorted(self._processes.items()):
            problems += await _stopped(f"service {name}", process)
        return problems

    async def _started(self, name: str) -> None:
        taken = self._taken[name] = asyncio.Event()

        def hear(event: Mapping[str, object]) -> None:
            if event.get("event") == "section_taken":
                taken.set()
            if event.get("event") != "started":  # what is recovered is found at a takeover
                self._hear(event)

        process = self._processes[name] = ServiceProcess(self._configs[name], hear)
        await process.start()

    async def _until_taken(self, name: str) -> None:
        try:
            async with asyncio.timeout(TAKEN_WITHIN_SECONDS):
                await self._taken[name].wait()
        except TimeoutError:
            words = "; ".join(self._processes[name].last_words[-3:])
            raise RunnerError(
                f"service {name} did not take the runner within {TAKEN_WITHIN_SECONDS:g} s {words}".rstrip()
            ) from None


def written(folder: Path, configuration: str) -> Path:
    """A configuration in this folder, which others cannot read."""
    folder.mkdir(mode=0o700, exist_ok=True)
    config = folder / "config.toml"
    config.touch(mode=0o600)
    config.write_text(configuration)
    return config


async def _stopped(which: str, process: ServiceProcess) -> Sequence[str]:
    exit_code = await process.terminate()
    if exit_code == Exit.OK:
        return []
    return [f"{which} ended with exit code {exit_code} {'; '.join(process.last_words[-3:])}".rstrip()]
