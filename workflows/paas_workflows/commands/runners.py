"""Jobs of runners in this process: a coordinator with its book on the disk, its address, the service beside.

One program at a time, since a state of the service is one process's. What a killed one has left goes on with
the next: hosts that run report to the same address.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from paas_pipelines.api.routes import BOUNDS
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.server.listening import WORDS, place_of
from paas_pipelines.server.local_runners import LocalRunners, load_runners
from paas_pipelines.server.settings import Settings
from paas_pipelines.store.opening import Store, opened
from paas_pipelines.tasks.job_server import JobServer

from paas_runner.pipelines.jobs import Job
from paas_runner.secret import Secret
from paas_runner.server.connections import Connections
from paas_runner.server.waiting import keep_sweeping
from paas_runner.store.database import StoreInUseError
from paas_runner.web.listening import bound
from paas_workflows.running.jobs import JobsPlace

MOST_LOG_BYTES = 1024 * 1024 * 1024


@asynccontextmanager
async def place_of_jobs(given: Mapping[str, str], folder: Path) -> AsyncIterator[JobsPlace]:
    """By options of the command line, with records in `folder`.

    Raises `RunnerError` for a file or an address that cannot be used, `StoreError` for records of others.
    """
    settings = Settings(
        runners=Path(given["runners"]),
        address=given["address"],
        external_url=given["external_url"] or f"http://{given['address']}",
    )
    address = place_of(settings.address)
    load_runners(settings)
    async with AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(opened(folder, most_log_bytes=MOST_LOG_BYTES))
        except StoreInUseError:
            text = f"{folder}: another program runs steps on runners; wait for it, or use another --state"
            raise StoreInUseError(text) from None
        sockets = await bound(address, **WORDS)
        for each in sockets:
            stack.callback(each.close)
        jobs = JobServer.open(
            engine=Engine(_now, RunBook(), {}),
            journal=store.journal,
            secret=Secret(secrets.token_hex()),  # nobody registers here
            clock=_now,
            book=store.jobs,
            most_log_bytes=MOST_LOG_BYTES,
        )
        runners = LocalRunners(settings, jobs)
        connections = Connections(jobs.app, BOUNDS)
        await connections.start(sockets)
        stack.push_async_callback(connections.stop)
        await stack.enter_async_context(runners.serving())
        sweeping = asyncio.create_task(keep_sweeping(jobs.coordinator))
        stack.callback(sweeping.cancel)
        yield JobsPlace(
            coordinator=jobs.coordinator,
            written=store.journal.flushed,
            forget=lambda job: _forget(store, job),
            now=_now,
        )


def _forget(store: Store, job: Job) -> None:
    """With its trace."""
    for each in store.jobs.jobs_of(job.pipeline_id):
        store.journal.unneeded(store.logs.folder(f"job-{each.job_id}"))
    store.jobs.forget(job.pipeline_id)


def _now() -> datetime:
    return datetime.now(UTC)
