"""The rooms put together into one server, and taken apart in the end."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import attrs
import structlog

from paas_pipelines.api.routes import BOUNDS, create_app
from paas_pipelines.api.served import Served
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import Run, Task
from paas_pipelines.server.dynamic_config import secret_of
from paas_pipelines.server.listening import AccessLog, place_of
from paas_pipelines.server.reloading import Reloading
from paas_pipelines.server.settings import Settings
from paas_pipelines.store.codec import run_text, runs
from paas_pipelines.store.disk import DiskJournal
from paas_pipelines.store.logs import LogFiles
from paas_pipelines.tasks.conductor import FORGOTTEN, Conductor
from paas_pipelines.tasks.place import Place
from paas_runner.server.connections import Connections
from paas_runner.service.systemd import ServiceManager
from paas_runner.web.listening import bound

log = structlog.stdlib.get_logger(__name__)

RUN = "run"
"""The kind of their records in the journal."""


@attrs.frozen(kw_only=True)
class Server:
    """What the process runs."""

    engine: Engine
    conductor: Conductor
    reloading: Reloading

    @property
    def status(self) -> str:
        """One line."""
        book = self.engine.book
        active, waiting = len(list(book.all_active())), len(list(book.all_waiting()))
        return f"{len(self.engine.definitions)} pipelines, {active} running, {waiting} waiting"


@asynccontextmanager
async def opened(settings: Settings, manager: ServiceManager) -> AsyncIterator[Server]:
    """A server that answers, until the end; raises `RunnerError` if it cannot start."""
    place = place_of(settings.address)
    secret = secret_of(settings)
    definitions: Mapping[str, Definition] = {}
    async with AsyncExitStack() as stack:
        journal = await DiskJournal.open(settings.data)
        stack.push_async_callback(journal.aclose)
        sockets = await bound(place, setting="--address", remedy="choose another one")
        for each in sockets:
            stack.callback(each.close)
        book = await _loaded(journal)
        engine = Engine(_now, book, definitions)
        engine.recover()
        await journal.flushed()
        logs = LogFiles(settings.data / "logs", most_bytes=settings.max_log_bytes)
        served = Served(engine=engine, journal=journal, logs=logs, secret=secret, clock=_now)
        connections = Connections(AccessLog(create_app(served)), BOUNDS)
        await connections.start(sockets)
        stack.push_async_callback(connections.stop)
        log.info("HTTP API listening", address=settings.address, port=sockets[0].getsockname()[1])
        yield Server(
            engine=engine,
            conductor=Conductor(
                engine,
                journal,
                logs,
                _no_place,
                clock=_now,
                forgotten=await journal.stored(FORGOTTEN),
            ),
            reloading=Reloading(
                engine,
                manager,
                load=lambda: definitions,
                stamps=lambda: None,
                every=settings.poll_interval if settings.watch else None,
            ),
        )


async def _loaded(journal: DiskJournal) -> RunBook:
    """All runs that the disk has; what changes of them goes there."""

    def written(run_id: str, run: Run | None) -> None:
        journal.put(RUN, run_id, None if run is None else run_text(run))

    return RunBook(runs(await journal.stored(RUN)), written=written)


def _now() -> datetime:
    return datetime.now(UTC)


def _no_place(task: Task) -> Place:
    raise NotImplementedError(task.name)
