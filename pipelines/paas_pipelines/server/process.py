"""The server as a process: its log, its signals, its end and its exit code (spec §9).

SIGINT waits for what runs, SIGTERM cancels it, also after a SIGINT, and a second SIGTERM ends at once. Until
the end the API answers; the last thing is that all records are on the disk.
"""

import asyncio
import enum
import os
import signal
import threading
from collections.abc import Sequence

import structlog

from paas_pipelines import __version__
from paas_pipelines.server.assembly import Server, opened
from paas_pipelines.server.settings import Settings
from paas_runner.errors import Exit, RunnerError
from paas_runner.logs import configure
from paas_runner.service import first_signals
from paas_runner.service.systemd import ServiceManager

log = structlog.stdlib.get_logger(__name__)

_LAST_SECONDS = 5.0
"""So long may an end at once take."""

_LOOK_SECONDS = 5.0


class Stage(enum.IntEnum):
    """How far the end has come; it only grows."""

    SERVING = 0
    WAITING = 1  # for what runs
    CANCELING = 2
    LEAVING = 3  # at once


def serve(settings: Settings, doubts: Sequence[str] = ()) -> int:
    """Serve until a signal comes; returns the exit code, raises `RunnerError` if it cannot start.

    `doubts` are what is strange about how it was called.
    """
    first_signals.hold()
    configure(level=settings.log_level, form=settings.log_form)
    log.debug("starting", version=__version__)
    if settings.enable_profiling:
        log.warning("--enable-profiling does nothing here: `py-spy dump` shows what each thread does")
    for doubt in doubts:
        log.warning(doubt)
    try:
        with asyncio.Runner() as runner:
            runner.run(_serve(settings))
    except asyncio.CancelledError:
        log.warning("ended at once: the next start goes on from the records")
        return Exit.FAILED
    except RunnerError:
        raise
    except Exception:
        log.exception("unexpected error: the next start goes on from the records")
        return Exit.FAILED
    finally:
        first_signals.hold_to_the_end()
    return Exit.OK


async def _serve(settings: Settings) -> None:
    manager = ServiceManager.of(os.environ)
    async with opened(settings, manager) as server:
        ending = Ending(server, manager)
        ending.take_signals()
        manager.ready(server.status)
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(_keep_telling(server, manager))
            beside = [telling, *(group.create_task(each()) for each in server.beside)]
            await server.conductor.run()
            for each in beside:
                each.cancel()
            await server.afterwards()
    log.info("shutdown complete")


class Ending:
    """What the signals ask for."""

    def __init__(self, server: Server, manager: ServiceManager) -> None:
        self.stage = Stage.SERVING
        self._server = server
        self._manager = manager
        self._serving = asyncio.current_task()

    def take_signals(self) -> None:
        """From now on, and those that have waited."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._server.reloading.ask)
        loop.add_signal_handler(signal.SIGINT, self._wait)
        loop.add_signal_handler(signal.SIGTERM, self._cancel)
        first_signals.take_up()

    def _wait(self) -> None:
        if self.stage is Stage.SERVING:
            self._go_on_to(Stage.WAITING)
            self._server.conductor.close()
        told = "received SIGINT, waiting until jobs are finished; SIGTERM cancels them"
        log.info(told, running=self._server.running)

    def _cancel(self) -> None:
        if self.stage >= Stage.CANCELING:
            self._leave()
            return
        self._go_on_to(Stage.CANCELING)
        log.warning("received SIGTERM, canceling all jobs; a second one ends at once")
        self._server.conductor.force()

    def _leave(self) -> None:
        if self.stage is Stage.LEAVING or self._serving is None:
            return
        self._go_on_to(Stage.LEAVING)
        last = threading.Timer(_LAST_SECONDS, os._exit, (Exit.FAILED,))
        last.daemon = True
        last.start()
        self._serving.cancel()

    def _go_on_to(self, stage: Stage) -> None:
        self.stage = stage
        self._manager.stopping(f"{stage.name.lower()}; {self._server.status}")


async def _keep_telling(server: Server, manager: ServiceManager) -> None:
    """The service manager how many runs there are, and that this loop turns."""
    told = server.status
    often = _LOOK_SECONDS
    if manager.watchdog is not None:
        often = min(often, manager.watchdog.total_seconds() / 3)
    while True:
        manager.alive()
        if server.status != told:
            told = server.status
            manager.status(told)
        await asyncio.sleep(often)
