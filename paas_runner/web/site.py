"""The site on `listen_address`: routes from its parts, and all that the parts may read.

A part is a function from `Sources` to routes. Nothing that it is given can change anything of the service,
and nothing in it is a credential. To add a part: write the function, and name it in `service/site.py`.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import attrs
import structlog
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paas_runner.loop.timing import Clock
from paas_runner.status.reach import Reached
from paas_runner.status.report import StatusReport
from paas_runner.status.sharing import SharingReport

log = structlog.stdlib.get_logger(__name__)

ANSWER_SECONDS = 30.0
"""How long the making of an answer may take, and its sending."""


class Exposed(Protocol):
    """What a scrape gets."""

    @property
    def content_type(self) -> str: ...

    @property
    def body(self) -> bytes: ...


@attrs.frozen(kw_only=True)
class Sources:
    """What the parts of the site may read, each at the moment at which it is called."""

    clock: Clock
    coordinators: Callable[[], Sequence[str]]
    """The addresses of those that are configured, as far as it is this process that asks them."""

    status: Callable[[], StatusReport]
    """The report behind `paas-runner status`, without jobs."""

    sharing: Callable[[], SharingReport | None]
    """How several processes share the store; None of one that is alone with it."""

    hung: Callable[[], Sequence[str]]
    """The loops that do not come back: what starves the watchdog."""

    running: Callable[[], bool]
    """Whether every loop has been started, and none is to end yet."""

    reached: Callable[[], Mapping[str, Reached]]
    """What is known of each coordinator and cloud that was called, by name."""

    scraped: Callable[[str], Exposed]
    """All metrics, in the format that an `Accept` header asks for."""


Part: TypeAlias = Callable[[Sources], Iterable[BaseRoute]]


def site(sources: Sources, parts: Iterable[Part]) -> ASGIApp:
    """The application: each part's routes; an unexpected error is one answer of 500 and a line in the log."""
    return Bounded(Starlette(routes=[route for part in parts for route in part(sources)]))


class Bounded:
    """Ends a request that takes too long, and keeps its failure away from everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        refusal: Response | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._app(scope, receive, sending)
        except TimeoutError:
            refusal = PlainTextResponse(f"not answered within {ANSWER_SECONDS:g} s\n", 503)
        except Exception:
            log.exception("site_error", path=str(scope.get("path", ""))[:200])
            refusal = PlainTextResponse("unexpected error: the service's log tells more\n", 500)
        if refusal and not begun:
            await refusal(scope, receive, send)
