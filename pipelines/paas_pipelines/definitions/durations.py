"""Spans of time in Go's syntax, `1h30m` or `1.5s`, both ways (spec prunner-api.md §1.2)."""

import re
from datetime import timedelta

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
_PART = re.compile(r"(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(f"[-+]?(?:{_PART.pattern})+")
_BARE_NUMBER = re.compile(r"[-+]?[0-9._]+")
_ZERO = ("0", "+0", "-0")
_MOST_NANOSECONDS = 2**63 - 1  # Go's, 292 years
_MOST_CHARACTERS = 100
_MICROSECOND = timedelta(microseconds=1)


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
    nanoseconds = sum(_nanoseconds(*part) for part in _PART.findall(text))
    if nanoseconds > _MOST_NANOSECONDS:
        raise ValueError(f'"{text}" is longer than 292 years')
    length = timedelta(microseconds=-(-nanoseconds // 1000))
    return -length if text.startswith("-") else length


def _nanoseconds(whole: str, decimals: str, only_decimals: str, unit: str) -> int:
    digits = decimals or only_decimals
    return int(f"{whole}{digits}") * _NANOSECONDS[unit] // int(10 ** len(digits))


def format_duration(length: timedelta) -> str:
    """As Go writes it: `1h30m0s`, `1.5s`, `250ms`, `0s`."""
    sign, microseconds = "-" if length < timedelta() else "", abs(length) // _MICROSECOND
    if 0 < microseconds < 1000:
        return f"{sign}{microseconds}µs"
    if 0 < microseconds < 10**6:
        return f"{sign}{_decimal(microseconds, 1000)}ms"
    minutes, rest = divmod(microseconds, 60 * 10**6)
    hours, minutes = divmod(minutes, 60)
    larger = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{larger}{_decimal(rest, 10**6)}s"


def _decimal(count: int, per: int) -> str:
    whole, rest = divmod(count, per)
    decimals = str(rest).rjust(len(str(per)) - 1, "0").rstrip("0")
    return f"{whole}.{decimals}" if decimals else str(whole)
