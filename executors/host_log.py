"""The end of a host's own log, in what the author of a job reads about that host. Pure.

Such a log may contain anything: its lines are made printable before they stand in another log, and cut.
"""

import re
from collections.abc import Collection, Sequence

from paas_runner.job.masks import masked
from paas_runner.plain_text import shortened

MOST_CHARACTERS = 200  # of a line, indentation included

_INDENTATION = "    "
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.?)")


def clean_lines(text: str) -> Sequence[str]:
    """The lines that have something in them, without escape sequences and control characters."""
    return [line for line in map(_clean, text.split("\n")) if line]


def _clean(line: str) -> str:
    """As a terminal would leave the line: what a carriage return begins takes the place of what was there."""
    shown = _ESCAPE.sub("", line).rstrip("\r").rpartition("\r")[2].replace("\t", " ")
    return "".join(char for char in shown if char.isprintable()).strip()


def log_state(lines: Sequence[str] | None) -> str:
    """Why there are no lines to be quoted; empty where there are some. None is a log that cannot be read."""
    if lines:
        return ""
    return "not available to this runner" if lines is None else "empty"


def quoted(lines: Sequence[str] | None, hidden: Collection[str] = ()) -> str:
    """What is added to a fact sheet: nothing without lines.

    The hidden values are masked before a line is cut: half of a secret is too much.
    """
    shown = [shortened(_INDENTATION + masked(line, hidden), MOST_CHARACTERS) for line in lines or ()]
    return "\n  The last lines of its own log:\n" + "\n".join(shown) if shown else ""
