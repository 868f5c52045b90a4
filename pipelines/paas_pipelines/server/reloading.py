"""Definitions are read again, by SIGUSR1 or because their files have changed; wrong ones change nothing.

Watching compares what the file system says of the files, and reads them when that differs. A wrong set of
files is told once, not at every look.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog

from paas_pipelines.definitions.definition import Definition
from paas_pipelines.runs.engine import Engine
from paas_runner.errors import RunnerError
from paas_runner.service.systemd import ServiceManager

log = structlog.stdlib.get_logger(__name__)


class Reloading:
    """One for a server; `run` is all that it does."""

    def __init__(
        self,
        engine: Engine,
        manager: ServiceManager,
        *,
        load: Callable[[], Mapping[str, Definition]],
        stamps: Callable[[], Any],
        seen: Any = None,
        every: timedelta | None,
    ) -> None:
        """`load` raises `RunnerError`; `stamps` is a value that differs as soon as a file does.

        `seen` is what it was before the definitions in force were read.
        """
        self._engine = engine
        self._manager = manager
        self._load = load
        self._stamps = stamps
        self._seen = seen
        self._seconds = every.total_seconds() if every else None
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """By SIGUSR1."""
        log.info("received SIGUSR1, reloading pipeline definitions")
        self._asked.set()

    async def run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._asked.wait()
            now = await self._looked() if self._seconds else None
            if self._asked.is_set() or now != self._seen:
                self._asked.clear()
                self._seen = now
                with self._manager.reloading():
                    await self._reload()

    async def _looked(self) -> Any:
        try:
            return await asyncio.to_thread(self._stamps)
        except (OSError, RunnerError) as error:
            return str(error)

    async def _reload(self) -> None:
        try:
            definitions = await asyncio.to_thread(self._load)
        except RunnerError as error:
            log.error("error loading pipeline definitions: the old ones stay in force", reason=str(error))
        except Exception:
            log.exception("error loading pipeline definitions: the old ones stay in force")
        else:
            if self._engine.replace_definitions(definitions):
                log.info("definitions changed", pipelines=len(definitions))
            else:
                log.debug("reloading pipeline definitions: no changes detected")
