"""Signals that end programs, as exceptions, and held back where stopping would leave something half done."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from register.terminal import InterruptedByUserError

_ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def raise_when_ended() -> None:
    """From now on each of them raises `InterruptedByUserError` in the main thread."""
    for number in _ENDING:
        signal.signal(number, _raise)


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """They come when the block is left, or when it calls what it gets, and not elsewhere."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield _raise_if_waiting
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _raise_if_waiting() -> None:
    if signal.sigpending() & _ENDING:
        raise InterruptedByUserError


def _raise(_number: int, _frame: FrameType | None) -> NoReturn:
    raise InterruptedByUserError
