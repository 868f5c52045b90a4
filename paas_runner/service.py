"""The service as a process of its own: the real edges, the signals, the exit code."""

import asyncio
import faulthandler
import logging
import os
import random
import signal
from collections.abc import Callable
from typing import NoReturn

import attrs
import structlog

from paas_runner.app import serve
from paas_runner.assembly import Edges
from paas_runner.config import Config
from paas_runner.control import ControlServer
from paas_runner.errors import RunnerError
from paas_runner.executor import installed
from paas_runner.exit_codes import Exit
from paas_runner.http import Http
from paas_runner.observe.systemd import ServiceManager
from paas_runner.operations.draining import Certificate
from paas_runner.signals import QUESTIONS, AskingSignals
from paas_runner.store import StoreError
from paas_runner.store.sqlite import SqliteStore, StoreInUseError
from paas_runner.store.state_file import StateFileError

log = structlog.stdlib.get_logger(__name__)


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
