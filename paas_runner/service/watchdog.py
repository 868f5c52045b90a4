"""The service as its service manager sees it: up, alive, busy with what, stopping.

The watchdog is fed only while no heartbeat of a loop is overdue (`loop/heartbeat.py`). It is fed from the
event loop in which they all run, so that it starves, too, when that is blocked.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from paas_runner.dispatch.view import DispatchView, Observer
from paas_runner.job.tracked import Phase
from paas_runner.service.systemd import ServiceManager
from paas_runner.status.sharing import Role, SharingReport
from paas_runner.status.sharing_wording import role_line

log = structlog.stdlib.get_logger(__name__)

LOOK_SECONDS = 10.0
"""A change of roles among processes that share a store is seen within that time."""


class Watched(Protocol):
    """What is supervised."""

    @property
    def running(self) -> asyncio.Event:
        """Set once every loop has been started, until they are to end."""

    @property
    def view(self) -> DispatchView: ...

    def hung(self) -> Sequence[str]:
        """The names of the loops that do not come back."""


class Supervision(Observer):
    """Notifies the manager while a dispatcher runs."""

    def __init__(
        self,
        manager: ServiceManager,
        dispatcher: Watched,
        *,
        stopping: asyncio.Event,
        besides: Callable[[], Sequence[str]] = tuple,
        sharing: Callable[[], SharingReport | None] = lambda: None,
    ) -> None:
        """`besides` names the loops beside the dispatcher's that do not come back.

        `sharing` tells how the process stands among others with its store.
        """
        self._manager = manager
        self._dispatcher = dispatcher
        self._stopping = stopping
        self._besides = besides
        self._sharing = sharing
        self._changed = asyncio.Event()

    def hung(self) -> Sequence[str]:
        """The loops that do not come back; none as long as everything works."""
        return [*self._dispatcher.hung(), *self._besides()]

    def changed(self) -> None:
        self._changed.set()

    async def run(self) -> None:
        """From the moment that all loops run, for ever: cancelled at the very end of the service."""
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
        return status_line(self._dispatcher.view, self._sharing())

    async def _report(self) -> None:
        reported = self._line
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), LOOK_SECONDS)
            self._changed.clear()
            if self._line != reported:
                reported = self._line
                self._manager.status(reported)

    async def _feed(self) -> None:
        """Three times as often as needed."""
        if self._manager.watchdog is None:
            return
        known: Sequence[str] = []
        while True:
            hung = self.hung()
            if not hung:
                self._manager.alive()
            elif hung != known:
                log.error(
                    "loops_hung",
                    loops=hung,
                    within_seconds=round(self._manager.watchdog.total_seconds()),
                )
            known = hung
            await asyncio.sleep(self._manager.watchdog.total_seconds() / 3)


def status_line(view: DispatchView, sharing: SharingReport | None = None) -> str:
    """Such as `2 runners (1 backing off), 3 jobs: 1 provisioning, 2 running`, after `draining, `, if so.

    Before it the role among processes that share a store; of a standby that is all.
    """
    draining = "draining, " if view.draining else ""
    if sharing and sharing.role is Role.STANDBY:
        return f"{draining}{role_line(sharing)}"
    role = f"{role_line(sharing)}; " if sharing else ""
    counts: Counter[Phase] = Counter()
    for share, count in view.load.shares.items():
        if not share.on_standby:
            counts[share.phase] += count
    phases = ", ".join(f"{counts[phase]} {phase}" for phase in Phase if counts[phase])
    jobs = _number(view.load.jobs, "job") + (f": {phases}" if phases else "")
    standing = view.load.hosts_on_standby
    jobs += f"; {_number(standing, 'host')} on standby" if standing else ""
    trouble = "the records cannot be written, " if view.refused else ""
    backing_off = len(view.backoffs.keys() & view.runners.keys())
    back = f" ({backing_off} backing off)" if backing_off else ""
    runners = _number(len(view.runners.keys() - view.elsewhere), "runner")
    return f"{role}{trouble}{draining}{runners}{back}, {jobs}"


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
