"""Durations as authors of pipelines write them: `1h 30m`, `3 months`, `47 yrs 6 mos and 4d`, `1:30:00`.

The units and their lengths are those of GitLab's `gitlab-chronic-duration`: a month has 30 days, a year
365.25. Unlike there, a word that is no unit is refused: `1 fortnight` would last no time.
"""

import re
from datetime import timedelta

NEVER = "never"
"""What `expire_in` may say instead of a duration, in any case."""

_LONGEST = timedelta(days=365_250)
"""A thousand years: what is longer is a mistake, and would not fit into a date."""

_NAMES = {
    1: ("s", "sec", "secs", "second", "seconds"),
    60: ("m", "min", "mins", "minute", "minutes"),
    3600: ("h", "hr", "hrs", "hour", "hours"),
    86400: ("d", "dy", "day", "days"),
    7 * 86400: ("w", "wk", "wks", "week", "weeks"),
    30 * 86400: ("mo", "mos", "month", "months"),
    31_557_600: ("y", "yr", "yrs", "year", "years"),
}
_UNITS = {name: seconds for seconds, names in _NAMES.items() for name in names}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([a-z]*)")
_JOINT = re.compile(r"(?:\s|,|\b(?:and|with|plus)\b)*")
_CLOCK = re.compile(r"[0-9]{1,9}(?::[0-9]{1,9}){1,3}")
_CLOCK_UNITS = (1, 60, 3600, 86400)
_MOST_CHARACTERS = 100


def duration(text: str) -> timedelta | None:
    """The duration that a text like `1h 30m` or `90` (seconds) means; None when it means none."""
    rest = text.strip().lower()
    if len(rest) > _MOST_CHARACTERS:
        return None
    seconds = _clock(rest) if _CLOCK.fullmatch(rest) else _words(rest)
    if not seconds or seconds > _LONGEST.total_seconds():
        return None
    return timedelta(seconds=seconds)


def _clock(text: str) -> float:
    """`1:30:00`, the seconds last."""
    return sum(int(part) * unit for part, unit in zip(reversed(text.split(":")), _CLOCK_UNITS, strict=False))


def _words(rest: str) -> float | None:
    total = 0.0
    while rest:
        part = _PART.match(rest)
        unit = _UNITS.get(part[2] or "s") if part else None
        if part is None or unit is None:
            return None
        total += float(part[1]) * unit
        rest = _JOINT.sub("", rest[part.end() :], count=1)
    return total
