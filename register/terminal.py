"""The person at the terminal, who answers, reads what was found out, and may give up. No decisions here.

Signals that end programs are a way to give up, too: they become exceptions, and are held back where stopping
would leave something half done.
"""

import getpass
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from paas_runner.errors import RunnerError


class InterruptedByUserError(KeyboardInterrupt):
    """The person wants no more: end of input, or a signal that ends programs.

    As an ordinary exception it would go no further than asyncio's log when a callback is interrupted.
    """

    def __init__(self) -> None:
        super().__init__("it was given up")


class Terminal:
    """Standard input and output."""

    @staticmethod
    def usable() -> bool:
        """Whether there is a person to ask."""
        return sys.stdin.isatty()

    def ask(self, prompt: str, default: str | None = None) -> str:
        """One line, without white space around it; empty is the default."""
        return self._read(f"{prompt} [{default}]: " if default else f"{prompt}: ") or (default or "")

    def secret(self, prompt: str) -> str:
        """One line that is not echoed."""
        try:
            return getpass.getpass(f"{prompt} (not shown): ").strip()
        except EOFError:
            raise InterruptedByUserError from None

    def show(self, text: str) -> None:
        """Something that was found out, or done."""
        print(text, flush=True)

    def complain(self, text: str) -> None:
        """Something that is not acceptable."""
        print(f"✗ {text}", flush=True)

    def _read(self, prompt: str) -> str:
        try:
            return input(prompt).strip()
        except EOFError:
            raise InterruptedByUserError from None


_ENDING_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class GivenUpError(RunnerError):
    """The person, or a signal, has ended it."""


@contextmanager
def interruptible(text: str = "it was given up") -> Iterator[None]:
    """What ends programs ends the block with `GivenUpError` and this text."""
    raise_when_ended()
    try:
        yield
    except InterruptedByUserError:
        raise GivenUpError(text) from None


def raise_when_ended() -> None:
    """From now on each of them raises `InterruptedByUserError` in the main thread."""
    for number in _ENDING_SIGNALS:
        signal.signal(number, _raise)


@contextmanager
def held_back() -> Iterator[Callable[[], None]]:
    """They come when the block is left, or when it calls what it gets, and not elsewhere."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING_SIGNALS)
    try:
        yield _raise_if_waiting
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _raise_if_waiting() -> None:
    if signal.sigpending() & _ENDING_SIGNALS:
        raise InterruptedByUserError


def _raise(_number: int, _frame: FrameType | None) -> NoReturn:
    raise InterruptedByUserError
