"""What watches a running service and can be switched on and off: the site with metrics and page, and notices.

No job needs any of it. Each room behind it is imported when it is wanted and not before.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial

from paas_runner.config import Config
from paas_runner.dispatch import Dispatcher
from paas_runner.dispatch.counters import Costs
from paas_runner.loop.timing import Clock
from paas_runner.service.assembly import Assembly, Edges
from paas_runner.service.drain import Drain
from paas_runner.service.metrics import MetricsSwitch
from paas_runner.service.noticing import Noticing
from paas_runner.service.site import Site
from paas_runner.service.status import LiveStatus
from paas_runner.status.reach import Reach
from paas_runner.store import Store


class Watchers:
    """All of them, for one service."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        assembly: Assembly,
        status: LiveStatus,
        drain: Drain,
        store: Store,
        costs: Costs,
        config: Callable[[], Config],
        clock: Clock,
        hung: Callable[[], Sequence[str]],
        on_renewal: Callable[[Callable[[float, bool], None]], None] = lambda _: None,
    ) -> None:
        """`config` tells the configuration in force, from the time on at which they watch.

        `hung` names the loops that do not come back; `on_renewal` makes something hear of each renewal of
        leases.
        """
        edges, counters = assembly.edges, assembly.counters
        reach = cache(partial(_reach, edges, clock))
        metrics = MetricsSwitch(
            dispatcher=dispatcher,
            config=config,
            exchanges=edges.exchanges,
            counters=counters,
            costs=costs,
            clock=clock,
            system_id=assembly.system_id,
            sharing=status.sharing,
            on_renewal=on_renewal,
        )
        self._site = Site(
            listen=edges.listen,
            dispatcher=dispatcher,
            status=status,
            config=config,
            reach=reach,
            metrics=metrics.begin,
            clock=clock,
            observe=dispatcher.observe,
            hung=hung,
        )
        self._noticing = Noticing(
            dispatcher,
            drain=drain,
            edges=edges,
            store=store,
            clock=clock,
            counters=counters,
            installation=assembly.installation,
            reach=reach,
            sharing=status.sharing,
        )

    @asynccontextmanager
    async def watching(self, config: Config) -> AsyncIterator[None]:
        """Inside, they do what the configuration wants; raises `RunnerError` when they cannot."""
        async with self._noticing.telling(config):
            await self._site.start(config)
            try:
                yield
            finally:
                await self._site.aclose()

    @asynccontextmanager
    async def following(self, config: Config) -> AsyncIterator[None]:
        """As `reload.Follower`."""
        async with self._site.following(config), self._noticing.following(config):
            yield


def _reach(edges: Edges, clock: Clock) -> Reach:
    """Hears of every call from now on."""
    made = Reach(clock)
    edges.exchanges.add(made)
    return made
