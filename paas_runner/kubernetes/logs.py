"""What a container writes, to its end: each line once, however often the stream breaks off.

A stream is opened again from the second of the last line on, since clusters pass moments on by the second;
what was told of that second is left out by its text and its own moment. What a node has rotated away while no
stream was open is lost (kubelet, `containerLogMaxSize`).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

from paas_runner.errors import Rejected, Transient
from paas_runner.kubernetes.api import Cluster, Kind
from paas_runner.kubernetes.causes import container_state, is_over

PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 15.0
MOST_FAILURES = 10
"""In a row, once the container has ended: its node may be gone, and its log with it."""

SILENT_SECONDS = 300.0
"""A stream in which nothing comes is opened again: its other end may be gone without a word."""

MOST_LINE_BYTES = 1024 * 1024
"""The rest of a longer line is left out."""

_MOST_MOMENT_BYTES = 36  # before a line: 2026-01-31T00:00:00.123456789+00:00 and a space


async def lines(
    cluster: Cluster,
    pod: str,
    container: str,
    *,
    pause: float = PAUSE_SECONDS,
    silence: float = SILENT_SECONDS,
) -> AsyncIterator[bytes]:
    """All lines of a container, of one that has not started yet, too, without their ends.

    Raises `AbsentError` where the pod is gone, `Rejected` where it may not be read, `Transient` where it has
    ended and its log does not come any more; waits out the rest.
    """
    seen, failures = _Seen(), 0
    while True:
        ended = False
        try:
            found = await cluster.get(Kind.POD, pod)
            state = container_state(found, container)
            ended = "terminated" in state or is_over(found)
            if ended or "running" in state:
                new = _streamed(cluster, pod, container, seen, silence=silence, to_the_end=ended)
                async with aclosing(new):
                    async for line in new:
                        failures = 0
                        yield line
                if ended:
                    return
        except Transient:
            failures += 1
            if ended and failures > MOST_FAILURES:
                raise
        except Rejected as error:
            if error.status != 400:  # "is waiting to start", or nothing of a container that never was
                raise
            if ended:
                return
        await asyncio.sleep(min(pause * 2**failures, LONGEST_PAUSE_SECONDS) if failures else pause)


async def _streamed(
    cluster: Cluster, pod: str, container: str, seen: "_Seen", *, silence: float, to_the_end: bool
) -> AsyncGenerator[bytes, None]:
    """New lines of one stream; what has no end of line counts only where nothing can come after it."""
    seen.begin()
    waiting = bytearray()
    async with cluster.follow(pod, container, since=seen.since) as stream:
        async for piece in stream.pieces(silence=silence):
            waiting += piece
            *whole, rest = waiting.split(b"\n")
            waiting = rest[: MOST_LINE_BYTES + _MOST_MOMENT_BYTES]
            for line in whole:
                if seen.is_new(line):
                    yield _text(line)
    if to_the_end and waiting and seen.is_new(bytes(waiting)):
        yield _text(waiting)


class _Seen:
    """The lines of the last second that was told of."""

    def __init__(self) -> None:
        self._second: datetime | None = None
        self._told: Counter[int] = Counter()
        self._to_skip: Counter[int] = Counter()

    @property
    def since(self) -> str:
        """The moment from which on a stream is to begin; empty for all."""
        return self._second.strftime("%Y-%m-%dT%H:%M:%SZ") if self._second else ""

    def begin(self) -> None:
        """A stream is opened, which begins with what was told."""
        self._to_skip = self._told.copy()

    def is_new(self, line: bytes | bytearray) -> bool:
        mark = hash(bytes(line[:MOST_LINE_BYTES]))
        if self._to_skip[mark] > 0:
            self._to_skip[mark] -= 1
            return False
        second = _second(line)
        if second and (self._second is None or second > self._second):
            self._second = second
            self._told.clear()
        self._told[mark] += 1
        return True


def _second(line: bytes | bytearray) -> datetime | None:
    """Of the moment before a line, in whichever zone its node writes; None where there is none."""
    try:
        moment = datetime.fromisoformat(line.partition(b" ")[0].decode())
        return moment.astimezone(UTC).replace(microsecond=0)
    except ValueError:
        return None


def _text(line: bytes | bytearray) -> bytes:
    """Without its moment, where there is one."""
    return bytes(line.partition(b" ")[2] if _second(line) else line)[:MOST_LINE_BYTES]
