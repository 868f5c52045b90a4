"""The rooms put together into one server, and taken apart in the end.

The data folder is locked first, then the address is taken, and only then do records change: of two servers
the second harms nothing. Taken apart in the other order, the records go to the disk last.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import structlog
from starlette.routing import Route

from paas_pipelines.api.routes import BOUNDS, create_app
from paas_pipelines.api.served import Served
from paas_pipelines.definitions import loading
from paas_pipelines.definitions.dotenv import read_dotenv
from paas_pipelines.definitions.finding import find
from paas_pipelines.pages.site import PipelinePages
from paas_pipelines.runs.engine import Engine
from paas_pipelines.server import metrics
from paas_pipelines.server.dynamic_config import secret_of
from paas_pipelines.server.listening import WORDS, AccessLog, place_of, port_of
from paas_pipelines.server.reloading import Reloading
from paas_pipelines.server.settings import Settings
from paas_pipelines.store.opening import opened as store_opened
from paas_pipelines.tasks.conductor import Conductor
from paas_pipelines.tasks.job_server import JobServer
from paas_pipelines.tasks.local import LocalPlace, kill_what_is_left, with_more_files
from paas_runner.server.connections import Connections
from paas_runner.server.waiting import keep_sweeping
from paas_runner.service.systemd import ServiceManager
from paas_runner.web.listening import bound

log = structlog.stdlib.get_logger(__name__)


@attrs.frozen(kw_only=True)
class Server:
    """What the process runs."""

    engine: Engine
    conductor: Conductor
    reloading: Reloading
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    """What goes on, until cancelled, as long as the conductor runs."""

    @property
    def running(self) -> int:
        """How many runs an orderly stop waits for."""
        return sum(1 for _ in self.engine.book.all_active())

    @property
    def status(self) -> str:
        """One line."""
        pipelines = self.engine.pipelines()
        active, waiting = sum(each.active for each in pipelines), sum(each.waiting for each in pipelines)
        return f"{len(pipelines)} pipelines, {active} running, {waiting} waiting"


@asynccontextmanager
async def opened(settings: Settings, manager: ServiceManager) -> AsyncIterator[Server]:
    """A server that answers, until the end; raises `RunnerError` if it cannot start."""
    address = place_of(settings.address)
    secret = secret_of(settings)
    environment = {**os.environ, **read_dotenv(settings.env_files)}
    load = partial(loading.load, settings.path, settings.pattern)
    seen = _stamps(settings) if settings.watch else None
    definitions = load()
    log.info("loaded pipeline definitions", pipelines=len(definitions))
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            store_opened(settings.data, most_log_bytes=settings.max_log_bytes)
        )
        sockets = await bound(address, **WORDS)
        for each in sockets:
            stack.callback(each.close)
        journal = store.journal
        engine = Engine(_now, store.runs, definitions)
        await asyncio.to_thread(kill_what_is_left, list(engine.activities()))
        engine.recover()
        await journal.flushed()
        local = LocalPlace(environment, files=with_more_files())
        jobs = JobServer.open(
            engine=engine,
            journal=journal,
            secret=secret,
            clock=_now,
            book=store.jobs,
            most_log_bytes=settings.max_log_bytes,
        )
        own_runners = None
        if settings.runners:
            from paas_pipelines.server.local_runners import LocalRunners

            own_runners = LocalRunners(settings, jobs)
        served = Served(engine=engine, journal=journal, logs=store.logs, secret=secret, clock=_now)
        routes = [*PipelinePages(served).routes(), metrics.route(engine)]
        api = create_app(served, own_routes=[Route("/api/v4/{rest:path}", jobs.app), *routes])
        connections = Connections(AccessLog(api), BOUNDS)
        await connections.start(sockets)
        stack.push_async_callback(connections.stop)
        log.info("`paas-pipelines debug`, with the same options, prints a token for trying things out")
        log.info("HTTP API listening", address=settings.address, port=port_of(sockets[0]))
        if own_runners:
            await stack.enter_async_context(own_runners.serving())
        conductor = Conductor(
            engine,
            journal,
            store.logs,
            lambda task: jobs.place if task.definition.elsewhere else local,
            clock=_now,
        )
        reloading = Reloading(
            engine=engine,
            manager=manager,
            load=load,
            stamps=partial(_stamps, settings),
            seen=seen,
            every_seconds=settings.poll_interval.total_seconds() if settings.watch else None,
        )
        yield Server(
            engine=engine,
            conductor=conductor,
            reloading=reloading,
            beside=(reloading.run, partial(keep_sweeping, jobs.coordinator), api.state.warm),
        )


def _stamps(settings: Settings) -> Sequence[tuple[str, int, int, int, int]]:
    """What the file system says of the files of definitions; raises OSError, `RunnerError`."""
    files = find(settings.path, settings.pattern)
    stats = [(file, Path(file).stat()) for file in files]
    return [(file, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns) for file, now in stats]


def _now() -> datetime:
    return datetime.now(UTC)
