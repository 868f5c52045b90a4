"""The network below httpx: connections that are kept and used again, without a limit of their own.

httpx's pool looks at all connections and all requests at each change, twice a request, which makes a request
cost as much as there are others; here a request takes the connection that was used last, or opens one.
"""

import asyncio
from collections import defaultdict, deque

import httpx

from paas_runner.http.connection import Connection, UnheardError
from paas_runner.http.opening import Opening

KEPT_SECONDS = 30.0
"""A proxy or a firewall between us and the service may forget an older one without a word."""

FRESH_SECONDS = 4.0
"""Servers close an unused one after 5 s or more; what may not be sent twice must not meet that."""

REPEATABLE = frozenset({"GET", "HEAD"})
"""Those that change nothing: sent once more where a kept connection ended without a byte of an answer."""


class Transport(httpx.AsyncBaseTransport):
    """For the requests of one client, whose limits and deadlines are its own."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._kept: defaultdict[tuple[bytes, bytes, int | None], deque[Connection]] = defaultdict(deque)
        self._clearing: asyncio.TimerHandle | None = None
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, whose body is still to come; raises `httpx.TransportError`."""
        repeatable = request.method in REPEATABLE
        connection = self._taken(request.url, KEPT_SECONDS if repeatable else FRESH_SECONDS)
        if connection:
            try:
                return await self._answer(connection, request)
            except UnheardError:
                if not repeatable:
                    raise
        return await self._answer(await self._opening(request.url), request)

    async def aclose(self) -> None:
        """Close what is kept."""
        self._closed = True
        if self._clearing:
            self._clearing.cancel()
        while self._kept:
            _, connections = self._kept.popitem()
            for connection in connections:
                connection.abort()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn

    async def _answer(self, connection: Connection, request: httpx.Request) -> httpx.Response:
        url = request.url
        try:
            head = await connection.ask(
                request.method,
                self._opening.request_line(url),
                [*self._opening.headers(url), *request.headers.raw],
                request.stream,  # type: ignore[arg-type]
            )
        except BaseException:
            connection.abort()
            raise
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Body(connection, self, url),
            extensions={"http_version": b"HTTP/" + head.http_version, "reason_phrase": head.reason},
        )

    def _taken(self, url: httpx.URL, seconds: float) -> Connection | None:
        kept = self._kept[_origin(url)]
        since = asyncio.get_running_loop().time() - seconds
        while kept and kept[-1].used_at >= since:
            connection = kept.pop()
            if connection.quiet:
                return connection
            connection.abort()
        return None

    def give_back(self, connection: Connection, url: httpx.URL) -> None:
        """Keep it for the next request, unless an answer was cut off or the other side wants to close it."""
        if connection.over and not self._closed:
            loop = asyncio.get_running_loop()
            connection.used_at = loop.time()
            self._kept[_origin(url)].append(connection)
            if not self._clearing:
                self._clearing = loop.call_later(KEPT_SECONDS, self._clear_away)
        else:
            connection.abort()

    def _clear_away(self) -> None:
        """Close those that nobody has used for long; the oldest of each origin are on the left."""
        loop = asyncio.get_running_loop()
        now, self._clearing = loop.time(), None
        for kept in self._kept.values():
            while kept and kept[0].used_at + KEPT_SECONDS <= now:
                kept.popleft().abort()
        oldest = [kept[0].used_at for kept in self._kept.values() if kept]
        if oldest:
            self._clearing = loop.call_at(min(oldest) + KEPT_SECONDS, self._clear_away)


class _Body(httpx.AsyncByteStream):
    """Of an answer, piece by piece as it comes."""

    def __init__(self, connection: Connection, transport: Transport, url: httpx.URL) -> None:
        self._connection = connection
        self._transport = transport
        self._url = url
        self._closed = False

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        piece = await self._connection.piece()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._transport.give_back(self._connection, self._url)


def _origin(url: httpx.URL) -> tuple[bytes, bytes, int | None]:
    return url.raw_scheme, url.raw_host, url.port
