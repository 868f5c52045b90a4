"""How the service is, as its service manager sees it: up, alive, busy with what, coming to rest.

The watchdog is fed only after every loop was asked for its sign of life (`dispatch/heartbeats.py`). It is fed
from the event loop in which they run, so that it starves, too, when that is blocked.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence

import structlog

from paas_runner.dispatch import Dispatcher
from paas_runner.job.tracked import Phase, TrackedJob
from paas_runner.service.systemd import ServiceManager

log = structlog.stdlib.get_logger(__name__)


class Supervision:
    """What is told while a dispatcher runs."""

    def __init__(
        self,
        manager: ServiceManager,
        dispatcher: Dispatcher,
        *,
        changed: asyncio.Event,
        stopping: asyncio.Event,
    ) -> None:
        """`changed` is set by whoever knows that the load may be another."""
        self._manager = manager
        self._dispatcher = dispatcher
        self._changed = changed
        self._stopping = stopping

    async def run(self) -> None:
        """From the moment that all loops run, for ever; who stops the service cancels it at the very end."""
        if not self._manager.address:
            return
        await self._dispatcher.running.wait()
        self._manager.ready(self._line)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._feed(), name="watchdog")
            reporting = tasks.create_task(self._report(), name="status for the service manager")
            await self._stopping.wait()
            reporting.cancel()
            self._manager.stopping(f"stopping, calls in flight are finished; {self._line}")

    @property
    def _line(self) -> str:
        line = status_line(self._dispatcher.runners, self._dispatcher.jobs)
        return f"draining, {line}" if self._dispatcher.draining else line

    async def _report(self) -> None:
        told = self._line
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._line != told:
                told = self._line
                self._manager.status(told)

    async def _feed(self) -> None:
        """Three times as often as needed."""
        if self._manager.watchdog is None:
            return
        known: Sequence[str] = []
        while True:
            hung = self._dispatcher.hung()
            if not hung:
                self._manager.alive()
            elif hung != known:
                log.error(
                    "loops have hung: the watchdog is no longer fed, and restarts the service",
                    loops=hung,
                    within_seconds=round(self._manager.watchdog.total_seconds()),
                )
            known = hung
            await asyncio.sleep(self._manager.watchdog.total_seconds() / 3)


def status_line(runners: Sequence[str], jobs: Sequence[TrackedJob]) -> str:
    """Such as `2 runners, 3 jobs: 1 provisioning, 2 running`."""
    counts = Counter(job.phase for job in jobs)
    phases = ", ".join(f"{counts[phase]} {phase}" for phase in Phase if counts[phase])
    return f"{_number(len(runners), 'runner')}, {_number(len(jobs), 'job')}{': ' if phases else ''}{phases}"


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
