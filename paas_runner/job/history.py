"""What happened to a job, as part of its record: for each event its name and the facts of it.

It explains and decides nothing, and has no words (`wording.py`). What happens again in the same phase is
counted in its first entry, which then has the newest facts; so a history is no longer after a week of retries
than after one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import get_args

import attrs

from paas_runner.job.events import (
    Checked,
    Decommissioned,
    Deferred,
    Event,
    Failed,
    HostChecked,
    HostCreated,
    HostReady,
    HostReleased,
    HostReused,
    HostTaken,
    Launched,
    LifeSeen,
    NotYet,
    ProvisionIntended,
    StandbyOver,
    Unchecked,
)
from paas_runner.job.tracked import Entry, Fact, Phase, TrackedJob
from paas_runner.job.use import Use

ACQUIRED = "acquired"
SERVICE_STARTED = "service_started"
CANCELING = "canceling"  # `Checked`, when the user wants the job to end
HOST_FOUND_OR_CREATED = "host_found_or_created"  # `HostCreated`, when the host may have been there before
LEGACY = "legacy"
"""What a version stored that had sentences alone; its facts are these sentences, `what` and `why`."""

NAMES = frozenset(
    {
        *(event.name for event in get_args(Event)),
        *(ACQUIRED, SERVICE_STARTED, CANCELING, HOST_FOUND_OR_CREATED, LEGACY),
    }
)
"""All events that an entry may have."""


def begun(now: datetime, **facts: Fact) -> tuple[Entry, ...]:
    """The history of a job that was just acquired; no `job_name` is one of which nothing could be read."""
    return (Entry(at=now, phase=Phase.ACQUIRED, event=ACQUIRED, facts=facts),)


def continued(job: TrackedJob, now: datetime) -> tuple[Entry, ...]:
    """The history of a job that a start of the service found in its records."""
    return grown(job.history, Entry(at=now, phase=job.phase, event=SERVICE_STARTED))


def grown(history: Sequence[Entry], entry: Entry) -> tuple[Entry, ...]:
    """The history with one more entry, or with one that counts it, too."""
    for number in range(len(history) - 1, -1, -1):
        known = history[number]
        if known.phase is not entry.phase:
            break
        if known.event == entry.event:
            again = attrs.evolve(entry, at=known.at, last=entry.at, times=known.times + 1)
            return (*history[:number], again, *history[number + 1 :])
    return (*history, entry)


def entry(event: Event, before: TrackedJob, after: TrackedJob, now: datetime) -> Entry:
    """What `event` was for a job that was `before` and is now `after`."""
    until = event.until if isinstance(event, NotYet | Deferred | Unchecked | HostChecked) else None
    return Entry(at=now, phase=after.phase, event=_name(event), facts=_facts(event, before, now), until=until)


def _name(event: Event) -> str:
    match event:
        case Checked(canceling=True):
            return CANCELING
        case HostCreated(doubtful=True):
            return HOST_FOUND_OR_CREATED
        case _:
            return event.name


def _facts(event: Event, job: TrackedJob, now: datetime) -> Mapping[str, Fact]:
    """`seconds` are those since the phase began."""
    seconds = round((now - job.since).total_seconds(), 3)
    match event:
        case ProvisionIntended():
            return {"host_name": job.host_name}
        case HostCreated(host=host):
            return {"host": host.ref, "flavor": host.flavor, "seconds": seconds}
        case Decommissioned(use=Use() as use):
            return {"seconds": seconds, **attrs.asdict(use)}
        case HostReady() | Launched() | LifeSeen() | Decommissioned():
            return {"seconds": seconds}
        case HostReused(host=host):
            return {"host": host.ref, "flavor": host.flavor, "host_name": host.name}
        case HostReleased(until=until):
            return {"standby_seconds": round((until - now).total_seconds(), 3)}
        case HostTaken(by=key):
            return {"seconds": seconds, "by": str(key)}
        case StandbyOver(why=why):
            return {"seconds": seconds, "why": str(why)}
        case Deferred(trouble=trouble):
            return {"trouble": trouble}
        case Failed(failure=failure):
            return {"reason": str(failure.reason), "text": failure.text}
        case _:
            return {}
