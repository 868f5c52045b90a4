"""All that a container writes, by the engine's log: each line once, whatever happens to the connection.

Each entry of the log has its moment before it. Reading is taken up again from a moment on, and what had been
read since is counted off. An entry's moment is not always later than that of the one before: pieces of a line
that is longer than 16 KiB have that of the first (moby `daemon/logger/copier.go`), and clocks are set back.
"""

import asyncio
import contextlib
import functools
import struct
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from urllib.parse import quote

import attrs
import requests
import urllib3
from docker.errors import create_api_error_from_http_exception

from paas_runner.container import Line, Stream
from paas_runner.docker.engine import Client, Engine, in_thread
from paas_runner.errors import Transient

MOST_LINE_BYTES = 1024 * 1024
PATIENCE_SECONDS = 300.0
SILENT_SECONDS = 30
"""After so much silence the connection is made again: one that has died is silent, too."""

_HEAD = struct.Struct(">BxxxL")
_STREAMS = {1: Stream.OUTPUT, 2: Stream.ERRORS}
_STEP_SECONDS = 5
_MOST_WAITING = 256
_PIECE_BYTES = 64 * 1024
_NEVER = 2**62


@attrs.frozen
class Entry:
    """What the engine has logged at once: a line, or a piece of a long one."""

    stream: int
    second: int
    """Since 1970, by the engine's clock."""

    data: bytes

    @property
    def ends_line(self) -> bool:
        return self.data.endswith(b"\n")


class Position:
    """How far a log has been read. Pure."""

    def __init__(self) -> None:
        self.since = 0
        """The second from which on it has to be read again; 0 is the beginning."""

        self._count = self._total = 0  # of entries, from `since` on and of all
        self._later, self._later_count = 1, 0  # becomes `since` when it is long over
        self._newest = 0
        self._known = 0  # of entries that come once more
        self._open: dict[int, int] = {}  # the seconds of lines that have not ended

    def rewind(self) -> None:
        """What comes next is read from `since` on."""
        self._known = self._count

    def is_new(self, entry: Entry) -> bool:
        """Whether the next entry had not been read before."""
        if self._known:
            self._known -= entry.second >= self.since
            return False
        if entry.second < self.since:  # the clock was set back: from now on all of it has to be read again
            self.since, self._count, self._later = 0, self._total, _NEVER
        self._count, self._total = self._count + 1, self._total + 1
        self._later_count += entry.second >= self._later
        self._newest = max(self._newest, entry.second)
        if entry.ends_line:
            self._open.pop(entry.stream, None)
        else:
            self._open.setdefault(entry.stream, entry.second)
        if entry.second >= self._later + _STEP_SECONDS and self._later <= min(
            self._open.values(), default=_NEVER
        ):
            self.since, self._count = self._later, self._later_count
            self._later, self._later_count = self._newest + 1, 0
        return True


class Lines:
    """Put together of the entries of both streams; beyond `MOST_LINE_BYTES` a line is dropped. Pure."""

    def __init__(self) -> None:
        self._begun: dict[int, bytearray] = {}

    def with_entry(self, entry: Entry) -> Iterator[Line]:
        """The line that ends with it, if one does."""
        text = self._begun.setdefault(entry.stream, bytearray())
        text += entry.data[: MOST_LINE_BYTES + 1 - len(text)]
        if entry.ends_line:
            yield self._ended(entry.stream)

    def rest(self) -> Iterator[Line]:
        """What the container has not ended itself."""
        yield from [self._ended(stream) for stream in sorted(self._begun)]

    def _ended(self, stream: int) -> Line:
        text = bytes(self._begun.pop(stream)[:MOST_LINE_BYTES])
        return Line(text.removesuffix(b"\n"), _STREAMS[stream])


async def lines_of(
    engine: Engine, container: str, runs: Callable[[], Awaitable[bool]]
) -> AsyncIterator[Line]:
    """All lines from the first to the last; `runs` tells whether more may come.

    Raises `Rejected`, and `Transient` when the engine could not be asked for `PATIENCE_SECONDS`.
    """
    position, lines = Position(), Lines()
    patience = _Patience()
    while True:
        try:
            last = not await runs()  # before it is read: what is read then is all
            position.rewind()
            async with contextlib.aclosing(_entries(engine, container, position.since)) as batches:
                async for batch in batches:
                    new = [entry for entry in batch if position.is_new(entry)]
                    if new or not batch:
                        patience.renew()
                    for entry in new:
                        for line in lines.with_entry(entry):
                            yield line
            if last:
                break
        except Transient as error:
            await patience.pause(error)
    for line in lines.rest():
        yield line


class _Patience:
    """With an engine that does not answer."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None

    def renew(self) -> None:
        self._since = None

    async def pause(self, error: Transient) -> None:
        """Raise the error where it has been so for too long."""
        now = self._loop.time()
        self._since = now if self._since is None else self._since
        if now - self._since > PATIENCE_SECONDS:
            raise error
        await asyncio.sleep(min(0.1 + now - self._since, 5.0))


async def _entries(engine: Engine, container: str, since: int) -> AsyncGenerator[Sequence[Entry], None]:
    """As they come, read by a thread, which ends within `SILENT_SECONDS` when nobody wants them any more."""
    loop = asyncio.get_running_loop()
    found: asyncio.Queue[Sequence[Entry] | None] = asyncio.Queue()
    room, over = threading.Semaphore(_MOST_WAITING), threading.Event()

    def read(client: Client) -> None:
        for batch in _read(client, container, since):
            room.acquire()
            if over.is_set():
                return
            loop.call_soon_threadsafe(found.put_nowait, batch)

    def work() -> None:
        try:
            engine.call_here(f"read the output of {container}", read)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(found.put_nowait, None)

    reading = in_thread(work)
    try:
        while (batch := await found.get()) is not None:
            room.release()
            yield batch
        await reading
    finally:
        over.set()
        room.release()
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())


def _read(client: Client, container: str, since: int) -> Iterator[Sequence[Entry]]:
    """Until the log ends or is silent for long; raises what the SDK and its libraries do."""
    session: requests.Session = client  # the SDK's own `logs` hides of which stream a piece is
    answer = session.get(
        f"{client.base_url}/v{client.api_version}/containers/{quote(container)}/logs",
        params={"stdout": 1, "stderr": 1, "follow": 1, "timestamps": 1, "since": since},
        stream=True,
        timeout=SILENT_SECONDS,
    )
    with contextlib.closing(answer):
        try:
            answer.raise_for_status()
        except requests.HTTPError as error:
            create_api_error_from_http_exception(error)
        rest = b""
        try:
            for piece in answer.raw.stream(_PIECE_BYTES, decode_content=False):
                found, rest = _parsed(rest + piece)
                yield found
        except (urllib3.exceptions.ReadTimeoutError, TimeoutError):
            yield ()  # the engine is there: it has nothing to say


@contextlib.contextmanager
def archived(client: Client, container: str, path: str) -> Iterator[Iterator[bytes]]:
    """A file or folder as a tar in pieces; raises what the SDK and its libraries do.

    The SDK's own way leaves the connection to an archive that is not read to its end; until it is closed, the
    engine holds the container, which then can not be removed.
    """
    session: requests.Session = client
    url = f"{client.base_url}/v{client.api_version}/containers/{quote(container)}/archive"
    answer = session.get(url, params={"path": path}, stream=True, timeout=client.timeout)
    with contextlib.closing(answer):
        try:
            answer.raise_for_status()
        except requests.HTTPError as error:
            create_api_error_from_http_exception(error)
        yield answer.iter_content(_PIECE_BYTES)


def _parsed(data: bytes) -> tuple[Sequence[Entry], bytes]:
    """The entries in it, and what has come of the next one."""
    found, at = [], 0
    while at + _HEAD.size <= len(data):
        stream, length = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        if end > len(data):
            break
        moment, _, text = data[at + _HEAD.size : end].partition(b" ")
        if stream not in _STREAMS:
            raise urllib3.exceptions.ProtocolError(f"the log cannot be read: {moment!r}")
        found.append(Entry(stream, _second(moment[:19].decode()), text))
        at = end
    return found, data[at:]


@functools.lru_cache(maxsize=8)
def _second(moment: str) -> int:
    return int(datetime.fromisoformat(f"{moment}+00:00").timestamp())
