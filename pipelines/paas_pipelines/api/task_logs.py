"""What a task has written, in the three ways it is asked for; files of any size go in pieces.

Tasks write bytes, and what they write is nobody's word but theirs: broken UTF-8 is replaced in JSON and in
events, and left alone in the raw text, which no browser may take for anything else.
"""

import asyncio
import codecs
import json
from collections.abc import AsyncGenerator, Mapping

from paas_pipelines.api.served import Served
from paas_pipelines.api.shapes import PIECE_BYTES, encoded, task_shape
from paas_pipelines.api.streaming import HEARTBEAT, News, event
from paas_pipelines.runs.book import UnknownRunError
from paas_pipelines.runs.run import Task
from paas_pipelines.store.logs import Stream

_decoders = codecs.getincrementaldecoder("utf-8")


class TaskLogs:
    """The outputs of one task of one run."""

    def __init__(self, served: Served, run_id: str, task: str) -> None:
        self._served = served
        self._run_id = run_id
        self._task = task

    def size(self, stream: Stream) -> int:
        return self._served.logs.size(self._run_id, self._task, stream)

    def short(self) -> bytes | None:
        """Both outputs as JSON, if they are short."""
        if any(self.size(stream) > PIECE_BYTES for stream in Stream):
            return None
        texts = {stream: self._read(stream, 0, PIECE_BYTES).decode(errors="replace") for stream in Stream}
        return encoded(texts)

    async def as_json(self) -> AsyncGenerator[bytes, None]:
        """Both outputs, as far as they are written now, however long."""
        before = "{"
        for stream in Stream:
            decoder = _decoders("replace")
            yield f'{before}"{stream}":"'.encode()
            async for piece in self.raw(stream, 0):
                yield _within_a_string(decoder.decode(piece))
            yield _within_a_string(decoder.decode(b"", final=True)) + b'"'
            before = ","
        yield b"}\n"

    async def raw(self, stream: Stream, offset: int) -> AsyncGenerator[bytes, None]:
        """The bytes of one output from there to where it ends now."""
        end = self.size(stream)
        while offset < end:
            piece = await asyncio.to_thread(self._read, stream, offset, min(PIECE_BYTES, end - offset))
            if not piece:  # its run was removed
                return
            yield piece
            offset += len(piece)

    async def followed(self, offsets: Mapping[Stream, int]) -> AsyncGenerator[bytes, None]:
        """Both outputs from there on as events, until the task has ended; an id is where to go on."""
        places = dict(offsets)
        with News(self._served.logs.grown, self._served.engine.changes) as news:
            while True:
                task = self._record()
                await self._served.durable()
                progress = False
                for stream, place in tuple(places.items()):
                    piece = await asyncio.to_thread(self._read, stream, place, PIECE_BYTES)
                    is_last = task is None or task.ended
                    text, taken = whole_characters(piece, is_last=is_last and len(piece) < PIECE_BYTES)
                    if taken:
                        progress = True
                        places[stream] = place + taken
                        yield event(stream, json.dumps(text).encode(), _places_id(places))
                if progress:
                    continue
                if task is None or task.ended:
                    shape = {} if task is None else task_shape(task)
                    yield event("end", encoded(shape))
                    return
                if not await news.come():
                    yield HEARTBEAT

    def _read(self, stream: Stream, offset: int, most: int) -> bytes:
        return self._served.logs.read(self._run_id, self._task, stream, start=offset, most=most)

    def _record(self) -> Task | None:
        """The task as it is now; None if its run was removed."""
        try:
            return self._served.engine.book.run(self._run_id).task(self._task)
        except (UnknownRunError, KeyError):
            return None


def places_of(event_id: str, streams: Mapping[Stream, int]) -> Mapping[Stream, int]:
    """Where those go on who come back with the id of an event; else where they wanted to begin."""
    parts = event_id.split("-")
    if len(parts) != len(streams) or not all(part.isdecimal() and len(part) < 18 for part in parts):
        return streams
    return dict(zip(streams, map(int, parts), strict=True))


def _places_id(places: Mapping[Stream, int]) -> str:
    return "-".join(map(str, places.values()))


def whole_characters(piece: bytes, *, is_last: bool) -> tuple[str, int]:
    """The whole characters of a piece, and how many bytes they are."""
    decoder = _decoders("replace")
    text = decoder.decode(piece, final=is_last)
    pending, _ = decoder.getstate()
    return text, len(piece) - len(pending)


def _within_a_string(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode()
