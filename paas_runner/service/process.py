"""The service as a process of its own: the real edges, the signals, the exit code."""

import asyncio
import contextlib
import ctypes
import faulthandler
import logging
import os
import resource
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import NoReturn

import attrs
import structlog

from paas_runner.config import Config
from paas_runner.control import ControlServer
from paas_runner.errors import Exit, RunnerError
from paas_runner.executor.contract import installed
from paas_runner.http import Exchanges, Http
from paas_runner.loop.lookups import ServiceLoop
from paas_runner.service import first_signals
from paas_runner.service.app import serve
from paas_runner.service.assembly import Edges
from paas_runner.service.drain import Certificate
from paas_runner.service.operations import Operations
from paas_runner.service.systemd import ServiceManager
from paas_runner.store import StoreError, StoreUnreachableError
from paas_runner.store.database import StoreInUseError, locked
from paas_runner.store.opening import open_patiently, open_store
from paas_runner.store.state_file import StateFileError

log = structlog.stdlib.get_logger(__name__)

_PR_SET_DUMPABLE = 4  # linux/prctl.h

OPERATIONS: Mapping[signal.Signals, Callable[[Operations], Awaitable[object]]] = {
    signal.SIGHUP: Operations.reload,
    signal.SIGQUIT: Operations.drain,
    signal.SIGUSR1: Operations.dump,
}
"""SIGQUIT as GitLab Runner has it: no new jobs, and the end after the last."""


class OperatorSignals:
    """Signals that do what commands do, once the service has started."""

    def __init__(self) -> None:
        self._operations: Operations | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def attached(self) -> bool:
        """Whether the service has started."""
        return self._operations is not None

    def attach(self, operations: Operations) -> None:
        """Carry signals out from now on."""
        self._operations = operations

    def handle(self, number: signal.Signals) -> None:
        """A signal has come; the log says what comes of it."""
        operation = OPERATIONS[number]
        if self._operations is None:
            log.warning("signal_too_early", asked=operation.__name__)
            return
        task = asyncio.create_task(self._carry_out(operation(self._operations), operation.__name__))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, operation: Awaitable[object], name: str) -> None:
        try:
            await operation
        except RunnerError:
            log.debug("signal_refused", asked=name)  # the log has the reason already
        except Exception:
            # a bug in an operation must not end the service
            log.exception("signal_error", asked=name)


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
    leave_no_core_file()
    edges = attrs.evolve(real_edges(), reread=reread, adopt=adopt)
    try:
        with alone_here(config), asyncio.Runner(loop_factory=ServiceLoop) as runner:
            certificate = runner.run(_serve_until_signalled(config, edges, poll_cycles))
    except asyncio.CancelledError:
        log.warning("stopped_at_once")
        _leave_at_once()
    except StoreInUseError as error:
        log.error("cannot_start", reason=str(error))
        return Exit.IN_USE
    except (StoreError, StateFileError) as error:
        log.error("records_unusable", reason=str(error))
        return Exit.STATE
    except RunnerError as error:
        log.error("cannot_start", reason=str(error))
        return Exit.CONFIG
    except Exception:
        log.exception("service_error")
        return Exit.FAILED
    finally:
        first_signals.hold_to_the_end()
    return Exit.OK if certificate is None or certificate.clean else Exit.LEFT_OVER


def leave_no_core_file() -> None:
    """Whatever ends this process: all tokens are in its memory, and nobody else may look into that.

    The limit holds for what it starts, too; a program that takes cores from the kernel heeds the flag alone.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):  # of Linux alone
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def real_edges() -> Edges:
    """The network, the disk and the executors of this machine."""
    exchanges = Exchanges()
    return Edges(
        connect=Http(on_exchange=exchanges),
        exchanges=exchanges,
        open_store=open_store,
        executors=installed(),
        control=ControlServer,
    )


def alone_here(config: Config) -> AbstractContextManager[None]:
    """What stands beside `state_file` is one process's; a store there locks it anyway."""
    return locked(config.store_path) if config.state_store else contextlib.nullcontext()


def _leave_at_once() -> NoReturn:
    """Without waiting for threads that still push: what they do is recorded as intended."""
    logging.shutdown()
    os._exit(Exit.OK)


async def _serve_until_signalled(config: Config, edges: Edges, poll_cycles: int | None) -> Certificate | None:
    """The first SIGTERM or SIGINT stops the service in an orderly way, the second ends it where it stands."""
    stopping = asyncio.Event()
    manager = ServiceManager.of(os.environ)
    if manager.watchdog:
        # its SIGABRT leaves in the log where the loop stood; other threads run on, which is no state to read
        faulthandler.enable(all_threads=False)
    signals = OperatorSignals()
    edges = attrs.evolve(edges, manager=manager, open_store=partial(open_patiently, stopping=stopping))
    service = serve(config, edges, stopping, poll_cycles=poll_cycles, on_start=signals.attach)
    serving = asyncio.create_task(service, name="service")

    def stop() -> None:
        if stopping.is_set() and not serving.cancelling():  # a third one must not disturb the last steps
            serving.cancel()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    for number in OPERATIONS:
        asyncio.get_running_loop().add_signal_handler(number, signals.handle, number)
    first_signals.take_up()
    try:
        return await serving
    except StoreUnreachableError:
        if signals.attached or not stopping.is_set():
            raise
        log.info("stopped", jobs=0, state_file=str(config.state_file))  # its database was still waited for
        return None
