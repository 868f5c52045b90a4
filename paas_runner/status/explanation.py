"""The answer to `paas-runner explain`: one job, from its acquisition to what will be done about it next."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import attrs

from paas_runner.job.tracked import Entry, JobKey
from paas_runner.status.report import Job
from paas_runner.status.views import next_line, span, told


@attrs.frozen(kw_only=True)
class Explanation:
    """`job` is None when it is gone: then the history is all that is left of it."""

    at: datetime
    key: JobKey
    job: Job | None
    history: Sequence[Entry]


def explained(explanation: Explanation) -> str:
    """A headline, a line for each thing that happened, and what comes next."""
    return "\n".join([*_head(explanation), "", *_lines(explanation.history), *_next(explanation)])


def _head(explanation: Explanation) -> Iterator[str]:
    key, job = explanation.key, explanation.job
    if job is None:
        yield f"job {key.job_id} of runner {key.runner} is gone: nothing is left to be done about it"
        return
    runner = f"{job.runner_name} ({key.runner})" if job.runner_name else key.runner
    yield (
        f"job {key.job_id} of runner {runner} is {job.phase}, "
        f"for {span(job.phase_seconds)} of the {span(job.age_seconds)} since it was acquired"
    )
    if job.host_name:
        known = [job.host or "not known to exist", job.flavor and f"flavor {job.flavor}", job.tenant]
        yield f"host {job.host_name}: {', '.join(filter(None, known))}"


def _lines(history: Sequence[Entry]) -> Iterator[str]:
    """Dates only where they change; further lines of a reason under the first."""
    day = None
    for entry in history:
        if entry.at.date() != day:
            day = entry.at.date()
            yield f"{day} UTC"
        yield f"  {entry.at:%H:%M:%S}  {told(entry)}".replace("\n", "\n            ")


def _next(explanation: Explanation) -> Iterator[str]:
    if explanation.job:
        yield f"      next  {next_line(explanation.job, explanation.at)}".replace("\n", "\n            ")
