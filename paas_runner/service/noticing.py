"""The service's notices, if there is anybody to notice: the room behind them is imported only then."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from paas_runner import __version__
from paas_runner.config import Config
from paas_runner.dispatch.counters import Counters
from paas_runner.dispatch.dispatcher import Dispatcher
from paas_runner.loop.timing import Clock
from paas_runner.service.assembly import Edges
from paas_runner.service.drain import Certificate, Drain
from paas_runner.status.reach import Reach
from paas_runner.status.sharing import SharingReport
from paas_runner.store import Store

if TYPE_CHECKING:
    from paas_runner.notify.center import Center

log = structlog.stdlib.get_logger(__name__)


class Noticing:
    """Follows the configuration in force: without receivers it costs nothing."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        drain: Drain,
        edges: Edges,
        store: Store,
        clock: Clock,
        counters: Counters,
        installation: str,
        reach: Callable[[], Reach],
        sharing: Callable[[], SharingReport | None],
    ) -> None:
        """`reach` begins to hear of calls when it is wanted."""
        self._dispatcher = dispatcher
        self._drain = drain
        self._edges = edges
        self._store = store
        self._clock = clock
        self._counters = counters
        self._installation = installation
        self._reach = reach
        self._sharing = sharing
        self._center: Center | None = None
        self._wanted = asyncio.Event()

    def configure(self, config: Config) -> None:
        """Tell those from now on whom the configuration names."""
        if self._center is None and config.notify:
            self._center = self._listening()
            self._wanted.set()
        if self._center:
            self._center.configure(config.notify)

    def _listening(self) -> "Center":
        from paas_runner.notify.center import Center
        from paas_runner.notify.document import Sender

        center = Center(
            self._dispatcher,
            reach=self._reach(),
            connect=self._edges.connect,
            store=self._store,
            clock=self._clock,
            rng=random.Random(self._installation),  # noqa: S311 - jitter, on which nobody else depends
            sender=Sender(installation=self._installation, machine=self._machine, version=__version__),
            sharing=self._sharing,
        )
        self._dispatcher.observe(center)
        self._counters.listener = center.counted
        return center

    @property
    def _machine(self) -> str:
        company = self._sharing()
        return company.member if company else socket.gethostname()

    @asynccontextmanager
    async def telling(self, config: Config) -> AsyncIterator[None]:
        """Inside, those are told whom the configuration names; a drain is told at the end."""
        self.configure(config)
        running = asyncio.create_task(self._run(), name="notices")
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])
            if self._center:
                certificate = self._drain.certificate
                await self._center.finish(None if certificate is None else _left(certificate))

    @asynccontextmanager
    async def following(self, config: Config) -> AsyncIterator[None]:
        """As `reload.Follower`: what is wrong with a receiver is found when it is told something."""
        yield
        self.configure(config)

    async def _run(self) -> None:
        await self._wanted.wait()
        if self._center:
            await self._center.run()


def _left(certificate: Certificate) -> str:
    if certificate.clean:
        return "no job and no host is left"
    left = certificate.document
    unknown = f"; not looked at: {'; '.join(certificate.unknown)}" if certificate.unknown else ""
    return f"left: {len(certificate.jobs)} jobs, {left['hosts']} hosts{unknown}"
