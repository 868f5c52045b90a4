"""Which jobs a coordinator believes to run here although nothing is known of them here. Pure.

Between the coordinator's answer that hands out a job and its record on our disk a kill loses the job: nobody
runs it, and the coordinator finds out when nothing has been heard of it for an hour, or for as long as the
job may take. What the coordinator lists is compared with what is known: at two looks, so far apart that what
was on its way at the first has arrived or is lost at the second.
"""

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import attrs

APART = timedelta(minutes=2)
"""Between the two looks, at least: a request for a job is in flight for 90 s at most
(`coordinator/gitlab.py`), and what it brings is known from then on, before the disk has it."""

MOST_OWED = 100
_MOST_TEXT = 100_000


@attrs.frozen(kw_only=True)
class BelievedJob:
    """One that the coordinator believes to run here."""

    job_id: int
    project_id: int | None = None
    """None where the coordinator does not say it: then nothing can be done about the job."""


@attrs.frozen(kw_only=True)
class Believed:
    """All of them; not `complete` where the list was longer than what is read of it."""

    jobs: Sequence[BelievedJob]
    complete: bool = True


@attrs.frozen(kw_only=True)
class Findings:
    """What one look has found: the next one needs `unknown`."""

    unknown: Mapping[int, datetime]
    """The jobs of which nothing is known, each with the first of the looks in a row that found it so."""

    lost: Sequence[BelievedJob]
    """Those of them of which that is sure."""


def compare(
    believed: Iterable[BelievedJob],
    known: Container[int],
    unknown_before: Mapping[int, datetime],
    now: datetime,
) -> Findings:
    """`known` is what was known at any time since the list was asked for, `now` is after both."""
    jobs = {job.job_id: job for job in believed if job.job_id not in known}
    unknown = {job_id: unknown_before.get(job_id, now) for job_id in jobs}
    return Findings(
        unknown=unknown, lost=[jobs[job_id] for job_id, since in unknown.items() if now - since >= APART]
    )


def owed_as_text(owed: Iterable[BelievedJob]) -> str:
    """What has been begun at the coordinator, for the store; the latest `MOST_OWED`."""
    return json.dumps([[job.job_id, job.project_id] for job in [*owed][-MOST_OWED:]])


def owed_from_text(text: str) -> Sequence[BelievedJob]:
    """The same again; what cannot be read was not written by us, and nothing is owed then."""
    try:
        found = json.loads(text[:_MOST_TEXT] or "[]")
        pairs = [(job_id, project_id) for job_id, project_id in found]
    except (ValueError, TypeError):
        return []
    return [
        BelievedJob(job_id=job_id, project_id=project_id)
        for job_id, project_id in pairs[-MOST_OWED:]
        if type(job_id) is int and type(project_id) is int
    ]
