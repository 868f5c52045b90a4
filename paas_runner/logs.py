"""Logs: one chain for our lines and those of libraries, secrets taken out last, for people or for programs.

`log_level` and `log_format` as in GitLab Runner: `runner` and `text` are lines for people, `json` is one
object a line. Without a format it is lines on a terminal and JSON elsewhere.

For systemd's journal each line begins with its priority, so that `journalctl -p err` finds it: sd-daemon(3),
and $JOURNAL_STREAM in systemd.exec(5).
"""

import base64
import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO
from urllib.parse import quote

import structlog
from structlog.typing import EventDict, Processor

from paas_runner.log_events import worded
from paas_runner.secret import Secret

LEVELS: Mapping[str, int] = {
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}

_SHORTEST_SECRET = 8  # a shorter one would take ordinary words with it
_WORD = re.compile(r"[A-Za-z0-9_.~-]{8,}")  # what tokens of jobs consist of
_SHORTEST_TOKEN = 16  # of a job; GitLab's have 20 characters at least, a moment to the hour has 13
_PLAIN_WORD = re.compile(r"[a-z_.~-]*")
_SECRET_KEYS = re.compile(r"(?i)(^|_)(token|password|secret|authorization)$")
_HIDDEN = "[secret]"


class Redactor:
    """Takes registered values out of all that is about to be written, in every form in which they travel."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._tracked: set[str] = set()

    def add(self, secrets: Iterable[Secret]) -> None:
        """Register values; those too short to be distinguished from ordinary words are left out."""
        fresh = {form for secret in secrets for form in _forms(secret.reveal())} - self._known
        if fresh:
            self._known |= fresh
            longest_first = sorted(self._known, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def track(self, token: Secret) -> None:
        """Register a job's token for as long as the job is tracked; there may be thousands of them.

        The coordinator chose it: what is one of our own words, or part of a date, keeps its meaning.
        """
        if len(token.reveal()) >= _SHORTEST_TOKEN and not _PLAIN_WORD.fullmatch(token.reveal()):
            self._tracked.add(token.reveal())

    def untrack(self, token: Secret) -> None:
        """Its job is gone."""
        self._tracked.discard(token.reveal())

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        """As a processor: the whole event, tracebacks included."""
        return {key: self._clean(key, value) for key, value in event.items()}

    def _clean(self, key: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: self._clean(str(name), part) for name, part in value.items()}
        if isinstance(value, list | tuple | set):
            return [self._clean(key, part) for part in value]
        if isinstance(value, str):
            return _HIDDEN if _SECRET_KEYS.search(key) else self.text(value)
        return value if isinstance(value, int | float | bool | None) else self.text(str(value))

    def text(self, text: str) -> str:
        """`text` without any registered value."""
        text = self._pattern.sub(_HIDDEN, text) if self._pattern else text
        return _WORD.sub(self._without_token, text) if self._tracked else text

    def _without_token(self, word: re.Match[str]) -> str:
        """Looked up, not searched for: the number of jobs costs nothing."""
        bare = word[0].strip(".~")
        return word[0].replace(bare, _HIDDEN) if bare in self._tracked else word[0]


def _forms(value: str) -> set[str]:
    if len(value) < _SHORTEST_SECRET:
        return set()
    return {
        value,
        quote(value, safe=""),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        base64.b64encode(value.encode()).decode(),
    }


redactor = Redactor()
"""The process's one redactor: secrets are registered where they are read."""


def configure(*, level: str, form: str | None, stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging; may be called again with other settings."""
    stream = stream or sys.stderr
    terminal = stream.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    if form == "json" or (form is None and not terminal):
        rendering: list[Processor] = [structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        rendering = [worded, structlog.dev.ConsoleRenderer(colors=terminal)]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = (_ForTheJournal if _is_the_journal(stream, os.environ) else logging.StreamHandler)(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redactor, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for talkative in ("httpx", "httpcore", "git", "asyncio"):
        logging.getLogger(talkative).setLevel(logging.WARNING)


class _ForTheJournal(logging.StreamHandler[TextIO]):
    """Each line with a syslog priority before it, which the journal takes off."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next(number for level, number in _PRIORITIES.items() if record.levelno >= level)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).split("\n"))


_PRIORITIES: Mapping[int, int] = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.NOTSET: 7,
}


def _is_the_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether it is what systemd gave to this process, rather than a file or a pipe that came later."""
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"
