"""The unchanged service in a world without threads, sockets and processes, where waiting costs nothing."""

import asyncio
import random
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from executors.clever import CleverDocker
from executors.clever_service import CleverService
from paas_runner.config import load
from paas_runner.job.known_runner import short_token
from paas_runner.pipelines.coordinator import Coordinator as GitLab
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox import cloud as clever
from paas_runner.sandbox.cloud.application import DOMAIN
from paas_runner.sandbox.control_api import create_coordinator_app
from paas_runner.sandbox.faults import FaultInjector, FaultPlan
from paas_runner.sandbox.helpers import HONEST, HelperBook
from paas_runner.sandbox.scripted import ScriptedInnerRunner
from paas_runner.sandbox.server import host_program
from paas_runner.secret import Secret
from paas_runner.server.waiting import settled
from paas_runner.service.app import serve
from paas_runner.service.assembly import Edges
from paas_runner.testing.memory_store import MemoryStore
from paas_runner.testing.virtual_time import EPOCH, run_virtual, virtual_now
from tests.support.git_in_process import InProcessRemote
from tests.support.live_records import added, submitted
from tests.support.pushes import AsPush
from tests.support.site_in_process import SiteInProcess

COORDINATOR, CLOUD = "http://coordinator.test", "http://cloud.test"

CONFIG = """
concurrent = {concurrent}
check_interval = {check_interval}
{more}

[[runners]]
  name = "virtual"
  url = "{url}"
  token = "{token}"
  executor = "clever-docker"
  cc_api_url = "{cloud}/v2"
  cc_orga_id = "{organisation}"
  cc_token = "cloud-token-canary"
  {runner}
"""


class VirtualWorld:
    """One coordinator, one cloud, one store on a disk that survives; the service comes and goes."""

    def __init__(self, folder: Path, *, cloud=None, coordinator=None, seed=1, **config):
        self.folder = folder
        self.rng = random.Random(seed)
        self.coordinator_faults, self.cloud_faults = FaultPlan(), FaultPlan()
        options = {"long_poll_seconds": 50.0} | (coordinator or {})
        self.gitlab = GitLab(
            clock=virtual_now,
            options=CoordinatorOptions(
                registration_token=Secret("registration"), admin_token=Secret("admin"), **options
            ),
            rng=random.Random(seed),
        )
        inner = ScriptedInnerRunner(clock=virtual_now, transport=lambda _url: self._transport(COORDINATOR))
        self.helpers = HelperBook(virtual_now)
        self.manners = HONEST  # of helpers that start from now on
        self.cloud = clever.Cloud(
            clock=virtual_now,
            rng=random.Random(seed),
            program=host_program(inner, self.helpers, self.manners_of),
            options=cloud or clever.CloudOptions(),
        )
        self.organisation = self.cloud.add_organisation("Example", Secret("cloud-token-canary")).id
        self._apps = {
            COORDINATOR: FaultInjector(create_coordinator_app(self.gitlab), self.coordinator_faults),
            CLOUD: FaultInjector(self._cloud_app(), self.cloud_faults),
        }
        self._load_balancer = clever.LoadBalancer(self.cloud)
        self.store = MemoryStore()
        self.site = SiteInProcess()
        self.push = None  # a coroutine function that pushes instead of the service itself
        self.runner = added(self.gitlab, description="virtual")
        self.most_alive = 0
        self._config = config

    def _cloud_app(self):
        return clever.create_app(self.cloud, remote=InProcessRemote(self.cloud), base_url=CLOUD)

    def manners_of(self, _host):
        """How a helper that starts now is to behave."""
        return self.manners

    def _transport(self, base_url):
        parts = urlsplit(base_url)
        if parts.netloc.endswith(f".{DOMAIN}"):
            return httpx.ASGITransport(self._load_balancer)
        return httpx.ASGITransport(self._apps[f"{parts.scheme}://{parts.netloc}"])

    @property
    def key(self):
        return short_token(self.runner.token.reveal())

    def configuration(self):
        path = self.folder / "config.toml"
        path.write_text(self.configuration_text())
        return load(path, environ={}, executors=self.executors)

    def configuration_text(self) -> str:
        """What the file says at the next start or reload."""
        values = {"concurrent": 10, "check_interval": 3, "more": "", "runner": ""} | self._config
        return CONFIG.format(
            url=COORDINATOR,
            cloud=CLOUD,
            token=self.runner.token.reveal(),
            organisation=self.organisation,
            **values,
        )

    @property
    def executors(self):
        push = AsPush(self.push) if self.push else None
        return {
            "clever-docker": lambda: CleverDocker(push=push, clock=virtual_now),
            "clever-service-docker": lambda: CleverService(push=push, clock=virtual_now),
        }

    def start(self, **more_edges):
        """The service as a task, and what stops it."""

        async def open_store(_path):
            return self.store

        edges = Edges(
            open_store=open_store,
            executors=self.executors,
            rng=self.rng,
            started_at=virtual_now(),
            **(self.site.edges(rng=self.rng, transport=self._transport) | more_edges),
        )
        stopping = asyncio.Event()
        return asyncio.ensure_future(serve(self.configuration(), edges, stopping)), stopping

    @asynccontextmanager
    async def service(self, **more_edges):
        """The service, stopped in an orderly way at the end of the block."""
        serving, stopping = self.start(**more_edges)
        try:
            yield serving
        finally:
            stopping.set()
            await serving

    def submit(self, *script, name="job", **more):
        return submitted(self.gitlab, JobSpec(name=name, script=script or ("true",), **more))

    async def settled(self, *jobs):
        """Every one of the jobs has ended and no host is left."""
        await settled(self.gitlab, [job.job_id for job in jobs])
        while self.alive:
            await asyncio.sleep(1)

    async def watch(self):
        """Keep the peaks up to date."""
        while True:
            self.most_alive = max(self.most_alive, len(self.alive))
            await asyncio.sleep(0.5)

    @property
    def alive(self):
        return list(self.cloud.ledger.alive)

    @property
    def launches(self):
        return {entry.name: entry.launches for entry in self.cloud.ledger.created}

    @staticmethod
    def seconds():
        return (virtual_now() - EPOCH).total_seconds()

    @classmethod
    def play(cls, folder, story, *more, **options):
        """Run a story in a world of its own, for a day at most; nothing is left of it."""

        async def main():
            world = cls(folder, **options)
            try:
                return await asyncio.wait_for(story(world, *more), 24 * 3600)
            finally:
                await world.aclose()

        return run_virtual(main())

    async def aclose(self):
        await self.cloud.aclose()
