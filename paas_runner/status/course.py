"""One job's way through its phases, and what keeps it waiting: values for whoever draws them. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from paas_runner.job.history import ACQUIRED
from paas_runner.job.tracked import Entry, JobKey, Phase, TrackedJob
from paas_runner.status.report import JobReport


@attrs.frozen(kw_only=True)
class Stretch:
    """A phase, and how long the job was in it."""

    phase: Phase
    since: datetime
    seconds: float


@attrs.frozen(kw_only=True)
class Waiting:
    """A job that does not get on, and why."""

    job: JobReport
    name: str
    why: str


def course(history: Sequence[Entry], until: datetime) -> Sequence[Stretch]:
    """The phases in their order; the last one lasts until then."""
    begun: list[tuple[Phase, datetime]] = []
    for entry in history:
        if entry.phase is not Phase.GONE and (not begun or begun[-1][0] is not entry.phase):
            begun.append((entry.phase, entry.at))
    if not begun:
        return []
    ends = [*(at for _, at in begun[1:]), max(until, begun[-1][1])]
    return [
        Stretch(phase=phase, since=at, seconds=max((end - at).total_seconds(), 0.0))
        for (phase, at), end in zip(begun, ends, strict=True)
    ]


def over_at(history: Sequence[Entry]) -> datetime | None:
    """When the last thing happened to a job that is gone; None of one without a history."""
    return max((entry.last or entry.at for entry in history), default=None)


def job_name(history: Sequence[Entry]) -> str:
    """What its author called the job; empty where that is not known."""
    names = (entry.facts.get("job_name") for entry in history if entry.event == ACQUIRED)
    return str(next(names, None) or "")


def waiting(
    reports: Sequence[JobReport],
    records: Mapping[JobKey, TrackedJob],
    no_room: Mapping[JobKey, str],
    now: datetime,
) -> Sequence[Waiting]:
    """The jobs that do not get on, in the order of their acquisition.

    A job waits for room, for its turn to start, for the end of an outage, or for its runner to be served.
    """
    found = []
    for report in reports:
        record = records.get(report.key)
        if record and (why := _why(report, record, no_room.get(report.key, ""), now)):
            found.append(Waiting(job=report, name=job_name(record.history), why=why))
    return found


def _why(report: JobReport, record: TrackedJob, no_room: str, now: datetime) -> str:
    if report.blocked or no_room:
        return report.blocked or no_room
    if record.attempts and record.trouble:
        tries = "1 try has failed" if record.attempts == 1 else f"{record.attempts} tries have failed"
        return f"{tries}, the last: {record.trouble}"
    if record.needs_room and record.start_due and record.start_due > now + timedelta(seconds=1):
        return "launches are kept apart (`paas_min_seconds_between_launches`)"
    return ""
