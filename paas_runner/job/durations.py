"""Durations as Go reads and writes them, `1h30m` or `.5s`: in the configuration, and in a job's variables.

A text is taken exactly when Go's `time.ParseDuration` takes it, and comes to the same number of nanoseconds;
a number is written as `time.Duration.String` does.
"""

import re

MOST_NANOSECONDS = 2**63 - 1
"""What Go's durations can hold, some 292 years; below zero one more."""

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<unit>[^0-9.]+)")


def nanoseconds(text: str) -> int:
    """How long `text` is; raises ValueError for what is no duration to Go."""
    sign, rest = (text[:1], text[1:]) if text[:1] in ("+", "-") else ("", text)
    if rest == "0":  # the only number without a unit
        return 0
    total, position = 0, 0
    while position < len(rest) or not position:
        if not (part := _PART.match(rest, position)):
            raise _no_duration(text)
        total += _length(part, text)
        position = part.end()
    if total > MOST_NANOSECONDS + (sign == "-"):
        raise _no_duration(text)
    return -total if sign == "-" else total


def _length(part: re.Match[str], text: str) -> int:
    whole, fraction, unit = part["whole"], part["fraction"] or "", _UNITS.get(part["unit"])
    if unit is None or not (whole or fraction):
        raise _no_duration(text)
    amount = whole.lstrip("0")
    if len(amount) > len(str(MOST_NANOSECONDS)):
        raise _no_duration(text)
    digits, scale = _significant(fraction)
    return int(amount or "0") * unit + int(digits * (unit / scale))


def _significant(fraction: str) -> tuple[int, float]:
    """Of the digits after the point those that Go reads, and by what they are to be divided."""
    digits, scale = 0, 1.0
    for digit in fraction:
        if digits > MOST_NANOSECONDS // 10 or digits * 10 + int(digit) > MOST_NANOSECONDS + 1:
            break
        digits, scale = digits * 10 + int(digit), scale * 10
    return digits, scale


def _no_duration(text: str) -> ValueError:
    return ValueError(f"{text!r} is no duration")


def go_text(nanoseconds: int) -> str:
    """As Go prints it: `1h2m3.5s`, `250ms`, `0s`."""
    sign, span = "-" if nanoseconds < 0 else "", abs(nanoseconds)
    if not span:
        return "0s"
    if span < _UNITS["s"]:
        unit = next(name for name in ("ms", "µs", "ns") if span >= _UNITS[name])
        return f"{sign}{_decimal(span, _UNITS[unit])}{unit}"
    minutes, rest = divmod(span, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_decimal(rest, _UNITS['s'])}s"


def _decimal(amount: int, unit: int) -> str:
    """`amount / unit` without the zeros at its end; `unit` is a power of ten."""
    whole, rest = divmod(amount, unit)
    return f"{whole}.{rest:0{len(str(unit)) - 1}}".rstrip("0").rstrip(".") if rest else str(whole)
