"""Jobs that could not be run, by cause: what an operator looks at first in the morning. Pure.

A job whose own script failed is none of them: its coordinator knows that, and this service does not ask.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

import attrs

from paas_runner.job.events import Failed
from paas_runner.job.failure import FailureReason
from paas_runner.job.tracked import Entry, JobKey
from paas_runner.plain_text import one_line
from paas_runner.status.course import job_name

MOST_EXAMPLES = 5
_LONGEST_HEADLINE = 300
_OF_ONE_JOB_ALONE = re.compile(r"hpd-job-\S+|\b(?=\w*\d)[0-9a-z_-]{16,}\b|\d++(?:[.:,]\d++)*+(?![A-Z])")
"""Names of hosts, ids, numbers: what differs between two jobs that failed for the same cause.

Flavors such as 2XL stay.
"""


@attrs.frozen(kw_only=True)
class FailedJob:
    """One failure: when, of which job, and all that its author was told."""

    key: JobKey
    name: str
    at: datetime
    reason: str
    text: str


@attrs.frozen(kw_only=True)
class Cause:
    """Failures for one cause; `jobs` are the latest of them."""

    reason: str
    what: str
    count: int
    last: datetime
    jobs: Sequence[FailedJob]


def failure_of(key: JobKey, history: Iterable[Entry]) -> FailedJob | None:
    """How the job of that history failed; None when it did not, or was canceled."""
    entries = list(history)
    for entry in reversed(entries):
        if entry.event == Failed.name and entry.facts.get("reason") != FailureReason.CANCELED:
            return FailedJob(
                key=key,
                name=job_name(entries),
                at=entry.at,
                reason=str(entry.facts.get("reason", "")),
                text=str(entry.facts.get("text", "")),
            )
    return None


def causes(failures: Iterable[FailedJob], since: datetime) -> Sequence[Cause]:
    """The failures from then on, each once, by cause, the most frequent first."""
    by_cause: dict[tuple[str, str], list[FailedJob]] = {}
    for failure in {failure.key: failure for failure in failures if failure.at >= since}.values():
        by_cause.setdefault((failure.reason, headline(failure.text)), []).append(failure)
    found = [_cause(reason, what, failures) for (reason, what), failures in by_cause.items()]
    return sorted(found, key=lambda cause: (-cause.count, -cause.last.timestamp()))


def headline(text: str) -> str:
    """What is the same in the texts of all failures for one cause."""
    first = one_line(text.strip().partition("\n")[0])
    if len(first) > _LONGEST_HEADLINE:  # no word is cut: half a secret would not be found any more
        first = f"{first[:_LONGEST_HEADLINE].rpartition(' ')[0]}…"
    return _OF_ONE_JOB_ALONE.sub("…", first)


def _cause(reason: str, what: str, failures: Sequence[FailedJob]) -> Cause:
    latest = sorted(failures, key=lambda failure: failure.at, reverse=True)
    return Cause(
        reason=reason, what=what, count=len(latest), last=latest[0].at, jobs=tuple(latest[:MOST_EXAMPLES])
    )
