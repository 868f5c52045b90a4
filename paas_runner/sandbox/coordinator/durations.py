"""Durations as a pipeline's author writes them."""

import re
from datetime import timedelta

_UNITS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hr": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
    "w": 604800,
    "week": 604800,
}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([a-z]*)")
_JOINT = re.compile(r"(?:\s|,|\band\b)*")


def duration(text: str) -> timedelta | None:
    """What a text like `1h 30m` or `90` (seconds) says; None when it is no duration."""
    rest = text.strip().lower()
    total = 0.0
    while rest:
        part = _PART.match(rest)
        seconds = _unit(part[2]) if part else None
        if part is None or seconds is None:
            return None
        total += float(part[1]) * seconds
        rest = rest[part.end() :]
        rest = _JOINT.sub("", rest, count=1)
    return timedelta(seconds=total) if total > 0 else None


def _unit(word: str) -> int | None:
    if not word:
        return 1
    return _UNITS.get(word) or _UNITS.get(word.removesuffix("s"))
