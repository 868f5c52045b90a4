"""Several processes, each kept running by a service manager of its own, on one shared store."""

import asyncio
import functools
import math

import httpx
import structlog

from paas_runner.http import Exchanges, Http
from paas_runner.service.app import serve
from paas_runner.service.assembly import Edges
from paas_runner.store import StoreError
from paas_runner.testing.virtual_time import virtual_now
from tests.simulation.edges import ChaoticTransport, Incarnation
from tests.simulation.freezing import Freezable
from tests.simulation.shared_database import RemoteStore
from tests.simulation.traces import RECEIVER
from tests.simulation.world import EXECUTORS, side_of

log = structlog.stdlib.get_logger(__name__)


class Life(Incarnation, Freezable):
    """One life of one process."""

    def __init__(self, world, member) -> None:
        Incarnation.__init__(self, world.chaos)
        Freezable.__init__(self)
        self._world = world
        self.member = member
        self.began = world.seconds()
        self.stopping = asyncio.Event()
        self.killed = asyncio.Event()
        self.holders: set[str] = set()
        """By which the store knows it."""

    def way_to(self, side: str):
        return self.member.name, side

    async def point(self) -> None:
        """It may die here, or be stopped for a while."""
        await super().point()
        if not self.frozen and self._world.freezes():
            self._world.freeze(self)
            await asyncio.sleep(0)
            await self.gone()

    async def gone(self) -> None:
        """The dead go no further."""
        if self.dead:
            await asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """As SIGTERM does."""
        if not self.stopping.is_set() and not self.dead:
            self._world.takeovers.vacate(self, "stop")
            self.context.run(self.stopping.set)

    def kill(self) -> None:
        if self.dead:
            return
        self._world.takeovers.vacate(self, "crash")
        log.info("KILLED", member=self.member.name)
        super().kill()
        self.killed.set()
        self.thaw()


class Member:
    """One of the processes, through all its lives."""

    def __init__(self, world, number: int) -> None:
        self._world = world
        self.name = f"machine-{number}"
        self.folder = world.folder / self.name
        self.folder.mkdir()
        self.life: Life | None = None
        self.lives = 0
        self.ended = -math.inf
        """When its last life was over."""

        self.pauses = [0, 0, 1, 5, 30, 300]
        """How long it takes to start it again."""

    @property
    def is_up(self) -> bool:
        return bool(self.life and not self.life.dead and self.life.serving and not self.life.serving.done())

    async def keep_it_running(self) -> None:
        """The service manager: starts it again, however it ended."""
        while True:
            await self._world.allowed.wait()
            life = self.life = Life(self._world, self)
            self.lives += 1
            life.serving = life.begin(self._serve(life))
            killed = asyncio.ensure_future(life.killed.wait())
            await asyncio.wait([life.serving, killed], return_when=asyncio.FIRST_COMPLETED)
            killed.cancel()
            if life.serving.done() and not life.serving.cancelled() and not life.dead:
                self._judge_end(life, life.serving.exception())
            life.dead = True
            self.ended = self._world.seconds()
            await asyncio.sleep(self._world.dice.choice(self.pauses))

    def _judge_end(self, life: Life, error: BaseException | None) -> None:
        """A service that cannot reach its database may not start; it never ends because of that."""
        running = life.answers and not life.stopping.is_set()
        if isinstance(error, StoreError) and not running:
            self._world.chaos.counts["start or stop without the database"] += 1
        elif error:
            raise error

    async def _serve(self, life: Life) -> None:
        exchanges = Exchanges()

        async def open_store(_place):
            store = RemoteStore(self._world.store, self._world.table, world=self._world, life=life)
            life.holders.add(store.holder)
            self._world.holders[store.holder] = life
            return store

        edges = Edges(
            connect=Http(
                rng=self._world.rng,
                transport=functools.partial(self._world.transport_of, life),
                on_exchange=exchanges,
            ),
            exchanges=exchanges,
            open_store=open_store,
            executors=EXECUTORS,
            rng=self._world.rng,
            started_at=virtual_now() + self._world.wall,
            elapsed=asyncio.get_running_loop().time,
            control=life.control,
            reread=functools.partial(self._world.reread_by, self),
            listen=self._world.sites(life),
        )
        await serve(self._world.configuration_of(self), edges, life.stopping)


class SplitTransport(ChaoticTransport):
    """A network that may be split between one process and one side, in one direction or in both."""

    async def _exchanged(self, request):
        response = await super()._exchanged(request)
        if self._world.is_deaf(self._side):
            raise httpx.ReadTimeout("the answer is lost", request=request)
        return response

    @classmethod
    def of(cls, world, life: Life, url: str):
        if url.startswith(RECEIVER):
            return world._transport(url)
        side = life.way_to(side_of(url))
        return cls(world._transport(url), side=side, world=world, incarnation=life)
