"""Blocking work on files, in a thread that does not outlive the wish for its result."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Checkpoint: TypeAlias = Callable[[], None]
"""Called now and then by such work; raises `NotWantedError` when it may stop."""


class NotWantedError(Exception):
    """Nobody waits for the result any more."""


def never_stopping() -> None:
    """The checkpoint of work that is done in any case."""


async def in_thread(work: Callable[[Checkpoint], T]) -> T:
    """Do blocking work; when this is cancelled the work is told so, and waited for until it has stopped."""
    stopped = threading.Event()

    def checkpoint() -> None:
        if stopped.is_set():
            raise NotWantedError

    working = asyncio.ensure_future(asyncio.to_thread(work, checkpoint))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stopped.set()
        await asyncio.wait({working})
        working.exception()  # looked at: nobody else will
        raise
