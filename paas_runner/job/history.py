"""What happened to a job, in words for the operator, as part of its record.

It explains and decides nothing. What happens again in the same phase is counted in its first line, which
then has the newest reason; so a history is no longer after a week of retries than after one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import attrs

from paas_runner.job.events import (
    Checked,
    Decommissioned,
    Deferred,
    Ended,
    Event,
    Explained,
    Failed,
    HostChecked,
    HostCreated,
    HostLeft,
    HostReady,
    Launched,
    LaunchIntended,
    LifeSeen,
    NotYet,
    ProvisionIntended,
    Reported,
    Unchecked,
)
from paas_runner.job.tracked import Entry, Host, Phase, TrackedJob

_ALWAYS_THE_SAME: Mapping[type[Event], tuple[str, str]] = {
    LaunchIntended: (
        "the job is handed to its host",
        "the host takes it, and the coordinator still wants it",
    ),
    Checked: ("the coordinator still wants the job", "so it goes on"),
    Unchecked: ("the coordinator could not be asked about the job", "it goes on until the answer is no"),
    HostChecked: ("the host was looked at", "nothing speaks for giving the job up"),
    Ended: ("the coordinator no longer runs the job", "it has ended, was canceled or erased"),
    Explained: ("the author was told why", "in the job's log"),
    Reported: ("the coordinator was told that the job failed", "so that it ends there, too"),
    HostLeft: ("the host is left in place", "as configured"),
}

_NOT_YET: Mapping[Phase, tuple[str, str]] = {
    Phase.PROVISIONING: ("the host does not take the job yet", "its provider is still preparing it"),
    Phase.LAUNCHED: ("nothing is in the job's log yet", "its host is still starting"),
}

_DEFERRED: Mapping[Phase, str] = {
    Phase.ACQUIRED: "the coordinator could not be told that the job has a runner",
    Phase.PROVISIONING: "there is no host yet",
    Phase.PROVISIONED: "the job could not be launched yet",
    Phase.LAUNCHING: "the job could not be launched yet",
    Phase.LAUNCHED: "the job's log could not be looked at",
    Phase.RUNNING: "the coordinator could not be asked whether the job has ended",
    Phase.FAILING: "the failure could not be reported yet",
    Phase.DECOMMISSIONING: "the host could not be removed yet",
}


def begun(why: str, now: datetime) -> tuple[Entry, ...]:
    """The history of a job that was just acquired."""
    return (Entry(at=now, phase=Phase.ACQUIRED, what="acquired", why=why),)


def continued(job: TrackedJob, now: datetime) -> tuple[Entry, ...]:
    """The history of a job that a start of the service found in its records."""
    why = "it had been stopped or killed, and goes on from the job's record"
    return grown(job.history, Entry(at=now, phase=job.phase, what="the service started", why=why))


def grown(history: Sequence[Entry], entry: Entry) -> tuple[Entry, ...]:
    """The history with one more entry, or with one that counts it, too."""
    for number in range(len(history) - 1, -1, -1):
        known = history[number]
        if known.phase is not entry.phase:
            break
        if known.what == entry.what:
            again = attrs.evolve(entry, at=known.at, last=entry.at, times=known.times + 1)
            return (*history[:number], again, *history[number + 1 :])
    return (*history, entry)


def entry(event: Event, before: TrackedJob, after: TrackedJob, now: datetime) -> Entry:
    """What `event` was for a job that was `before` and is now `after`."""
    what, why = _told(event, before, now)
    until = event.until if isinstance(event, NotYet | Deferred | Unchecked | HostChecked) else None
    return Entry(at=now, phase=after.phase, what=what, why=why, until=until)


def _told(event: Event, job: TrackedJob, now: datetime) -> tuple[str, str]:
    """What happened, the same whenever it happens again, and why or with which outcome."""
    took = f"after {(now - job.since).total_seconds():.1f} s"
    match event:
        case ProvisionIntended():
            return "a host is asked for", f"its name is {job.host_name}"
        case HostCreated(host=host, doubtful=doubtful):
            return "host found or created" if doubtful else "host created", f"{_named(host)}, {took}"
        case HostReady():
            return "the host takes the job", took
        case Launched():
            return "the host has the job", took
        case LifeSeen():
            return "the job has begun", f"its log has its first bytes, {took}"
        case Checked(canceling=True):
            return "the job is being canceled", "its user wants it to end, says the coordinator"
        case NotYet():
            return _NOT_YET[job.phase]
        case Deferred(trouble=trouble):
            return _DEFERRED[job.phase], trouble
        case Failed(failure=failure):
            return "the job cannot be run", f"{failure.reason}: {failure.text}"
        case Decommissioned():
            return "the host is gone", took
        case _:
            return _ALWAYS_THE_SAME[type(event)]


def _named(host: Host) -> str:
    return f"{host.ref}, flavor {host.flavor}" if host.flavor else host.ref
