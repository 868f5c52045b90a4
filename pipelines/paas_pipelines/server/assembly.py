"""The rooms put together into one server, and taken apart in the end.

The data folder is locked first, then the address is taken, and only then do records change: of two servers
the second harms nothing. Taken apart in the other order, the records go to the disk last.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import structlog
from starlette.routing import Route

from paas_pipelines.api import hooks
from paas_pipelines.api.routes import BOUNDS, create_app
from paas_pipelines.api.served import Served
from paas_pipelines.definitions import loading
from paas_pipelines.definitions.conditions import Bounds
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.definitions.dotenv import read_dotenv
from paas_pipelines.definitions.finding import find
from paas_pipelines.notices.notifiers import Notifier, notifiers_of
from paas_pipelines.notices.of_runs import NoticesOfRuns, page_of_run
from paas_pipelines.notices.outbox import Outbox
from paas_pipelines.pages.site import PipelinePages
from paas_pipelines.runs.engine import Engine
from paas_pipelines.server import metrics
from paas_pipelines.server.automation import Automation
from paas_pipelines.server.dynamic_config import secret_of
from paas_pipelines.server.listening import WORDS, AccessLog, place_of, port_of
from paas_pipelines.server.plugging import plugged_in
from paas_pipelines.server.reloading import Reloading
from paas_pipelines.server.safekeeping import Safekeeping, automation_of, without_secrets
from paas_pipelines.server.settings import Settings
from paas_pipelines.store.opening import FILES
from paas_pipelines.store.opening import opened as store_opened
from paas_pipelines.tasks.conductor import Conductor
from paas_pipelines.tasks.executing.executors import opened as executors_opened
from paas_pipelines.tasks.files import RunFiles
from paas_pipelines.tasks.job_server import JobServer
from paas_pipelines.tasks.local import LocalPlace, kill_what_is_left, with_more_files
from paas_pipelines.tasks.native import NativePlace
from paas_pipelines.tasks.plugged import PluggedActions
from paas_pipelines.tasks.workers import all_workers, waiting_tasks
from paas_pipelines.tasks.workspace import Workspaces
from paas_pipelines.triggers.feed import Feed
from paas_pipelines.triggers.hooks import HookLimits
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
    feed: Feed
    served: Served
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    """What goes on, until cancelled, as long as the conductor runs."""

    afterwards: Callable[[], Coroutine[Any, Any, None]]
    """What is owed when the last run is over."""

    @property
    def running(self) -> int:
        """How many runs an orderly stop waits for."""
        return sum(1 for _ in self.engine.at_work())

    @property
    def status(self) -> str:
        """One line."""
        pipelines = self.engine.pipelines()
        active, waiting = sum(each.active for each in pipelines), sum(each.waiting for each in pipelines)
        return f"{len(pipelines)} pipelines, {active} running, {waiting} waiting"


@asynccontextmanager
async def opened(settings: Settings, manager: ServiceManager) -> AsyncIterator[Server]:
    """A server that answers, until the end; raises `RunnerError` if it cannot start."""
    address = place_of(settings.address) if settings.address else None
    secret = secret_of(settings)
    found = automation_of(settings)
    settings = attrs.evolve(settings, external_url=settings.external_url or found.external_url)
    environment = without_secrets({**os.environ, **read_dotenv(settings.env_files)}, found)
    load = _loader(settings, found)
    seen = _stamps(settings) if settings.watch else None
    definitions = load()
    log.info("loaded pipeline definitions", pipelines=len(definitions))
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            store_opened(settings.data, most_log_bytes=settings.max_log_bytes)
        )
        sockets = await bound(address, **WORDS) if address else ()
        for each in sockets:
            stack.callback(each.close)
        journal = store.journal
        keeping = await Safekeeping.open(found, journal, store.runs, _now)
        outbox = await Outbox.opened(journal, _notifiers(found), _now)
        store.runs.observers.append(NoticesOfRuns(outbox, settings.external_url or ""))
        engine = Engine(_now, store.runs, definitions, stdout=store.logs.last_words)
        feed = await Feed.opened(
            engine,
            journal,
            _now,
            secrets=keeping.vault,
            limits=HookLimits(
                body_bytes=found.limits.body_bytes,
                depth=found.limits.depth,
                deliveries_a_minute=found.limits.deliveries_per_minute,
                read_seconds=found.limits.read_seconds.total_seconds(),
            ),
        )
        await asyncio.to_thread(kill_what_is_left, list(engine.activities()))
        engine.recover()
        await journal.flushed()
        workspaces = Workspaces(settings.data.absolute() / "work")
        workspaces.sweep()
        kept = RunFiles(settings.data / FILES, journal)
        kept.sweep(store.runs.runs())
        local = LocalPlace(environment, files=with_more_files(), workspaces=workspaces, kept=kept)
        jobs = JobServer.open(
            engine=engine,
            journal=journal,
            secret=secret,
            clock=_now,
            book=store.jobs,
            files=kept,
            reveal=keeping.vault.value,
            most_log_bytes=settings.max_log_bytes,
            stuck_after=found.limits.stuck_after,
        )
        executors = await stack.enter_async_context(
            executors_opened(
                journal=journal,
                book=store.runs,
                logs=store.logs,
                local=local,
                remote=jobs.place,
                reveal=keeping.vault.value,
                vault=keeping.vault,
                registry=found.registry,
            )
        )
        own_runners = None
        if settings.runners:
            from paas_pipelines.server.local_runners import LocalRunners

            own_runners = LocalRunners(settings, jobs)
        served = Served(
            engine=engine,
            journal=journal,
            logs=store.logs,
            secret=secret,
            clock=_now,
            access=keeping.access,
            token_domain=found.token_domain,
            audit=keeping.audit,
            vault=keeping.vault,
            login=await keeping.login(journal, _now, settings.external_url or ""),
            feed=feed,
            files=kept,
            leaks=executors.executions.leaks,
        )
        pages = PipelinePages(
            served,
            workers=partial(all_workers, jobs.coordinator),
            waiting=lambda: list(waiting_tasks(engine, jobs.coordinator)),
            leaks=executors.executions.leaks,
        )
        routes = [*pages.routes(), metrics.route(served, feed, outbox), *hooks.routes(feed)]
        api = create_app(served, own_routes=[Route("/api/v4/{rest:path}", jobs.app), *routes])
        connections = Connections(AccessLog(api), BOUNDS)
        if sockets:
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
            lambda _task: executors,
            clock=_now,
            vault=keeping.vault,
            native=NativePlace(
                engine=engine,
                clock=_now,
                notices=outbox if found.notifiers else None,
                link=partial(page_of_run, settings.external_url or ""),
                most_open=found.limits.open_approvals,
                actions=PluggedActions(registry=found.registry),
                access=keeping.access,
                audit=keeping.audit,
            ),
        )
        reloading = Reloading(
            engine=engine,
            load_settings=partial(keeping.reread, settings),
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
            feed=feed,
            served=served,
            beside=(
                reloading.run,
                feed.run,
                outbox.run,
                partial(keep_sweeping, jobs.coordinator),
                keeping.audit.keep_forgetting,
                api.state.warm,
                executors.keep_paying,
            ),
            afterwards=executors.paid,
        )


def _loader(settings: Settings, found: Automation) -> Callable[[], Mapping[str, Definition]]:
    """Reads the definitions; what it returns raises `DefinitionsError`."""
    bounds = Bounds(triggers=found.limits.triggers, tasks=found.limits.tasks)
    plugged = plugged_in(found.registry)
    return partial(loading.load, settings.path, settings.pattern, bounds=bounds, plugged=plugged)


def _notifiers(found: Automation) -> Mapping[str, Notifier]:
    if not found.notifiers:
        return {}
    from paas_runner.http import Http

    return notifiers_of(found.notifiers, Http(), _now)


def _stamps(settings: Settings) -> Sequence[tuple[str, int, int, int, int]]:
    """What the file system says of the files of definitions; raises OSError, `RunnerError`."""
    files = [*find(settings.path, settings.pattern), *([str(settings.settings)] if settings.settings else [])]
    stats = [(file, Path(file).stat()) for file in files]
    return [(file, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns) for file, now in stats]


def _now() -> datetime:
    return datetime.now(UTC)
