"""The rooms put together into one server, and taken apart in the end.

The data folder is locked first, then the address is taken, and only then do records change: of two servers
the second harms nothing. Taken apart in the other order, the records go to the disk last.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import structlog
from starlette.applications import Starlette
from starlette.routing import Route

from paas_pipelines.api import hooks
from paas_pipelines.api.routes import BOUNDS, create_app
from paas_pipelines.api.served import Served
from paas_pipelines.definitions import loading
from paas_pipelines.definitions.conditions import Bounds
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.definitions.dotenv import read_dotenv
from paas_pipelines.definitions.finding import find
from paas_pipelines.definitions.loading import Examined
from paas_pipelines.definitions.reading import Complaint
from paas_pipelines.notices.notifiers import Notifier, notifiers_of
from paas_pipelines.notices.of_runs import NoticesOfRuns, page_of_run
from paas_pipelines.notices.outbox import Outbox
from paas_pipelines.pages.site import PipelinePages
from paas_pipelines.runs.engine import Engine
from paas_pipelines.server import automation, metrics
from paas_pipelines.server.automation import Automation
from paas_pipelines.server.dynamic_config import secret_of
from paas_pipelines.server.listening import WORDS, AccessLog, place_of, port_of
from paas_pipelines.server.plugging import plugged_in
from paas_pipelines.server.reloading import Reloading
from paas_pipelines.server.safekeeping import Safekeeping, automation_of, without_secrets
from paas_pipelines.server.settings import Settings
from paas_pipelines.server.wanted import unfit
from paas_pipelines.store.opening import FILES, Store
from paas_pipelines.store.opening import opened as store_opened
from paas_pipelines.tasks.conductor import Conductor
from paas_pipelines.tasks.executing.executors import Executors
from paas_pipelines.tasks.executing.executors import opened as executors_opened
from paas_pipelines.tasks.files import RunFiles
from paas_pipelines.tasks.gate import Gate
from paas_pipelines.tasks.job_server import JobServer
from paas_pipelines.tasks.local import LocalPlace, kill_what_is_left, with_more_files
from paas_pipelines.tasks.native import NativePlace
from paas_pipelines.tasks.plugged import PluggedActions
from paas_pipelines.tasks.workers import all_workers, waiting_tasks
from paas_pipelines.tasks.workspace import Workspaces
from paas_pipelines.triggers.feed import Feed
from paas_pipelines.triggers.hooks import HookLimits
from paas_runner.secret import Secret
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


@attrs.frozen(kw_only=True)
class _Kept:
    """What outlives the process, opened and recovered."""

    store: Store
    keeping: Safekeeping
    outbox: Outbox
    engine: Engine
    feed: Feed
    gate: Gate


@attrs.frozen(kw_only=True)
class _Places:
    """Where tasks run."""

    files: RunFiles
    jobs: JobServer
    executors: Executors


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
        kept = await _recovered(settings, found, store, definitions)
        places = await stack.enter_async_context(_places(settings, found, kept, environment, secret))
        served = await _served(settings, found, kept, places, secret)
        api = _api(served, kept, places)
        own_runners = None
        if settings.runners:
            from paas_pipelines.server.local_runners import LocalRunners

            own_runners = LocalRunners(settings, places.jobs)
        if sockets:
            await _listening(stack, api, sockets, settings.address)
        if own_runners:
            await stack.enter_async_context(own_runners.serving())
        reloading = Reloading(
            engine=kept.engine,
            load_settings=partial(kept.keeping.reread, settings),
            manager=manager,
            load=load,
            stamps=partial(_stamps, settings),
            seen=seen,
            every_seconds=settings.poll_interval.total_seconds() if settings.watch else None,
        )
        yield Server(
            engine=kept.engine,
            conductor=_conductor(settings, found, kept, places),
            reloading=reloading,
            feed=kept.feed,
            served=served,
            beside=(
                reloading.run,
                kept.feed.run,
                kept.outbox.run,
                partial(kept.gate.keep_sweeping, kept.engine.activities, store.journal),
                partial(keep_sweeping, places.jobs.coordinator),
                kept.keeping.audit.keep_forgetting,
                api.state.warm,
                places.executors.keep_paying,
            ),
            afterwards=places.executors.paid,
        )


async def _recovered(
    settings: Settings, found: Automation, store: Store, definitions: Mapping[str, Definition]
) -> _Kept:
    """With the records of a server that may have been killed gone on from, and on the disk as they are now.

    Whoever is to hear of that observes the runs before.
    """
    journal = store.journal
    keeping = await Safekeeping.open(found, journal, store.runs, _now)
    outbox = await Outbox.opened(journal, _notifiers(found), _now)
    store.runs.observers.append(NoticesOfRuns(outbox, settings.external_url or ""))
    engine = Engine(_now, store.runs, definitions, stdout=store.logs.last_words)
    limits = HookLimits(
        body_bytes=found.limits.body_bytes,
        depth=found.limits.depth,
        deliveries_a_minute=found.limits.deliveries_per_minute,
        read_seconds=found.limits.read_seconds.total_seconds(),
    )
    feed = await Feed.opened(engine, journal, _now, secrets=keeping.vault, limits=limits)
    gate = Gate(settings.data.absolute() / "begun")
    never_began = gate.shut(engine.activities())
    await asyncio.to_thread(kill_what_is_left, list(engine.activities()))
    engine.recover(never_began)
    await gate.sweep(engine.activities, journal)
    return _Kept(store=store, keeping=keeping, outbox=outbox, engine=engine, feed=feed, gate=gate)


@asynccontextmanager
async def _places(
    settings: Settings, found: Automation, kept: _Kept, environment: Mapping[str, str], secret: Secret
) -> AsyncIterator[_Places]:
    store, vault = kept.store, kept.keeping.vault
    workspaces = Workspaces(settings.data.absolute() / "work")
    workspaces.sweep()
    files = RunFiles(settings.data / FILES, store.journal)
    files.sweep(store.runs.runs())
    local = LocalPlace(
        environment, files=with_more_files(), workspaces=workspaces, kept=files, gate=kept.gate
    )
    jobs = JobServer.open(
        engine=kept.engine,
        journal=store.journal,
        secret=secret,
        clock=_now,
        book=store.jobs,
        files=files,
        reveal=vault.value,
        most_log_bytes=settings.max_log_bytes,
        stuck_after=found.limits.stuck_after,
    )
    async with executors_opened(
        journal=store.journal,
        book=store.runs,
        logs=store.logs,
        local=local,
        remote=jobs.place,
        reveal=vault.value,
        vault=vault,
        registry=found.registry,
    ) as executors:
        yield _Places(files=files, jobs=jobs, executors=executors)


async def _served(
    settings: Settings, found: Automation, kept: _Kept, places: _Places, secret: Secret
) -> Served:
    store, keeping = kept.store, kept.keeping
    return Served(
        engine=kept.engine,
        journal=store.journal,
        logs=store.logs,
        secret=secret,
        clock=_now,
        access=keeping.access,
        token_domain=found.token_domain,
        audit=keeping.audit,
        vault=keeping.vault,
        login=await keeping.login(store.journal, _now, settings.external_url or ""),
        feed=kept.feed,
        files=places.files,
        leaks=places.executors.executions.leaks,
    )


def _api(served: Served, kept: _Kept, places: _Places) -> Starlette:
    """All that is answered: the API, pages, hooks, metrics, and the runner's protocol."""
    coordinator = places.jobs.coordinator
    pages = PipelinePages(
        served,
        workers=partial(all_workers, coordinator),
        waiting=lambda: list(waiting_tasks(kept.engine, coordinator)),
        leaks=served.leaks,
    )
    own = [Route("/api/v4/{rest:path}", places.jobs.app), *pages.routes()]
    own += [metrics.route(served, kept.feed, kept.outbox), *hooks.routes(kept.feed)]
    return create_app(served, own_routes=own)


async def _listening(
    stack: AsyncExitStack, api: Starlette, sockets: Sequence[socket.socket], address: str
) -> None:
    """Until the stack is closed."""
    connections = Connections(AccessLog(api), BOUNDS)
    await connections.start(sockets)
    stack.push_async_callback(connections.stop)
    log.info("`paas-pipelines debug`, with the same options, prints a token for trying things out")
    log.info("HTTP API listening", address=address, port=port_of(sockets[0]))


def _conductor(settings: Settings, found: Automation, kept: _Kept, places: _Places) -> Conductor:
    return Conductor(
        kept.engine,
        kept.store.journal,
        kept.store.logs,
        lambda _task: places.executors,
        clock=_now,
        vault=kept.keeping.vault,
        native=NativePlace(
            engine=kept.engine,
            clock=_now,
            notices=kept.outbox if found.notifiers else None,
            link=partial(page_of_run, settings.external_url or ""),
            most_open=found.limits.open_approvals,
            actions=PluggedActions(registry=found.registry),
            access=kept.keeping.access,
            audit=kept.keeping.audit,
        ),
    )


def _loader(settings: Settings, found: Automation) -> Callable[[], Mapping[str, Definition]]:
    """Reads the definitions; what it returns raises `DefinitionsError`, `ConfigError`."""
    bounds = Bounds(triggers=found.limits.triggers, tasks=found.limits.tasks)
    plugged = plugged_in(found.registry)

    def wrong(examined: Examined) -> Iterable[Complaint]:
        """By the credentials that the file has now; all else of it is as it was at the start."""
        if settings.settings is None:
            return ()
        now = automation.load(settings.settings, os.environ)
        return unfit(examined, attrs.evolve(found, credentials=now.credentials), settings.settings)

    return partial(loading.load, settings.path, settings.pattern, bounds=bounds, plugged=plugged, unfit=wrong)


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
