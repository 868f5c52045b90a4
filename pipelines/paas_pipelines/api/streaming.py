"""Answers that go on: bounded in number, each at the pace of its own reader, none in another's way.

Nothing is kept for a reader who is slow: when it has taken a piece, the next is made of what is true then.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Self

from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from paas_pipelines.api.requests import RefusedError
from paas_runner.pipelines.runners import Notifier
from paas_runner.server.connections import ABORT, LONG
from paas_runner.store.protocol import StoreError

MOST_STREAMS = 64
"""At once, of 256 connections."""

SLOWEST_SECONDS = 60.0
"""For a reader to take one piece."""

HEARTBEAT_SECONDS = 15.0
PAUSE_SECONDS = 0.05
"""Between two looks, so that much news at once is one piece."""

EVENT_STREAM = "text/event-stream"
HEARTBEAT = b":\n\n"


class Streams:
    """All long answers of one server."""

    def __init__(self, most: int = MOST_STREAMS, *, slowest_seconds: float = SLOWEST_SECONDS) -> None:
        self._places = asyncio.Semaphore(most)
        self._slowest_seconds = slowest_seconds

    def answer(
        self, content: AsyncGenerator[bytes, None], media_type: str, still: Callable[[], bool]
    ) -> Response:
        """An answer that takes as long as it takes, but ends where it is not permitted any more (`still`).

        503 if there are too many already.
        """
        return _LongAnswer(_as_long_as(still, content), media_type, self._places, self._slowest_seconds)


async def _as_long_as(
    still: Callable[[], bool], content: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """A piece comes at each heartbeat at the latest, and none after the end."""
    try:
        async for piece in content:
            if not still():
                return
            yield piece
    finally:
        await content.aclose()


class _LongAnswer(StreamingResponse):
    def __init__(
        self, content: AsyncGenerator[bytes, None], media_type: str, places: asyncio.Semaphore, seconds: float
    ) -> None:
        headers = {
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Accel-Buffering": "no",
        }
        super().__init__(content, media_type=media_type, headers=headers)
        self._content = content
        self._places = places
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it piece by piece; who takes none for too long is cut off."""
        extensions = scope.get("extensions", {})

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self._seconds):
                    await send(message)
            except TimeoutError:
                raise ClientDisconnect from None

        if scope["method"] == "HEAD":
            await Response(headers=self.headers)(scope, receive, send)
        elif self._places.locked():
            await RefusedError(503, "Too many streams: try again later").response()(scope, receive, send)
        else:
            async with self._places:
                if LONG in extensions:
                    extensions[LONG]()
                try:
                    await super().__call__(scope, receive, send_in_time)
                except (ClientDisconnect, StoreError):  # whoever follows comes back
                    if ABORT in extensions:
                        await extensions[ABORT]()
                finally:
                    await self._content.aclose()


class News:
    """Wakes one stream; what happens between two looks counts once."""

    def __init__(self, *sources: Notifier) -> None:
        self._come = asyncio.Event()
        self._ends = [source.subscribe(self._come.set) for source in sources]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            end()

    async def come(self) -> bool:
        """Return when there may be something new, or False after a while without."""
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._come.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(PAUSE_SECONDS)
        self._come.clear()
        return True


def event(name: str, data: bytes, event_id: str = "") -> bytes:
    """One server-sent event; `data` is in one line."""
    shown = f"id: {event_id}\n" if event_id else ""
    return f"{shown}event: {name}\ndata: ".encode() + data + b"\n\n"
