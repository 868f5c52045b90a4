"""A pipelines server in process, with hosts of the sandbox's cloud for its own runners."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import attrs
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.server.local_runners import LocalRunners
from paas_pipelines.server.settings import Settings
from paas_pipelines.store.logs import LogFiles
from paas_pipelines.tasks.conductor import Conductor
from paas_pipelines.tasks.job_server import JobServer

from paas_runner.sandbox.server import Sandbox
from paas_runner.secret import Secret
from paas_runner.server.listening import Listener
from tests.support.memory_journal import MemoryJournal

SECRET = Secret("not-very-secret-but-long")
TOKEN = "glrt-t1_localrunner-of-tests"
CONFIG = """
concurrent = 10
check_interval = 0.2
job_progress_poll_interval = 0.3

[[runners]]
  name = "far"
  url = "local:"
  token = "{token}"
  executor = "clever-docker"
  cc_api_url = "{cloud}"
  cc_orga_id = "{organisation}"
  cc_token = "{cloud_token}"
  cc_deployment_repo_wait_step = 0.1

  [runners.paas_job_trace_watch]
    poll_step = 0.2
"""


def now():
    return datetime.now(UTC)


def write_config(path, sandbox, *, more=""):
    path.touch(mode=0o600)
    path.write_text(
        CONFIG.format(
            token=TOKEN,
            cloud=sandbox.cloud_api_url,
            organisation=sandbox.organisation_id,
            cloud_token=sandbox.cloud_token.reveal(),
        )
        + more
    )
    return path


@attrs.define
class LocalWorld:
    sandbox: Sandbox
    engine: Engine
    jobs: JobServer
    conductor: Conductor
    runners: LocalRunners
    settings: Settings
    logs: LogFiles

    @property
    def billed(self):
        """What of the cloud is paid for now."""
        return self.sandbox.cloud.ledger.alive

    def again(self):
        """Its runners, after a restart."""
        return LocalRunners(self.settings, self.jobs)

    @asynccontextmanager
    async def working(self):
        """With the conductor at work; all has ended in the end, unless something failed."""
        working = asyncio.create_task(self.conductor.run())
        try:
            yield
            self.conductor.close()
            await working
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    @asynccontextmanager
    async def working_until_it_is_killed(self):
        """With the conductor at work, which is cut off in the end; another one goes on."""
        working = asyncio.create_task(self.conductor.run())
        try:
            yield
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            self.conductor = Conductor(
                self.engine, MemoryJournal(), self.logs, lambda _task: self.jobs.place, clock=now
            )
            self.engine.book.save(*self.engine.book.all_active())  # it looks at what has changed

    async def job_that_says(self, text, seconds=60):
        """The id of a job, once it has said so."""
        async with asyncio.timeout(seconds):
            while True:
                for job_id in self.jobs.coordinator.jobs:
                    if text in self.jobs.coordinator.trace(job_id):
                        return job_id
                await asyncio.sleep(0.02)

    def schedule(self, **tasks):
        definition = Definition(name="p", source="x", tasks=tasks, concurrency=10)
        self.engine.definitions = {"p": definition}
        return self.engine.schedule("p", variables={"who": "it's me"}).run_id

    async def ended(self, run_id, seconds=60):
        async with asyncio.timeout(seconds):
            while not (run := self.engine.book.run(run_id)).completed:
                await asyncio.sleep(0.05)
        return run


@asynccontextmanager
async def local_world(folder, edges=None, more=lambda _sandbox, _url: "", config=None):
    """Everything but the program; `config` is written instead of the usual one."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        engine = Engine(now, RunBook(), {})
        journal = MemoryJournal()
        logs = LogFiles(folder / "logs", most_bytes=1_000_000)
        jobs = JobServer.open(engine=engine, journal=journal, secret=SECRET, clock=now)
        listener = Listener(jobs.app)
        await listener.start()
        stack.push_async_callback(listener.stop)
        path = write_config(folder / "config.toml", sandbox, more=more(sandbox, listener.url))
        if config:
            path.write_text(config)
        settings = Settings(runners=path, external_url=listener.url)
        runners = LocalRunners(settings, jobs, **({"edges": edges} if edges else {}))
        conductor = Conductor(engine, journal, logs, lambda _task: jobs.place, clock=now)
        yield LocalWorld(sandbox, engine, jobs, conductor, runners, settings, logs)
