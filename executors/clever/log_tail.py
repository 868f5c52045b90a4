"""The end of an application's log, from server-sent events to lines that may stand in a job's log.

Spec `clever-cloud-api.md` §5.1: messages may contain colours and carriage returns.
"""

import json
import re
from collections import deque
from collections.abc import Iterator, Sequence

from executors.log_lines import clean

MOST_LINES = 10

_LINE_END = re.compile(r"\r\n|\r|\n")  # str.splitlines would also split inside of a message


def tail(stream: bytes) -> Sequence[str] | None:
    """The last lines that say something, without escape sequences and control characters.

    None when a stream without lines has no proper end, either: then nobody knows whether the log is empty.
    """
    lines: deque[str] = deque(maxlen=MOST_LINES)
    whole = False
    for event, data in _events(stream.decode(errors="replace")):
        if event == "APPLICATION_LOG":
            lines.extend(line for line in map(clean, _message(data).split("\n")) if line)
        whole = whole or event == "END_OF_STREAM"
    return list(lines) if lines or whole else None


def _events(stream: str) -> Iterator[tuple[str, str]]:
    """Names and data; heartbeats are events, too, and whatever cannot be read is passed over."""
    event, data = "", ""
    for line in (*_LINE_END.split(stream), ""):
        name, _, value = line.partition(":")
        if name == "event":
            event = value.strip()
        elif name == "data":
            data += value
        elif not line:
            if event:
                yield event, data
            event, data = "", ""


def _message(data: str) -> str:
    try:
        message = json.loads(data)["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return message if isinstance(message, str) else ""
