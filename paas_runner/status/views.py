"""Status and explanations as text: a page, lines for what has changed, and one job's whole course.

An explanation is the answer to `paas-runner explain`: one job from its acquisition to what will be done next.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import attrs

from paas_runner.job.tracked import JobKey, Phase
from paas_runner.job.wording import HistoryLine
from paas_runner.plain_text import aligned, one_line, short_span, span
from paas_runner.status.report import (
    Capacity,
    JobReport,
    LooksReport,
    RunnerReport,
    ServiceReport,
    ServiceState,
    StandbyReport,
    StatusReport,
    Use,
)
from paas_runner.status.sharing import SharingReport
from paas_runner.status.sharing_wording import role_line, sharing_lines


@attrs.frozen(kw_only=True)
class JobExplanation:
    """`job` is None when it is gone: then the history is all that is left of it."""

    at: datetime
    key: JobKey
    job: JobReport | None
    history: Sequence[HistoryLine]


def page(report: StatusReport) -> str:
    """The service, its room, its runners, and two more lines for each job: what was last, what is next."""
    return "\n".join(
        [
            _service(report.service, report.at, report.sharing),
            _capacity(report.capacity),
            *_counters(report.counters),
            *map(_looks, report.looks),
            *_processes(report),
            "",
            *aligned([("RUNNER", "TOKEN", "STATE", "JOBS", "WHY"), *map(_runner, report.runners)]),
            "",
            *(_jobs(report.jobs, report.at) if report.jobs else [_no_jobs(report)]),
            *(["", *_standby(report.standby)] if report.standby else []),
        ]
    )


def _processes(report: StatusReport) -> Iterator[str]:
    if report.sharing:
        yield from sharing_lines(report.sharing, report.at, weighs=report.capacity.quota is not None)


def changes(before: StatusReport | None, after: StatusReport) -> Iterator[str]:
    """One line for each thing that is different, all of them at first."""
    clock = f"{after.at:%H:%M:%S}"
    known_service = (before.service.state, before.service.trouble) if before else None
    if known_service != (after.service.state, after.service.trouble):
        yield f"{clock} service: {_with_reason(after.service.state, after.service.trouble)}"
    role = role_line(after.sharing) if after.sharing else ""
    if role and (before is None or before.sharing is None or role_line(before.sharing) != role):
        yield f"{clock} sharing: {role}"
    runners = {runner.runner: runner for runner in before.runners} if before else {}
    for runner in after.runners:
        known = runners.get(runner.runner)
        if known is None or (known.state, known.why) != (runner.state, runner.why):
            yield f"{clock} runner {runner.name}: {_with_reason(runner.state, runner.why)}"
    jobs = {job.key: job for job in before.jobs} if before else {}
    for job in after.jobs:
        known_job = jobs.pop(job.key, None)
        if known_job is None or _newest(known_job) != _newest(job):
            last = f": {format_line(job.last)}" if job.last else ""
            yield f"{clock} job {job.key}: {job.phase}{last}"
    yield from (f"{clock} job {key}: gone" for key in jobs)
    standing = {host.key: host for host in before.standby} if before else {}
    for host in after.standby:
        if standing.pop(host.key, None) is None:
            yield f"{clock} host {host.host}: on standby, {span(host.seconds_left)} left, of job {host.key}"
    yield from (f"{clock} host {host.host}: on standby no longer" for host in standing.values())


def format_line(line: HistoryLine) -> str:
    """What happened, how often, why, and how long after it the next try was."""
    again = f" ({line.times} times, last {line.last:%H:%M:%S})" if line.last else ""
    wait = (line.until - (line.last or line.at)).total_seconds() if line.until else 0.0
    pause = f"; again {short_span(wait)} later" if wait > 0 else ""
    return f"{_with_reason(line.what + again, line.why)}{pause}"


def next_line(job: JobReport, now: datetime) -> str:
    """What will be done about it, when and why."""
    if job.next is None:
        return f"nothing is done: {job.blocked}"
    delay = (job.next.at - now).total_seconds()
    when = "now" if delay <= 0 else f"in {short_span(delay)}"
    return f"{when}: {_with_reason(job.next.what, job.next.why)}"


def _service(service: ServiceReport, at: datetime, sharing: SharingReport | None) -> str:
    if service.state is ServiceState.DOWN and sharing:
        where = ", ".join(member.name for member in sharing.alive)
        there = f"here, but {'at ' + where}" if where else "anywhere"
        return f"paas-runner is not running {there}; this is what is in {sharing.store}"
    if service.state is ServiceState.DOWN:
        return f"paas-runner is not running; this is what it left in the store beside {service.state_file}"
    since = f", up {span((at - service.since).total_seconds())}" if service.since else ""
    trouble = f"; {one_line(service.trouble)}" if service.trouble else ""
    return f"paas-runner {service.version} is {service.state}, process {service.pid}{since}{trouble}"


def _no_jobs(report: StatusReport) -> str:
    elsewhere = report.sharing.jobs_elsewhere if report.sharing else 0
    return f"no tracked jobs here, {elsewhere} elsewhere" if elsewhere else "no tracked jobs"


def _capacity(capacity: Capacity) -> str:
    uses = [("jobs", capacity.concurrent), ("in provisioning", capacity.provisioning)]
    if capacity.quota:
        uses.append(("of the weight quota", capacity.quota))
    told = ", ".join(f"{_use(use)} {what}" for what, use in uses)
    standby = capacity.standby_weight if capacity.quota else 0.0
    return f"{told}, and {_amount(standby)} of it on standby" if standby else told


def _counters(counters: Mapping[str, int]) -> Sequence[str]:
    """What has happened although it must not; nothing as long as nothing has."""
    happened = [f"{name} {number}" for name, number in counters.items() if number]
    return [f"since the start: {', '.join(happened)}; the log tells more"] if happened else []


def _looks(looks: LooksReport) -> str:
    return (
        f"looks at the {looks.jobs} jobs of {looks.coordinator} are {looks.factor:g} times rarer than "
        f"configured: {looks.looks_a_minute} a minute are allowed (paas_max_looks_per_minute)"
    )


def _use(use: Use) -> str:
    return f"{_amount(use.used)}/{'?' if use.limit is None else _amount(use.limit)}"


def _amount(value: float) -> str:
    return f"{round(value, 1):g}"


def _runner(runner: RunnerReport) -> Sequence[str]:
    until = f"next try at {runner.until:%H:%M:%S}: " if runner.until else ""
    return runner.name, runner.runner, runner.state, str(runner.jobs), until + one_line(runner.why)


def _jobs(jobs: Sequence[JobReport], at: datetime) -> Iterator[str]:
    head = ("JOB", "RUNNER", "PHASE", "AGE", "IN PHASE", "FLAVOR", "TENANT", "HOST")
    first, *rows = aligned([head, *map(_job, jobs)])
    yield first
    for row, job in zip(rows, jobs, strict=True):
        yield row
        if job.last:
            yield f"    last {job.last.at:%H:%M:%S} {one_line(format_line(job.last))}"
        yield f"    next {one_line(next_line(job, at))}"


def _standby(hosts: Sequence[StandbyReport]) -> Iterator[str]:
    head = ("HOST ON STANDBY", "RUNNER", "LEFT", "FLAVOR", "TENANT", "SO FAR", "LEFT BY JOB")
    return iter(aligned([head, *map(_standby_row, hosts)]))


def _standby_row(host: StandbyReport) -> Sequence[str]:
    return (
        host.host,
        host.runner_name or host.runner,
        span(host.seconds_left),
        host.flavor or "-",
        host.tenant or "-",
        "-" if host.cost_so_far is None else f"{host.cost_so_far:.2f}",
        str(host.job),
    )


def _job(job: JobReport) -> Sequence[str]:
    return (
        str(job.job),
        job.runner_name or job.runner,
        job.phase,
        span(job.age_seconds),
        span(job.phase_seconds),
        job.flavor or "-",
        job.tenant or "-",
        job.host or job.host_name or "-",
    )


def _newest(job: JobReport) -> tuple[Phase, datetime | None]:
    """What tells one line of a history from another: not its words, nor how often it was counted."""
    return job.phase, job.last.at if job.last else None


def _with_reason(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what


def format_explanation(explanation: JobExplanation) -> str:
    """A headline, a line for each thing that happened, and what comes next."""
    return "\n".join([*_head(explanation), "", *_lines(explanation.history), *_next(explanation)])


def _head(explanation: JobExplanation) -> Iterator[str]:
    key, job = explanation.key, explanation.job
    if job is None:
        yield f"job {key.job_id} of runner {key.runner} is gone: nothing is left to be done about it"
        return
    runner = f"{job.runner_name} ({key.runner})" if job.runner_name else key.runner
    if job.phase is Phase.STANDBY:
        what = "is over, and its host waits for another one, "
    else:
        what = f"is {job.phase}, "
    yield (
        f"job {key.job_id} of runner {runner} {what}"
        f"for {span(job.phase_seconds)} of the {span(job.age_seconds)} since it was acquired"
    )
    if job.host_name:
        known = [job.host or "not known to exist", job.flavor and f"flavor {job.flavor}", job.tenant]
        yield f"host {job.host_name}: {', '.join(filter(None, known))}"


def _lines(history: Sequence[HistoryLine]) -> Iterator[str]:
    """Dates only where they change; further lines of a reason under the first."""
    day = None
    for line in history:
        if line.at.date() != day:
            day = line.at.date()
            yield f"{day} UTC"
        yield f"  {line.at:%H:%M:%S}  {format_line(line)}".replace("\n", "\n            ")


def _next(explanation: JobExplanation) -> Iterator[str]:
    if explanation.job:
        yield f"      next  {next_line(explanation.job, explanation.at)}".replace("\n", "\n            ")
