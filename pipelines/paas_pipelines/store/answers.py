"""Answers that go out once the disk has what they tell of: around an application that changes records."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from paas_pipelines.store.journal import Journal
from paas_runner.store.protocol import StoreError

RETRY_AFTER_SECONDS = 5


class AnsweredWhenWritten:
    """The application, held back before each answer's first byte; requests that it holds itself may be long.

    Where the disk takes nothing, the answer is 503, and as long as it is known to take nothing no request
    reaches the application: what it changed would not count, and runners ask again.
    """

    def __init__(self, app: Starlette, journal: Journal) -> None:
        """A `StoreError` in the application is answered in the same way."""
        app.add_exception_handler(StoreError, _unavailable)
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = scope["type"] == "http" and bool(self._journal.trouble)

        async def when_written(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                try:
                    await self._journal.flushed()
                except StoreError:
                    refused = True
                    await unavailable()(scope, receive, send)
            if not refused:
                await send(message)

        if refused:
            await unavailable()(scope, receive, send)
        else:
            await self._app(scope, receive, when_written)


def unavailable() -> Response:
    """For a request whose outcome cannot be written; the server's log says why."""
    text = "503 Service Unavailable - records cannot be written to the disk of this server"
    return JSONResponse({"message": text}, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})


async def _unavailable(_request: Request, _error: Exception) -> Response:
    return unavailable()
