"""Lines of a host's log, which may contain anything, as they may stand in another log."""

import re

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.?)")


def clean(line: str) -> str:
    """As a terminal would leave the line: what a carriage return begins takes the place of what was there."""
    shown = _ESCAPE.sub("", line).rstrip("\r").rpartition("\r")[2].replace("\t", " ")
    return "".join(char for char in shown if char.isprintable()).strip()
