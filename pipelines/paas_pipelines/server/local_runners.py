"""Our own service beside the server: sections with `url = "local:"` take tasks from it without a network.

Hosts are another machine's processes and report over HTTP: what is pushed to them has `external_url`. All
other sections are served as ever. Promises: a service that cannot start ends the start of the server; one
that breaks down later is told in the log and begins again; at the end it sees the hosts of tasks off.
"""

import asyncio
import contextlib
import os
import random
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import attrs
import httpx
import structlog
from starlette.types import ASGIApp

from paas_pipelines.server.settings import Settings
from paas_pipelines.tasks.job_server import JobServer
from paas_pipelines.tasks.place import before
from paas_runner.addresses import AddressError, coordinator_api, parsed
from paas_runner.config import Config, ConfigError, Runner, load
from paas_runner.errors import Exit, RunnerError
from paas_runner.executor.contract import installed
from paas_runner.http import Http, HttpClient
from paas_runner.logs import redactor
from paas_runner.loop.timing import backoff, sleep_until_stopped
from paas_runner.pipelines.runners import REGISTERED
from paas_runner.service.app import serve
from paas_runner.service.assembly import Edges
from paas_runner.service.operations import Operations
from paas_runner.service.process import alone_here, real_edges
from paas_runner.store.opening import open_patiently

log = structlog.stdlib.get_logger(__name__)

SEEING_OFF_SECONDS = 60.0
"""How long the hosts of tasks that have ended may take to go, at the end of the server."""

_NOWHERE = "http://external-url.invalid"
_LOOK_SECONDS = 0.5


class RunnersError(RunnerError):
    """The runners of this server cannot be served as they are configured."""

    exit_code = Exit.CONFIG


def complaints(settings: Settings) -> list[str]:
    """Everything that is wrong with the runners of this server, if it is to have any."""
    if settings.runners is None:
        return []
    try:
        load_runners(settings)
    except ConfigError as error:
        return str(error).splitlines()
    except RunnersError as error:
        return [str(error)]
    return []


def load_runners(settings: Settings) -> Config:
    """What is to be served beside the server; raises `ConfigError`, `RunnersError`."""
    if settings.runners is None:
        raise RunnersError("--runners is not given")
    url = _base(settings) or _NOWHERE
    config = load(settings.runners, environ=os.environ, executors=installed(), local_url=url)
    if any(runner.url == _NOWHERE for runner in config.runners):
        raise RunnersError(
            f'{settings.runners}: sections with url = "local:" need `--external-url`: hosts report to this '
            "server, and have to be told how they reach it"
        )
    redactor.add(config.secrets)
    return config


def _base(settings: Settings) -> str:
    """The address of this server, as other machines have it; empty where there is none."""
    try:
        found = parsed(settings.external_url, ("https", "http")) if settings.external_url else ""
    except AddressError as error:
        raise RunnersError(f"--external-url: {error}") from None
    return str(found).rstrip("/")


def connected(edges: Edges, app: ASGIApp, url: str) -> Edges:
    """The same edges, but for the way to `url`, which leads to `app` in this process."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=urlsplit(url).path)
    inside = Http(transport=lambda _: transport, on_exchange=edges.exchanges)

    def connect(base_url: str, **how: Any) -> HttpClient:
        return (inside if base_url == coordinator_api(url) else edges.connect)(base_url, **how)

    return attrs.evolve(edges, connect=connect)


class LocalRunners:
    """The service of one server."""

    def __init__(
        self, settings: Settings, jobs: JobServer, *, edges: Callable[[], Edges] = real_edges
    ) -> None:
        """Raises `ConfigError`, `RunnersError`; nothing is started yet."""
        self._settings = settings
        self._jobs = jobs
        self._edges = edges
        self._config = load_runners(settings)
        self._stopping = asyncio.Event()
        self._started = asyncio.Event()
        self._operations: Operations | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """For as long as the block lasts; raises `RunnerError` when the service cannot start.

        All runs should have ended when the block does: then the hosts of their tasks are seen off. Where it
        ends by an exception, all is recorded and left as it is: the next start goes on from there.
        """
        serving = asyncio.create_task(self._keep_serving(), name="runners of this server")
        try:
            if await before(self._started, serving):
                serving.result()
            yield
            await self._seen_off(serving)
        except BaseException:
            serving.cancel()
            raise
        finally:
            self._stopping.set()
            with contextlib.suppress(asyncio.CancelledError):
                await serving

    async def _seen_off(self, serving: "asyncio.Task[None]") -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEEING_OFF_SECONDS):
                while self._has_hosts and not serving.done():  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_SECONDS)  # the service tells nobody

    @property
    def _has_hosts(self) -> bool:
        """Whether tasks of ours are tracked, those that have ended among them."""
        if self._operations is None:
            return False
        ours = {runner.short_token for runner in self._local}
        return any(job.key.runner in ours for job in self._operations.status.glance().jobs)

    @property
    def _local(self) -> list[Runner]:
        return [runner for runner in self._config.runners if runner.url == _base(self._settings)]

    async def _keep_serving(self) -> None:
        """Again and again; only the first start may fail for good."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # all else would hide /proc/<us>/fd from tasks
        failures = 0
        while not self._stopping.is_set():
            try:
                await self._served()
            except Exception as error:
                if not self._started.is_set():
                    raise
                failures += 1
                pause = backoff(failures, random.Random()).total_seconds()  # noqa: S311 - a pause
                tell = log.error if isinstance(error, RunnerError) else log.exception
                tell("the runners of this server failed", reason=str(error), again_seconds=pause)
                await sleep_until_stopped(pause, self._stopping)
        log.info("the runners of this server are served no more")

    async def _served(self) -> None:
        def reread() -> Config:
            self._config = load_runners(self._settings)
            self._make_known()
            return self._config

        self._make_known()
        edges = attrs.evolve(
            connected(self._edges(), self._jobs.app, _base(self._settings)),
            open_store=partial(open_patiently, stopping=self._stopping),
            reread=reread,
        )
        with alone_here(self._config):
            await serve(self._config, edges, self._stopping, on_start=self._begun)

    def _begun(self, operations: Operations) -> None:
        self._operations = operations
        self._started.set()

    def _make_known(self) -> None:
        """The coordinator knows the tokens of our own sections, and no more those of earlier ones."""
        runners = self._jobs.coordinator.runners
        ours = {runners.ensure(runner.token, description=runner.title).runner_id for runner in self._local}
        for runner in tuple(runners):
            if runner.runner_id not in ours and not runner.token.reveal().startswith(REGISTERED):
                runners.remove(runner.runner_id)
