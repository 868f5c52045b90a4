"""The moments of a schedule, in UTC: of `cron` in its time zone, or of a grid from the epoch.

Cron is Debian's: a time in the gap of the spring fires at its end, one in the repeated hour of the autumn
once, and where minutes or hours begin with `*` the intervals are real ones. A planned moment is one of these;
what is started at it comes later by the trigger's own, constant part of `jitter`.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from paas_pipelines.definitions.automation import Schedule

if TYPE_CHECKING:
    from cronsim import CronSim

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIRST_LOOK = timedelta(hours=2)
_MINUTE = timedelta(minutes=1)
_AT_MOST = timedelta(days=50 * 366)
"""What has no moment for so long has none."""

_FIELDS = 5


class MomentsError(ValueError):
    """A schedule that has no moments; the text says why."""


def check(schedule: Schedule) -> None:
    """Raises `MomentsError` where its expression or time zone is wrong, or it never comes."""
    if next(after(schedule, EPOCH), None) is None:
        raise MomentsError("there is no such moment")


def after(schedule: Schedule, moment: datetime) -> Iterator[datetime]:
    """The planned moments after this one, each later than the one before; raises `MomentsError`."""
    if schedule.every is not None:
        yield from _grid(schedule.every, moment)
        return
    for planned in _cron(schedule.cron or "", schedule.timezone, moment):
        if planned > moment:  # begun inside the repeated hour, it starts over with its first half
            moment = planned
            yield planned


def last(schedule: Schedule, start: datetime, end: datetime, most: int) -> Sequence[datetime]:
    """The last `most` planned moments after `start` and not after `end`.

    Looks back as far as it must: what was missed in years costs no more than what was missed in a day.
    """
    span = _FIRST_LOOK
    while True:
        begin = max(start, end - span)
        found: deque[datetime] = deque(maxlen=most)
        for planned in after(schedule, begin):
            if planned > end:
                break
            found.append(planned)
        if len(found) == most or begin == start:
            return tuple(found)
        span *= 2


def jitter_of(schedule: Schedule, trigger: str) -> timedelta:
    """By how much all its starts come later than planned: always the same, and not that of others."""
    most = int(schedule.jitter.total_seconds())
    if most <= 0:
        return timedelta()
    number = int.from_bytes(hashlib.sha256(trigger.encode(errors="replace")).digest()[:8])
    return timedelta(seconds=number % (most + 1))


def next_times(schedule: Schedule, trigger: str, moment: datetime, count: int) -> Sequence[datetime]:
    """When it will start something, after `moment`: jitter included."""
    jitter = jitter_of(schedule, trigger)
    return [planned + jitter for planned in islice(after(schedule, moment - jitter), count)]


def zone(name: str) -> ZoneInfo:
    """Raises `MomentsError`."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no key of the data base, a folder of it, or none at all
        raise MomentsError(f'unknown time zone "{name}"') from None


def _grid(every: timedelta, moment: datetime) -> Iterator[datetime]:
    if every <= timedelta():
        raise MomentsError("every must be positive")
    number = (moment - EPOCH) // every
    while True:
        number += 1
        try:
            yield EPOCH + number * every
        except OverflowError:
            return


def _cron(expression: str, timezone: str, moment: datetime) -> Iterator[datetime]:
    try:
        from cronsim import CronSim, CronSimError
    except ImportError:
        raise MomentsError("cron needs: pip install 'paas-pipelines[automation]'") from None
    spelled = _SHORT.get(expression.strip().lower(), expression)
    if len(spelled.split()) != _FIELDS:
        raise MomentsError(f'cron "{expression}" must have five fields')
    place = zone(timezone)
    try:
        found = CronSim(spelled, moment.astimezone(UTC if timezone == "UTC" else place))
    except (CronSimError, ValueError, OverflowError) as error:
        raise MomentsError(f'cron "{expression}": {str(error).lower()}') from None
    if spelled.startswith("*") or spelled.split()[1].startswith("*"):
        yield from _real_intervals(found, moment, place)
        return
    try:
        yield from (each.astimezone(UTC) for each in found)
    except OverflowError:  # beyond the last year that there is
        return


def _real_intervals(wanted: "CronSim", moment: datetime, place: ZoneInfo) -> Iterator[datetime]:
    """Every minute that fits what the clock shows in it, over changes of any size at any time of day.

    CronSim itself leaves out an hour after a midnight that is in a gap (Havana, Beirut), and minutes where
    clocks are changed by half an hour.
    """
    at = moment.replace(second=0, microsecond=0) + _MINUTE
    end = at + _AT_MOST
    while at < end:
        here = at.astimezone(place)
        step = timedelta(minutes=_minutes_until(wanted, here))
        if not step:
            yield at
            step, end = _MINUTE, at + _AT_MOST
        is_even = (at + step).astimezone(place).utcoffset() == here.utcoffset()
        at += step if is_even else _MINUTE


def _minutes_until(wanted: "CronSim", here: datetime) -> int:
    """Before these are over nothing fits, as long as the clock goes evenly; 0 where it fits now."""
    if here.month not in wanted.months or not wanted.match_day(here.date()):
        return 24 * 60 - here.hour * 60 - here.minute
    left = [minute - here.minute for minute in wanted.minutes if minute >= here.minute]
    return min(left, default=60 - here.minute) if here.hour in wanted.hours else 60 - here.minute
