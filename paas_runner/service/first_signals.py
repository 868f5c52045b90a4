"""Signals that come before the service can do what they ask: they wait, from our first instruction on.

Until then SIGHUP, SIGUSR1 and SIGQUIT would end the process by their default, and SIGTERM or SIGINT with no
word and no exit code of ours. They are blocked while the program is loaded and the configuration is read; the
loop takes them up as soon as it has its handlers, and after the loop they wait for ever. This module comes
first, so it imports nothing that takes time.
"""

import signal
from collections.abc import Sequence

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1})
"""All that the service handles."""

_SERVICE, _COMMANDS = "heptapod-paas-runner", "paas-runner"


def is_service(arguments: Sequence[str]) -> bool:
    """Whether these arguments, the program first, are the service's: a command lets nothing wait."""
    program = arguments[0].rpartition("/")[2] if arguments else ""
    return program == _SERVICE or (program == _COMMANDS and list(arguments[1:2]) == ["run"])


def hold() -> None:
    """Let them wait; a program that is started meanwhile would inherit that."""
    _WERE_HELD.append(True)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def take_up() -> None:
    """Let those come that have waited, and all later ones; nothing changes where none was held."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def hold_to_the_end() -> None:
    """The loop and its handlers are gone: a late signal changes the exit code no more.

    Nothing changes in a process that is not the service's own, a test's: it lives on.
    """
    if _WERE_HELD:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


_WERE_HELD: list[bool] = []
