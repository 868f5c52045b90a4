"""The report for people: a page for the terminal, and lines for what has changed.

The answer to `paas-runner explain`: one job, from its acquisition to what will be done about it next.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import attrs

from paas_runner.job.tracked import Entry, JobKey
from paas_runner.plain_text import aligned, one_line, short_span, span
from paas_runner.status.report import Capacity, Job, Report, Runner, Service, ServiceState, Use


def page(report: Report) -> str:
    """The service, its room, its runners, and two more lines for each job: what was last, what is next."""
    return "\n".join(
        [
            _service(report.service, report.at),
            _capacity(report.capacity),
            "",
            *aligned([("RUNNER", "TOKEN", "STATE", "JOBS", "WHY"), *map(_runner, report.runners)]),
            "",
            *(_jobs(report.jobs, report.at) if report.jobs else ["no tracked jobs"]),
        ]
    )


def changes(before: Report | None, after: Report) -> Iterator[str]:
    """One line for each thing that is different, all of them at first."""
    clock = f"{after.at:%H:%M:%S}"
    if before is None or before.service.state is not after.service.state:
        yield f"{clock} service: {after.service.state}"
    runners = {runner.runner: runner for runner in before.runners} if before else {}
    for runner in after.runners:
        known = runners.get(runner.runner)
        if known is None or (known.state, known.why) != (runner.state, runner.why):
            yield f"{clock} runner {runner.name}: {_with_reason(runner.state, runner.why)}"
    jobs = {job.key: job for job in before.jobs} if before else {}
    for job in after.jobs:
        known_job = jobs.pop(job.key, None)
        if known_job is None or _happened(known_job) != _happened(job):
            last = f": {told(job.last)}" if job.last else ""
            yield f"{clock} job {job.key}: {job.phase}{last}"
    yield from (f"{clock} job {key}: gone" for key in jobs)


def told(entry: Entry) -> str:
    """What happened, how often, why, and how long after it the next try was."""
    again = f" ({entry.times} times, last {entry.last:%H:%M:%S})" if entry.last else ""
    wait = (entry.until - (entry.last or entry.at)).total_seconds() if entry.until else 0.0
    pause = f"; again {short_span(wait)} later" if wait > 0 else ""
    return f"{_with_reason(entry.what + again, entry.why)}{pause}"


def next_line(job: Job, now: datetime) -> str:
    """What will be done about it, when and why."""
    if job.next is None:
        return f"nothing is done: {job.blocked}"
    delay = (job.next.at - now).total_seconds()
    when = "now" if delay <= 0 else f"in {short_span(delay)}"
    return f"{when}: {_with_reason(job.next.what, job.next.why)}"


def _service(service: Service, at: datetime) -> str:
    if service.state is ServiceState.DOWN:
        return f"paas-runner is not running; this is what it left in the store beside {service.state_file}"
    since = f", since {span((at - service.since).total_seconds())}" if service.since else ""
    return f"paas-runner {service.version} is {service.state}, process {service.pid}{since}"


def _capacity(capacity: Capacity) -> str:
    uses = [("jobs", capacity.concurrent), ("in provisioning", capacity.provisioning)]
    if capacity.quota:
        uses.append(("of the weight quota", capacity.quota))
    return ", ".join(f"{_use(use)} {what}" for what, use in uses)


def _use(use: Use) -> str:
    return f"{use.used:g}/{'?' if use.limit is None else format(use.limit, 'g')}"


def _runner(runner: Runner) -> Sequence[str]:
    until = f"next try at {runner.until:%H:%M:%S}: " if runner.until else ""
    return runner.name, runner.runner, runner.state, str(runner.jobs), until + one_line(runner.why)


def _jobs(jobs: Sequence[Job], at: datetime) -> Iterator[str]:
    head = ("JOB", "RUNNER", "PHASE", "AGE", "IN PHASE", "HOST", "FLAVOR", "TENANT")
    first, *rows = aligned([head, *map(_job, jobs)])
    yield first
    for row, job in zip(rows, jobs, strict=True):
        yield row
        if job.last:
            yield f"    last {job.last.at:%H:%M:%S} {one_line(told(job.last))}"
        yield f"    next {one_line(next_line(job, at))}"


def _job(job: Job) -> Sequence[str]:
    return (
        str(job.job),
        job.runner_name or job.runner,
        job.phase,
        span(job.age_seconds),
        span(job.phase_seconds),
        job.host or job.host_name or "-",
        job.flavor or "-",
        job.tenant or "-",
    )


def _happened(job: Job) -> tuple[str, str]:
    return job.phase, job.last.what if job.last else ""


def _with_reason(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what


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
