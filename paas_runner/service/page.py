"""The page and the API of a running service: there while the configuration says so, for whom it says.

What they are made of is imported when it is wanted and not before.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from paas_runner.config import Config
from paas_runner.dispatch.view import Observer
from paas_runner.errors import MissingPackagesError
from paas_runner.service.status import LiveStatus

if TYPE_CHECKING:
    from paas_runner.status.reach import Reached
    from paas_runner.web.moment import Watched, Workroom


class PageSwitch:
    """An ASGI application: the page, or nothing where it is not wanted."""

    def __init__(
        self,
        *,
        status: LiveStatus,
        observe: Callable[[Observer], None],
        reached: Callable[[], "Mapping[str, Reached]"],
    ) -> None:
        """`observe` makes an observer hear of what happens from then on; `reached` tells who answers us."""
        self._reached = reached
        self._status = status
        self._observe = observe
        self._watched: Watched | None = None
        self._workroom: Workroom | None = None
        self._app: Any = None
        self._settings: object = None

    def start(self, config: Config) -> None:
        """Serve what it wants from now on; raises `RunnerError`."""
        self._app, self._settings = self._made(config), _settings(config)

    @asynccontextmanager
    async def following(self, config: Config) -> AsyncIterator[None]:
        """Inside, while addresses and tokens change, nobody sees anything; a failure leaves all as it was."""
        before = self._app
        unchanged = _settings(config) == self._settings
        app = before if unchanged else self._made(config)
        self._app = None
        try:
            yield
        except BaseException:
            self._app = before
            raise
        self._app, self._settings = app, _settings(config)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        app = self._app
        if app is None:
            from starlette.responses import PlainTextResponse

            app = PlainTextResponse("Not Found", 404)
        await app(scope, receive, send)

    def close(self) -> None:
        """Make no more answers."""
        self._app = None
        if self._workroom:
            self._workroom.close()

    def _made(self, config: Config) -> Any:
        """The application for that configuration; with another token everybody has to enter it once more."""
        if not config.paas_page:
            return None
        try:
            from paas_runner.web.page import page_app
        except ModuleNotFoundError as error:
            raise MissingPackagesError(error, extra="web", wanted_by="`paas_page`") from error
        watched, workroom = self._sources(config)
        return page_app(watched, workroom, token=config.paas_page_token)

    def _sources(self, config: Config) -> "tuple[Watched, Workroom]":
        """Made once: the results of searches are remembered from the first time on that they are wanted."""
        from paas_runner.web.moment import LastSearches, StoredPast, Watched, Workroom

        if self._watched is None or self._workroom is None:
            searches = LastSearches()
            self._observe(searches)
            self._workroom = Workroom()
            self._watched = Watched(
                moment=self._status.glance,
                reached=self._reached,
                past=StoredPast(config.store),
                searches=searches,
            )
        return self._watched, self._workroom


def _settings(config: Config) -> object:
    """What decides on the application."""
    return config.paas_page, config.paas_page_token
