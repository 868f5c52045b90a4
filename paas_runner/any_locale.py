"""What programs of ours print is never too much for a locale: an unknown sign is replaced by another.

A letter that an encoding lacks is an escape, as it is in Python's own text.
"""

import codecs
import io
import sys
from collections.abc import Mapping

OTHER_SIGNS = "paas_runner.other_signs"
"""The name under which `str.encode` and streams know this."""

_SIGNS: Mapping[str, str] = {
    "✓": "ok",
    "✗": "x",
    "→": "->",
    "…": "...",
    "–": "-",
    "·": "-",
    "│": "|",
    "─": "-",
    "“": '"',
    "”": '"',
}


def print_in_any_locale() -> None:
    """From now on nothing that is printed by this process raises `UnicodeEncodeError`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=OTHER_SIGNS)


def _in_other_signs(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_SIGNS.get(char) or ascii(char)[1:-1] for char in lost), error.end


codecs.register_error(OTHER_SIGNS, _in_other_signs)
