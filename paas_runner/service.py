"""The service as a process of its own: the real edges, the signals, the exit code."""

import asyncio
import random
import signal

import structlog

from paas_runner.app import Edges, serve
from paas_runner.config import Config
from paas_runner.errors import RunnerError
from paas_runner.executor import installed
from paas_runner.exit_codes import Exit
from paas_runner.http import Http
from paas_runner.store import StoreError
from paas_runner.store.sqlite import SqliteStore, StoreInUseError
from paas_runner.store.state_file import StateFileError

log = structlog.stdlib.get_logger(__name__)


def run(config: Config) -> int:
    """Serve until a signal comes; returns the exit code, never raises for the foreseeable."""
    try:
        asyncio.run(_serve_until_signalled(config))
    except asyncio.CancelledError:
        log.warning("stopped at once: the next start looks at what became of the calls in flight")
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
    return Exit.OK


def real_edges() -> Edges:
    """The network, the disk and the executors of this machine."""
    return Edges(
        connect=Http(),
        open_store=SqliteStore.open,
        executors=installed(),
        rng=random.Random(),  # noqa: S311 - jitter, no secret
    )


async def _serve_until_signalled(config: Config) -> None:
    """The first SIGTERM or SIGINT brings the service to rest, the second ends it where it stands."""
    stopping = asyncio.Event()
    serving = asyncio.ensure_future(serve(config, real_edges(), stopping))

    def on_signal() -> None:
        if stopping.is_set():
            serving.cancel()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    await serving
