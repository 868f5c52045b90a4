"""What containers have written, and how it is read: all of it or its end, and on as it grows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import attrs

_LOOK_SECONDS = 30.0
MOST_FILE_BYTES = 10 * 1024 * 1024
"""Of a log, in one file; then another is begun, which is all that can be read (kubelet's default)."""

_LINE_BYTES = 16 * 1024
_HEAD_BYTES = len("2026-01-31T00:00:00.123456789+00:00 stdout F ")  # before each piece of a line in the file


class ContainerLog:
    """The output of one run of a container, in lines with the time of their first byte."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.lines: list[tuple[datetime, bytes]] = []
        self.closed = False
        self.first = 0
        """The number of the line with which the file begins that can be read."""

        self._file_bytes = 0
        self._more = asyncio.Event()

    def write(self, piece: bytes) -> None:
        for part in piece.splitlines(keepends=True):
            self._file_bytes += len(part) + _HEAD_BYTES * (1 + len(part) // _LINE_BYTES)
            if self._file_bytes > MOST_FILE_BYTES:
                self.first, self._file_bytes = len(self.lines), len(part)
            if self.lines and not self.lines[-1][1].endswith(b"\n"):
                moment, begun = self.lines[-1]
                self.lines[-1] = (moment, begun + part)
            else:
                self.lines.append((self._clock(), part))
        self._wake()

    def close(self) -> None:
        """No more will come."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    async def more(self) -> None:
        more = self._more
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await more.wait()
        except TimeoutError:
            return


@attrs.frozen(kw_only=True)
class LogQuery:
    """What is wanted of a log, by the names of the API."""

    follow: bool = False
    since: datetime | None = None
    tail: int | None = None
    limit_bytes: int | None = None
    timestamps: bool = False


async def read_log(log: ContainerLog, query: LogQuery) -> AsyncIterator[bytes]:
    """The lines, and those to come where it is followed; ends with the container."""
    left = query.limit_bytes
    index, sent = log.first, 0
    kept = range(log.first, len(log.lines))
    chosen = [number for number in kept if query.since is None or log.lines[number][0] >= query.since]
    if query.tail is not None:
        index = len(log.lines) - min(query.tail, len(chosen))
    elif query.since is not None:
        index = chosen[0] if chosen else len(log.lines)
    while True:
        closed = log.closed
        while index < len(log.lines):
            at, line = log.lines[index]
            piece = line[sent:]
            if query.timestamps and not sent:
                piece = f"{nanoseconds(at)} ".encode() + piece
            sent = len(line)
            if left is not None:
                piece = piece[:left]
                left -= len(piece)
            if piece:
                yield piece
            if left == 0:
                return
            if not line.endswith(b"\n"):
                break
            index, sent = index + 1, 0
        if closed or not query.follow:
            return
        await log.more()


def nanoseconds(moment: datetime) -> str:
    """As timestamps of log lines are written."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def since(now: datetime, seconds: int | None, moment: str | None) -> datetime | None:
    """`sinceSeconds` or `sinceTime`; raises ValueError for what is no time."""
    if seconds is not None:
        return now - timedelta(seconds=seconds)
    return datetime.fromisoformat(moment) if moment else None
