"""Several unchanged services on one store, in a world where waiting costs nothing: each comes and goes."""

import asyncio
import random
from contextlib import suppress

from paas_runner.config import load
from paas_runner.job.known_runner import short_token
from paas_runner.service.app import serve
from paas_runner.service.assembly import Edges
from paas_runner.service.systemd import ServiceManager
from paas_runner.store import StoreError
from paas_runner.testing.shared_memory import LeaseTable, SharedMemoryStore
from paas_runner.testing.virtual_time import virtual_now
from tests.support.live_records import added
from tests.support.site_in_process import SiteInProcess
from tests.support.virtual_world import CLOUD, COORDINATOR, VirtualWorld

SECTION = """
[[runners]]
  name = "{name}"
  url = "{url}"
  token = "{token}"
  executor = "clever-docker"
  cc_api_url = "{cloud}/v2"
  cc_orga_id = "{organisation}"
  cc_token = "cloud-token-canary"
"""


class SharedWorld(VirtualWorld):
    """One database, one coordinator, one cloud; as many sections as a test wants."""

    def __init__(self, folder, *, sections=1, mode="standby", concurrent=10, head="", tail="", **options):
        """`head` and `tail` are more of everybody's file, before and after its sections."""
        super().__init__(folder, **options)
        self.head, self.tail = head, tail
        self.table = LeaseTable(lambda: asyncio.get_running_loop().time())
        self.runners = [self.runner, *(added(self.gitlab, description=f"r{n}") for n in range(1, sections))]
        self.keys = [short_token(runner.token.reveal()) for runner in self.runners]
        self.mode = mode
        self.concurrent = concurrent

    def process(self, name, **changed):
        """A service of its own, which begins at once."""
        return Life(self, name, **changed)

    def text(self, *, sections=None, concurrent=None, mode=None):
        head = (
            f"concurrent = {concurrent or self.concurrent}\ncheck_interval = 3\n"
            f'state_store_mode = "{mode or self.mode}"\n{self.head}\n'
        )
        numbers = range(len(self.runners)) if sections is None else sections
        return (
            head
            + "".join(
                SECTION.format(
                    name=f"r{number}",
                    url=COORDINATOR,
                    cloud=CLOUD,
                    token=self.runners[number].token.reveal(),
                    organisation=self.organisation,
                )
                for number in numbers
            )
            + self.tail
        )

    @property
    def holders(self):
        """Who has each section, by number."""
        now = self.table.clock()
        rows = [self.table.rows.get(key) for key in self.keys]
        return [row.holder if row and row.until > now else "" for row in rows]

    async def held_by(self, life, *numbers):
        """Wait until it has these sections; returns after how many seconds."""
        began = self.seconds()
        while any(self.holders[number] != life.holder for number in numbers):
            await asyncio.sleep(0.1)
        return self.seconds() - began


class Unreliable(SharedMemoryStore):
    """A store that a test may take away: what is asked for then fails, or hangs."""

    def __init__(self, disk, table):
        super().__init__(disk, table)
        self.away = ""
        self.slow = 0  # seconds until what is known of the runners is read

    async def runners(self):
        known = await self._disk.runners()
        await asyncio.sleep(self.slow)
        return known

    async def _reached(self):
        hung = self.away == "hangs"
        while self.away == "hangs":
            await asyncio.sleep(1)
        if hung or self.away:
            raise StoreError(f"the database cannot be reached: {self.away}")

    async def _asked(self, work):
        await self._reached()
        return await super()._asked(work)


class Life:
    """One process from its start to its end."""

    def __init__(self, world, name, *, manager=None, **changed):
        self.name = name
        self.folder = world.folder / name
        self.folder.mkdir(exist_ok=True)
        self.store = Unreliable(world.store, world.table)
        self.holder = self.store.holder
        self.stopping = asyncio.Event()
        self.operations = None
        self.site = SiteInProcess()
        self._world = world
        self.write(**changed)

        async def open_store(_place):
            return self.store

        edges = Edges(
            open_store=open_store,
            executors=world.executors,
            rng=random.Random(name),
            started_at=virtual_now(),
            elapsed=asyncio.get_running_loop().time,
            reread=self.read,
            manager=manager or ServiceManager(),
            **self.site.edges(rng=world.rng, transport=world._transport),
        )
        serving = serve(self.read(), edges, self.stopping, on_start=self._started)
        self.serving = asyncio.ensure_future(serving)

    def _started(self, operations):
        self.operations = operations

    def write(self, **changed):
        """The configuration, as its next reload finds it."""
        own = f'state_store_member = "{self.name}"\n'
        path = self.folder / "config.toml"
        path.touch(mode=0o600)
        path.write_text(own + self._world.text(**changed))

    def read(self):
        return load(self.folder / "config.toml", environ={}, executors=self._world.executors)

    @property
    def status(self):
        return self.operations.status.now()

    @property
    def jobs(self):
        return {job.job for job in self.status.jobs}

    def begin_to_stop(self):
        """As SIGTERM does."""
        self.stopping.set()

    async def stop(self):
        self.begin_to_stop()
        return await self.serving

    async def kill(self):
        """Nothing of it goes on, and nobody is told."""
        self.serving.cancel()
        with suppress(asyncio.CancelledError):
            await self.serving
        self._world.table.listeners.pop(self.holder, None)
