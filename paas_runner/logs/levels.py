"""The levels of the log: their names, syslog's numbers for them, and how many lines somebody should read."""

import logging
from collections.abc import Mapping

from structlog.typing import EventDict

LEVELS: Mapping[str, int] = {
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}

_SEVERITIES: Mapping[int, int] = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.NOTSET: 7,
}


def severity(level: int) -> int:
    """Syslog's number for a line of that level, from 0 to 7 (RFC 5424 §6.2.1)."""
    return next(number for least, number in _SEVERITIES.items() if level >= least)


class Tally:
    """How many lines of ours were logged at the levels that somebody should read."""

    def __init__(self) -> None:
        self.numbers = dict.fromkeys(("warning", "error", "critical"), 0)

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        """As a processor."""
        if (level := event.get("level")) in self.numbers:
            self.numbers[str(level)] += 1
        return event


tally = Tally()
"""The process's one: for `gitlab_runner_errors_total`."""
