"""What processes tell each other through the server, on a connection of its own that listens.

Nothing is kept for one who does not listen. So whenever listening begins, at first and after each outage, the
first word is that everything may have changed: it may be another server, with records of before.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import psycopg

from paas_runner.job.lease import Word
from paas_runner.store.postgres.connecting import HOST_SECONDS, Server
from paas_runner.store.protocol import StoreError

CHANNEL = "paas_runner"

PAUSE_SECONDS = 2.0
"""Before an attempt to listen again."""


async def words(server: Server, holder: str) -> AsyncIterator[Word]:
    """The words of others, for ever: an outage ends with `ANEW`, and raises nothing."""
    while True:
        with suppress(StoreError, psycopg.Error, OSError):
            async with asyncio.timeout(5 + HOST_SECONDS * server.hosts):
                connection = await server.connect()
            try:
                await connection.execute(f"LISTEN {CHANNEL}")
                yield Word.ANEW
                while True:
                    async for notification in connection.notifies(timeout=0):
                        if word := _word(notification.payload, not_from=holder):
                            yield word
                    await _readable(connection.fileno())
            finally:
                await connection.close()
        await asyncio.sleep(PAUSE_SECONDS)


async def _readable(line: int) -> None:
    """Something has come; the library would wake up ten times a second until then."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(line, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(line)


def _word(payload: str, *, not_from: str) -> Word | None:
    """None for our own, and for one of a later version."""
    word, _, holder = payload.partition(" ")
    told = {*Word} - {Word.ANEW}
    return Word(word) if holder != not_from and word in told else None
