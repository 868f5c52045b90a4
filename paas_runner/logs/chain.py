"""One chain for our lines and those of libraries, secrets taken out last, for people or for programs.

`log_level` and `log_format` as in GitLab Runner: `runner` and `text` are lines for people, `json` is one
object a line; `logfmt` is the pipelines server's, as in prunner. Without a format it is lines on a terminal
and JSON elsewhere. Where standard error is systemd's journal, each line is an entry of it, with fields.

Each line says when and how grave, and, but on a terminal, which logger of which process wrote it (H029 of
core-features.md).
"""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor

from paas_runner.logs.events import worded
from paas_runner.logs.journal import SOCKET, Journal, JournalHandler, is_the_journal
from paas_runner.logs.levels import LEVELS, tally
from paas_runner.logs.redaction import Lines, redactor


def configure(
    *, level: str, form: str | None, stream: TextIO | None = None, beside: logging.Handler | None = None
) -> None:
    """Set up structlog and the standard library's logging; may be called again with other settings.

    A handler `beside` standard error gets the same lines, each as a JSON object.
    """
    stream = stream or sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - for the process's life
    terminal = stream.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _add_process,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    if form == "json" or (form is None and not terminal):
        rendering: list[Processor] = [_AS_JSON]
    elif form == "logfmt":
        rendering = [_without_origin, _AS_LOGFMT]
    else:
        origin = [_without_origin] if terminal else []
        rendering = [*origin, worded, structlog.dev.ConsoleRenderer(colors=terminal)]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            tally,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    as_json = _formatter(shared, [_AS_JSON])
    handler: Lines
    if is_the_journal(stream, os.environ):
        handler = JournalHandler(stream, Journal(SOCKET), as_json)
    else:
        handler = Lines(stream)
    handler.setFormatter(_formatter(shared, rendering))
    handlers: list[logging.Handler] = [handler]
    if beside:
        beside.setFormatter(as_json)
        handlers.append(beside)
    root = logging.getLogger()
    for earlier in root.handlers:
        if isinstance(earlier, JournalHandler):
            earlier.close()
    root.handlers[:] = handlers
    root.setLevel(LEVELS[level])
    for talkative in ("httpx", "httpcore", "git", "asyncio"):
        logging.getLogger(talkative).setLevel(logging.WARNING)


def _add_process(_logger: object, _method: str, event: EventDict) -> EventDict:
    event["process"] = os.getpid()
    return event


def _without_origin(_logger: object, _method: str, event: EventDict) -> EventDict:
    event.pop("process", None)
    event.pop("logger", None)
    return event


_AS_JSON = structlog.processors.JSONRenderer(ensure_ascii=False)
_AS_LOGFMT = structlog.processors.LogfmtRenderer(
    key_order=["timestamp", "level", "event"], drop_missing=True, bool_as_flag=False
)


def _formatter(shared: Sequence[Processor], rendering: Sequence[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redactor, *rendering],
    )
