"""From when until when: what `--since` and `--until` mean."""

import re
from datetime import UTC, datetime, timedelta

import attrs

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([mhdw])")
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_A_MOMENT = timedelta(microseconds=1)
_BEGINNING = datetime.min.replace(tzinfo=UTC)


@attrs.frozen(kw_only=True)
class Window:
    """From `since` to right before `until`, both in UTC."""

    since: datetime
    until: datetime


def window(since: str | None, until: str | None, now: datetime) -> Window:
    """The asked-for time, by default until now and since the month that this is in began.

    Raises ValueError in words for who typed it.
    """
    end = now if until is None else _moment("--until", until, now)
    begin = _month(end) if since is None else _moment("--since", since, now)
    if begin >= end:
        raise ValueError(f"nothing lies between --since ({begin:%F %R}) and --until ({end:%F %R})")
    return Window(since=begin, until=end)


def _month(end: datetime) -> datetime:
    """A month that has just ended is meant as a whole."""
    inside = end - _A_MOMENT if end > _BEGINNING else end
    return inside.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _moment(option: str, text: str, now: datetime) -> datetime:
    try:
        if span := _SPAN.fullmatch(text):
            return now - float(span[1]) * _UNITS[span[2]]
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f'{option}: "{text}" is no date (2026-03-01), date and time (2026-03-01T08:00) or span before '
            "now (90m, 24h, 7d, 4w)"
        ) from None
