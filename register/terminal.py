"""The person at the terminal, who answers, reads what was found out, and may give up. No decisions here.

Signals that end programs are a way to give up, too: they become exceptions, and are held back where stopping
would leave something half done.
"""

import getpass
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from paas_runner.errors import RunnerError
from paas_runner.plain_text import folded


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
        return self._read(f"{prompt} [{default}]" if default else prompt) or (default or "")

    def secret(self, prompt: str) -> str:
        """One line that is not echoed."""
        try:
            return getpass.getpass(self._last_line(f"{prompt} (not shown)")).strip()
        except EOFError:
            raise InterruptedByUserError from None

    def show(self, text: str) -> None:
        """Something that was found out, or done."""
        print(_folded(text), flush=True)

    def complain(self, text: str) -> None:
        """Something that is not acceptable."""
        print(_folded(f"✗ {text}"), flush=True)

    def _read(self, prompt: str) -> str:
        try:
            return input(self._last_line(prompt)).strip()
        except EOFError:
            raise InterruptedByUserError from None

    def _last_line(self, prompt: str) -> str:
        """Of the prompt, which is shown up to there: what edits a line knows no other."""
        *before, last = _folded(f"{prompt}:").split("\n")
        for line in before:
            self.show(line)
        return f"{last} "


def _folded(text: str) -> str:
    """As the terminal is wide; elsewhere as it is."""
    try:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return folded(text, columns) if columns else text


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
