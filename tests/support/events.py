"""Server-sent events as a browser reads them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import attrs
import httpx


@attrs.frozen
class Event:
    name: str
    data: Any
    event_id: str


async def events(answer: httpx.Response) -> AsyncIterator[Event]:
    """Each event of an answer that goes on; waits a minute for the next one."""
    fields: dict[str, str] = {}
    lines = answer.aiter_lines()
    while True:
        try:
            line = await asyncio.wait_for(anext(lines), 60)
        except StopAsyncIteration:
            return
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield Event(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id", ""))
            fields = {}


async def following(answer: httpx.Response) -> "Follower":
    assert answer.status_code == 200, await answer.aread()
    assert answer.headers["content-type"].startswith("text/event-stream")
    return Follower(events(answer))


@attrs.frozen
class Follower:
    _events: AsyncIterator[Event]

    async def next(self) -> Event:
        return await anext(self._events)

    async def until(self, name: str, met: Any = lambda data: True) -> Event:
        """The first event of that name whose data is as wanted."""
        while True:
            event = await self.next()
            if event.name == name and met(event.data):
                return event
