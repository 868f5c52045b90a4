"""Spans on their way out: a queue of bounded length, and the one task that empties it.

Nothing waits for it. What does not fit is dropped and counted; an outage of the receiver is said once, and at
its end, what was lost with it. As OTLP wants it, only what passes (429, 502, 503, 504, silence) is tried
again, with the same spans.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice

import structlog

from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.http import HttpClient
from paas_runner.secret import Secret
from paas_runner.spans import Attribute, Span, bounded
from paas_runner.tracing import otlp

log = structlog.stdlib.get_logger(__name__)

MOST_WAITING = 4096
MOST_AT_ONCE = 64
"""So that their encoding holds up the loop for no more than 2 ms, or 27 where protobuf is in pure Python."""

EVERY_SECONDS = 5.0
ANSWER_SECONDS = 10.0
FLUSH_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
OP = "export spans"


_PASSING = (None, 429, 502, 503, 504)
"""With what a receiver says that the same spans may be sent again (OTLP 1, "Retryable Response Codes")."""


class SpanExport:
    """Takes spans from whoever has them, at no cost, and sends them."""

    def __init__(
        self,
        client: HttpClient,
        *,
        path: str,
        headers: Mapping[str, Secret],
        resource: Mapping[str, Attribute],
    ) -> None:
        """It owns the client from now on."""
        self._client = client
        self._path = path
        self._headers: Mapping[str, Secret | str] = {**headers, "Content-Type": otlp.CONTENT_TYPE}
        self._resource = resource
        self._waiting: deque[Span] = deque()
        self._enough = asyncio.Event()
        self._pause = 0.0
        """Before the next try; 0 while the receiver takes what it is sent."""
        self._dropped = 0

    def add(self, span: Span) -> None:
        """Hand over a span; it is dropped when too many wait."""
        if len(self._waiting) >= MOST_WAITING:
            self._drop(1, f"{MOST_WAITING} are waiting already")
            return
        self._waiting.append(span)
        if len(self._waiting) >= MOST_AT_ONCE:
            self._enough.set()

    async def run(self) -> None:
        """Send what there is every few seconds, or as soon as there is enough; until canceled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause or EVERY_SECONDS):
                    await (asyncio.sleep(self._pause) if self._pause else self._enough.wait())
            try:
                await self._send_all()
            except Exception:
                # whoever watches must not end the service
                log.exception("traces_error")
                self._waiting.clear()

    async def probe(self) -> None:
        """Send an export of no spans, and close; raises `RemoteError` where the receiver does not take it."""
        try:
            await self._send([])
        finally:
            await self._client.aclose()

    async def aclose(self, within: float) -> None:
        """At the end: what still goes within so many seconds; the rest is counted and said."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._send_all()
        if lost := len(self._waiting) + self._dropped:
            log.warning("spans_lost", spans=lost)
        await self._client.aclose()

    async def _send_all(self) -> None:
        self._enough.clear()
        while self._waiting:
            spans = list(islice(self._waiting, MOST_AT_ONCE))
            try:
                await self._send(spans)
            except RemoteError as error:
                self._failed(error)
                if isinstance(error, Transient) and error.status in _PASSING:
                    return
                self._drop(len(spans), str(error))
            else:
                self._worked()
            for _ in spans:
                self._waiting.popleft()

    async def _send(self, spans: Sequence[Span]) -> None:
        """Raises `RemoteError`."""
        answer = await self._client.call(
            "POST",
            self._path,
            op=OP,
            headers=self._headers,
            content=otlp.encoded(spans, self._resource),
            within=ANSWER_SECONDS,
        )
        if not 200 <= answer.status < 300:
            raise Rejected(answer.summary, service=self._client.service, op=OP, status=answer.status)
        unwanted, why = otlp.rejected(answer.body)
        if unwanted:
            self._drop(unwanted, f"the receiver does not want them: {bounded(why)}")

    def _failed(self, error: RemoteError) -> None:
        if not self._pause:
            log.warning("traces_not_taken", reason=str(error))
        grown = min(max(EVERY_SECONDS, 2 * self._pause), LONGEST_PAUSE_SECONDS)
        self._pause = max(grown, error.retry_after or 0.0)

    def _worked(self) -> None:
        if self._pause:
            log.info("traces_taken_again", dropped=self._dropped)
            self._pause, self._dropped = 0.0, 0

    def _drop(self, spans: int, why: str) -> None:
        """Said once, until the receiver takes spans again; counted until the end."""
        if not self._dropped:
            log.warning("spans_dropped", reason=why)
        self._dropped += spans
