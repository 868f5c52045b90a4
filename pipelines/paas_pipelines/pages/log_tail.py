"""The end of a task's log as a page shows it: text of others, which moves no cursor and hides nothing.

Colours and movements of terminals are left out, other control characters are shown as `·`; whoever wants
the bytes themselves takes all of the log from the API.
"""

import re
from collections.abc import Sequence
from unicodedata import category

import attrs
from markupsafe import Markup, escape

from paas_pipelines.api.task_logs import whole_characters
from paas_pipelines.runs.run import Run, Task
from paas_pipelines.store.logs import LogFiles, Stream

TAIL_BYTES = 64 * 1024

_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


@attrs.frozen(kw_only=True)
class Tail:
    """Of one stream; `begin` and `end` are places in its file."""

    stream: Stream
    text: Markup
    begin: int
    end: int


def log_tails(logs: LogFiles, run: Run, task: Task) -> Sequence[Tail]:
    """Of both streams; what begins within a line begins with the next one."""
    return [_tail(logs, run, task, stream) for stream in Stream]


def _tail(logs: LogFiles, run: Run, task: Task, stream: Stream) -> Tail:
    begin = max(logs.size(run.run_id, task.name, stream) - TAIL_BYTES, 0)
    piece = logs.read(run.run_id, task.name, stream, start=begin, most=TAIL_BYTES)
    if begin and (line_end := piece.find(b"\n")) >= 0:
        begin, piece = begin + line_end + 1, piece[line_end + 1 :]
    text, taken = whole_characters(piece, is_last=task.ended)
    return Tail(stream=stream, text=escape(plain(text)), begin=begin, end=begin + taken)


def plain(text: str) -> str:
    """Lines and tabs as they are, all else that cannot be seen left out or made visible."""
    text = _SEQUENCES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each if each.isprintable() or _is_blank(each) else "·" for each in text)


def _is_blank(character: str) -> bool:
    return character in "\n\t" or category(character) == "Zs"
