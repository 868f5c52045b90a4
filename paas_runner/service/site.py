"""The site of a running service: opened where its configuration says so, and moved by a reload.

The rooms of the site, and the libraries that they need, are imported when they are wanted and not before.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from paas_runner.addresses import ListenPlace, listen_place
from paas_runner.config import Config
from paas_runner.dispatch.view import Observer
from paas_runner.errors import MissingPackagesError
from paas_runner.loop.timing import Clock
from paas_runner.service.page import PageSwitch
from paas_runner.service.status import LiveStatus

if TYPE_CHECKING:
    from paas_runner.metrics import Metrics
    from paas_runner.status.reach import Reach
    from paas_runner.web.site import Sources

log = structlog.stdlib.get_logger(__name__)


class OpenSite(Protocol):
    """What has been opened."""

    @property
    def address(self) -> str:
        """Where it is: with the port that was found where any was meant."""

    async def aclose(self) -> None:
        """Serve nobody any more."""


Listen = Callable[[ListenPlace, Any], Awaitable[OpenSite]]
"""Serves an ASGI application at a place; raises `RunnerError` when that is not possible."""


async def listen(place: ListenPlace, app: Any) -> OpenSite:
    """On this machine; raises `ListenError`."""
    from paas_runner.web.listening import WebServer

    return await WebServer.open(place, app)


async def try_out(config: Config) -> None:
    """What a start would do to open the site, but nobody is served; raises `RunnerError`."""
    try:
        import paas_runner.metrics
        import paas_runner.web.health
        from paas_runner.web.listening import try_out as try_place

        if config.paas_page:
            import paas_runner.web.page  # noqa: F401
        await try_place(listen_place(config.listen_address))
    except ModuleNotFoundError as error:
        raise MissingPackagesError(error, extra="web", wanted_by="`listen_address`") from error


class Followed(Protocol):
    """Whose readiness is told."""

    @property
    def running(self) -> asyncio.Event: ...


class Site:
    """The one site of a service, open or not."""

    def __init__(
        self,
        *,
        listen: Listen,
        dispatcher: Followed,
        status: LiveStatus,
        config: Callable[[], Config],
        reach: Callable[[], "Reach"],
        metrics: Callable[["Reach"], "Metrics"],
        clock: Clock,
        observe: Callable[[Observer], None],
        hung: Callable[[], Sequence[str]],
    ) -> None:
        """`reach` and `metrics` make what listens to all calls, and what counts, for a site that is open.

        `observe` makes an observer hear of what happens from then on; `hung` names the loops that do not come
        back.
        """
        self._page = PageSwitch(status=status, observe=observe, reached=lambda: self._reach().services)
        self._listen = listen
        self._dispatcher = dispatcher
        self._hung = hung
        self._status = status
        self._config = config
        self._reach = reach
        self._begin_metrics = metrics
        self._metrics: Metrics | None = None
        self._clock = clock
        self._app: Any = None
        self._open: OpenSite | None = None
        self._address = ""

    async def start(self, config: Config) -> None:
        """Open it if that is wanted; raises `RunnerError`."""
        self._page.start(config)
        self._address = config.listen_address
        self._open = await self._opened(config.listen_address)

    @asynccontextmanager
    async def following(self, config: Config) -> AsyncIterator[None]:
        """Inside, a new configuration comes into force; when that fails, everything is as before.

        Where the old place would be in the way of the new one, as with another host and the same port, it is
        closed first. Raises `RunnerError` when the new place cannot be had.
        """
        async with self._page.following(config), self._moving(config):
            yield

    @asynccontextmanager
    async def _moving(self, config: Config) -> AsyncIterator[None]:
        wanted, before, present = config.listen_address, self._address, self._open
        if wanted == before:
            yield
            return
        there = present.address if present else ""
        in_the_way = _in_the_way(there, wanted)
        opened = None
        if present and in_the_way:
            await present.aclose()
        try:
            opened = await self._opened(wanted)
            yield
        except BaseException:
            if opened:
                await opened.aclose()
            if in_the_way:
                self._open = None  # should another program have been faster
                self._open = await self._opened(there)
            raise
        self._open, self._address = opened, wanted
        if present and not in_the_way:
            await present.aclose()

    async def aclose(self) -> None:
        self._page.close()
        if self._metrics:
            self._metrics.stop()
        if self._open:
            await self._open.aclose()

    async def _opened(self, address: str) -> OpenSite | None:
        if not address:
            return None
        try:
            return await self._listen(listen_place(address), self._application())
        except ModuleNotFoundError as error:
            raise MissingPackagesError(error, extra="web", wanted_by="`listen_address`") from error

    def _application(self) -> Any:
        """Made once: its parts ask for what they show at each request."""
        if self._app is None:
            from starlette.routing import Mount

            from paas_runner.web.health import health
            from paas_runner.web.site import site

            self._app = site(self._sources(), [health, lambda _: [Mount("/", app=self._page)]])
        return self._app

    def _coordinators(self) -> Sequence[str]:
        elsewhere = self._status.dispatcher.view.elsewhere
        return [runner.url for runner in self._config().runners if runner.short_token not in elsewhere]

    def _sources(self) -> "Sources":
        from paas_runner.web.site import Sources

        reach = self._reach()
        metrics = self._metrics = self._begin_metrics(reach)

        return Sources(
            clock=self._clock,
            coordinators=self._coordinators,
            status=lambda: self._status.glance().brief(),
            sharing=self._status.sharing,
            hung=self._hung,
            running=self._dispatcher.running.is_set,
            reached=lambda: reach.services,
            scraped=metrics.exposition,
        )


def _in_the_way(before: str, wanted: str) -> bool:
    """Whether both are addresses with one port, of which the first takes it from the second."""
    if not before or not wanted:
        return False
    first, second = listen_place(before), listen_place(wanted)
    return not first.path and not second.path and first.port == second.port
