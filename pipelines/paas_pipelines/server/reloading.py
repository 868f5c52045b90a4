"""Definitions are read again, by SIGUSR1 or because their files have changed; wrong ones change nothing.

Watching compares what the file system says of the files, and reads them when that differs, and stands still.
A wrong set of files is told once, not at every look.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import attrs
import structlog

from paas_pipelines.definitions.definition import Definition
from paas_pipelines.runs.engine import Engine
from paas_runner.errors import RunnerError
from paas_runner.service.systemd import ServiceManager

log = structlog.stdlib.get_logger(__name__)

_LOOK_SECONDS, _STILL_LOOKS = 0.1, 10  # often, since a file may come and go between two looks


@attrs.define(eq=False, kw_only=True)
class Reloading:
    """One for a server; `run` is all that it does."""

    engine: Engine
    manager: ServiceManager
    load: Callable[[], Mapping[str, Definition]]
    """Raises `RunnerError`."""

    stamps: Callable[[], Any]
    """A value that differs as soon as a file does."""

    seen: Any
    """What that was before the definitions in force were read."""

    load_settings: Callable[[], Callable[[], None]] = lambda: lambda: None
    """Reads the settings file in a thread, and gives what puts it in force; raises `RunnerError`."""

    every_seconds: float | None
    """Between two looks; None is never."""

    _asked: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)

    def ask(self) -> None:
        """By SIGUSR1."""
        log.info("received SIGUSR1, reloading pipeline definitions")
        self._asked.set()

    async def run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.every_seconds):
                    await self._asked.wait()
            now = await self._looked() if self.every_seconds else None
            if self._asked.is_set() or now != self.seen:
                self._asked.clear()
                self.seen = await self._settled(now)
                with self.manager.reloading():
                    await self._reload()

    async def _looked(self) -> Any:
        try:
            return await asyncio.to_thread(self.stamps)
        except (OSError, RunnerError) as error:
            return str(error)

    async def _settled(self, now: Any) -> Any:
        """What is seen of files that stand still: of one that is half written, runs would be canceled."""
        still = 0
        while now != self.seen and still < _STILL_LOOKS:
            await asyncio.sleep(_LOOK_SECONDS)
            before, now = now, await self._looked()
            still = still + 1 if now == before else 0
        return now

    async def _reload(self) -> None:
        try:
            put_in_force = await asyncio.to_thread(self.load_settings)
            definitions = await asyncio.to_thread(self.load)
        except RunnerError as error:
            log.error("error loading pipeline definitions: the old ones stay in force", reason=str(error))
        except Exception:
            log.exception("error loading pipeline definitions: the old ones stay in force")
        else:
            put_in_force()
            if self.engine.replace_definitions(definitions):
                log.info("definitions changed", pipelines=len(definitions))
            else:
                log.debug("reloading pipeline definitions: no changes detected")
