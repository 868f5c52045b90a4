"""Spans of time in Go's syntax, `1h30m` or `1.5s` (spec prunner-api.md §1.2)."""

import re
from datetime import timedelta
from decimal import Decimal

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # the sign for micro,
    "μs": 10**3,  # and the Greek letter
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(f"[-+]?(?:{_PART.pattern})+")
_BARE_NUMBER = re.compile(r"[-+]?[0-9._]+")
_ZERO = ("0", "+0", "-0")
_MOST_NANOSECONDS = 2**63 - 1  # Go's, 292 years
_MOST_CHARACTERS = 100


def parse_duration(text: str) -> timedelta:
    """Raises ValueError with a text for whoever wrote it.

    A number without a unit, which prunner takes for nanoseconds, is refused unless it is 0. What is shorter
    than a microsecond counts as one: only 0 is nothing.
    """
    if text in _ZERO:
        return timedelta()
    if len(text) > _MOST_CHARACTERS or not _WHOLE.fullmatch(text):
        bare = _BARE_NUMBER.fullmatch(text)
        what = "has no unit" if bare else "is not a duration like 1h30m, 1.5s or 250ms"
        raise ValueError(f'"{text[:_MOST_CHARACTERS]}" {what}; units are ns, us, ms, s, m and h')
    nanoseconds = sum(int(Decimal(count) * _NANOSECONDS[unit]) for count, unit in _PART.findall(text))
    if nanoseconds > _MOST_NANOSECONDS:
        raise ValueError(f'"{text}" is longer than 292 years')
    length = timedelta(microseconds=-(-nanoseconds // 1000))
    return -length if text.startswith("-") else length
