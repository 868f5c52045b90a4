"""The service as a process of its own: the real edges, the signals, the exit code.

Signals that ask the service what commands ask it: one way in, however one comes.
"""

import asyncio
import faulthandler
import logging
import os
import random
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NoReturn

import attrs
import structlog

from paas_runner.config import Config
from paas_runner.control import ControlServer, Handler
from paas_runner.errors import Exit, RunnerError
from paas_runner.executor.contract import installed
from paas_runner.http import Http
from paas_runner.service.app import serve
from paas_runner.service.assembly import Edges
from paas_runner.service.drain import Certificate
from paas_runner.service.systemd import ServiceManager
from paas_runner.store import StoreError
from paas_runner.store.database import StoreInUseError
from paas_runner.store.sqlite import SqliteStore
from paas_runner.store.state_file import StateFileError

log = structlog.stdlib.get_logger(__name__)

QUESTIONS: Mapping[signal.Signals, str] = {
    signal.SIGHUP: "reload",
    signal.SIGQUIT: "drain",
    signal.SIGUSR1: "dump",
}
"""SIGQUIT as GitLab Runner has it: no new jobs, and the end after the last."""


class AskingSignals:
    """Asks the answers that are put on the control socket, without the socket."""

    def __init__(self) -> None:
        """Nobody answers yet."""
        self._answers: Mapping[str, Handler] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def control(self, path: Path, answers: Mapping[str, Handler]) -> AbstractAsyncContextManager[object]:
        """A `Control`: the socket, with these answers for signals, too."""
        self._answers = answers
        return ControlServer(path, answers)

    def ask(self, question: str) -> None:
        """For a signal handler; whatever comes of it is told in the log."""
        if question not in self._answers:
            log.warning("a signal came too early: the service is still starting", asked=question)
            return
        task = asyncio.create_task(self._asked(question), name=question)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _asked(self, question: str) -> None:
        try:
            async for _ in self._answers[question]({}):
                pass
        except RunnerError:
            log.debug("a signal was refused", asked=question)  # whoever refused has told why
        except Exception:
            # a bug in an answer must not end the service
            log.exception("unexpected error: a signal was not answered", asked=question)


def run(
    config: Config,
    *,
    reread: Callable[[], Config],
    adopt: Callable[[Config], None],
    poll_cycles: int | None = None,
) -> int:
    """Serve until a signal comes; returns the exit code, never raises for the foreseeable.

    For a reload `reread` reads the configuration again, and `adopt` makes the log follow it.
    """
    edges = attrs.evolve(real_edges(), reread=reread, adopt=adopt)
    try:
        certificate = asyncio.run(_serve_until_signalled(config, edges, poll_cycles))
    except asyncio.CancelledError:
        log.warning("stopped at once: the next start looks at what became of the calls in flight")
        _leave_at_once()
    except StoreInUseError as error:
        log.error("cannot start", reason=str(error))
        return Exit.IN_USE
    except (StoreError, StateFileError) as error:
        log.error("the records cannot be used", reason=str(error))
        return Exit.STATE
    except RunnerError as error:
        log.error("cannot start", reason=str(error))
        return Exit.CONFIG
    except Exception:
        log.exception("unexpected error: the records are in the store, a restart goes on from there")
        return Exit.FAILED
    return Exit.OK if certificate is None or certificate.clean else Exit.LEFT_OVER


def real_edges() -> Edges:
    """The network, the disk and the executors of this machine."""
    return Edges(
        connect=Http(),
        open_store=SqliteStore.open,
        executors=installed(),
        rng=random.Random(),  # noqa: S311 - jitter, no secret
        control=ControlServer,
    )


def _leave_at_once() -> NoReturn:
    """Without waiting for threads that still push: what they do is recorded as intended."""
    logging.shutdown()
    os._exit(Exit.OK)


async def _serve_until_signalled(config: Config, edges: Edges, poll_cycles: int | None) -> Certificate | None:
    """The first SIGTERM or SIGINT brings the service to rest, the second ends it where it stands."""
    stopping = asyncio.Event()
    manager = ServiceManager.of(os.environ)
    if manager.watchdog:
        # its SIGABRT leaves in the log where the loop stood; other threads run on, which is no state to read
        faulthandler.enable(all_threads=False)
    asking = AskingSignals()
    edges = attrs.evolve(edges, manager=manager, control=asking.control)
    serving = asyncio.create_task(serve(config, edges, stopping, poll_cycles=poll_cycles), name="service")

    def on_signal() -> None:
        if stopping.is_set() and not serving.cancelling():  # a third one must not disturb the last steps
            serving.cancel()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    for number, question in QUESTIONS.items():
        asyncio.get_running_loop().add_signal_handler(number, asking.ask, question)
    return await serving
