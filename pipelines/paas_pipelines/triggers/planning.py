"""Which moments of a schedule are to start something now, and which were missed: decided from its cursor."""

import functools
from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs

from paas_pipelines.definitions.automation import CatchUp, Schedule
from paas_pipelines.triggers import moments

LATE = timedelta(seconds=60)
"""What comes later than this is missed, and is for `catch_up`."""

MOST_CAUGHT_UP = 100


@attrs.frozen(kw_only=True)
class Plan:
    """What follows from looking at a schedule at one moment."""

    cursor: datetime
    """The last planned moment that is done with then: it never goes back."""

    starts: Sequence[datetime] = ()
    """The planned moments that become events."""

    missed: datetime | None = None
    """The last of those that start nothing any more, where nothing else stands for it."""


def planned(schedule: Schedule, trigger: str, cursor: datetime, now: datetime) -> Plan:
    """Raises `MomentsError`.

    A clock that was set back is before the cursor, so that nothing is repeated until it comes by again. One
    that was set forward has missed what lies between. What came in time stands for what was missed before it,
    if `catch_up` is `last`.
    """
    end = now - moments.jitter_of(schedule, trigger)
    following = next_due(schedule, trigger, cursor)
    if following is None or following > now:
        return Plan(cursor=cursor)
    in_time = end - LATE
    begin = max(cursor, min(in_time, end - schedule.catch_up_window) - timedelta(microseconds=1))
    due = moments.last(schedule, begin, end, MOST_CAUGHT_UP)
    punctual = [each for each in due if each >= in_time]
    missed = [each for each in due if each < in_time and each >= end - schedule.catch_up_window]
    starts: Sequence[datetime] = punctual
    if schedule.catch_up is CatchUp.LAST:
        starts = punctual or missed[-1:]
    elif schedule.catch_up is CatchUp.ALL:
        starts = missed + punctual
    if not starts:
        [none_for] = moments.last(schedule, cursor, end, 1)
        return Plan(cursor=none_for, missed=none_for)
    return Plan(cursor=due[-1], starts=starts)


def fingerprint(schedule: Schedule) -> str:
    """What the moments are computed from: where it differs, the schedule is another one."""
    every = "" if schedule.every is None else str(schedule.every.total_seconds())
    return "\n".join((schedule.cron or "", every, schedule.timezone))


@functools.lru_cache(maxsize=1024)
def next_due(schedule: Schedule, trigger: str, cursor: datetime) -> datetime | None:
    """When the next of its planned moments is to start something; raises `MomentsError`.

    Asked at every look: those that come once in years take a while to be found.
    """
    following = next(moments.after(schedule, cursor), None)
    return None if following is None else following + moments.jitter_of(schedule, trigger)
