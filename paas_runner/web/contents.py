"""What is on each page: functions from what is asked for, and of which moment, to values for templates."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import attrs

from paas_runner.job.tracked import JobKey, Phase, TrackedJob
from paas_runner.status.course import Stretch, course, job_name, over_at
from paas_runner.status.report import JobReport, RunnerState, StatusReport
from paas_runner.status.sharing import Role
from paas_runner.status.sharing_wording import role_line
from paas_runner.status.views import next_line
from paas_runner.store import StoreError
from paas_runner.store.jobs import PastJob
from paas_runner.web import answers
from paas_runner.web.drawing import LEGEND
from paas_runner.web.moment import Moment, Watched
from paas_runner.web.parameters import Parameter

ROWS = 100
MOST_ROWS = 5000
MOST_WAITING = 50
MOST_PAST_JOBS = 50

_AS_IT_SHOULD_BE = (RunnerState.POLLING, RunnerState.ELSEWHERE)
_PHASES = tuple(str(phase) for phase in LEGEND if phase is not Phase.STANDBY)
_OFFSET = Parameter(name="offset", bounds=(0, 10_000_000), default=0)
_JOB_LIST = (
    Parameter(name="phase", choices=("", *_PHASES), default=""),
    Parameter(name="runner", default=""),
    _OFFSET,
    Parameter(name="limit", bounds=(1, MOST_ROWS), default=ROWS),
)


@attrs.frozen(kw_only=True)
class JobRow:
    """One job in a list."""

    job: JobReport
    name: str
    stretches: Sequence[Stretch]
    next: str


@attrs.frozen
class Shown:
    """What a page is asked for, and of which moment."""

    watched: Watched
    moment: Moment
    values: Mapping[str, Any]

    def report(self) -> StatusReport:
        return self.moment.status()


@attrs.frozen(kw_only=True)
class Page:
    """One page: its template, its parameters, and the function that finds its values."""

    path: str
    template: str
    find: Callable[[Shown], Mapping[str, Any] | None]
    """None where nothing is known of what is asked for."""

    parameters: Sequence[Parameter] = ()


def _now(shown: Shown) -> Mapping[str, Any]:
    report = shown.report()
    names = answers.names_of(report)
    failed, trouble = _failed(shown, hours=24)
    waiting = answers.waiting_jobs(shown.moment, report)
    rows = answers.jobs_answer(report, answers.JobsWanted(limit=ROWS))
    services = answers.services_answer(shown.watched, shown.moment.at).services
    running = sum(job.phase is Phase.RUNNING for job in report.jobs)
    stands_by = report.sharing is not None and report.sharing.role is Role.STANDBY
    return {
        "report": report,
        "stands_by": stands_by,
        "role": role_line(report.sharing) if report.sharing else "",
        "services": services,
        "silent": sorted(
            (service for service in shown.watched.reached().values() if service.is_silent and not stands_by),
            key=lambda service: service.service,
        ),
        "running": running,
        "standing": [runner for runner in report.runners if runner.state not in _AS_IT_SHOULD_BE],
        "waiting": waiting[:MOST_WAITING],
        "waiting_count": len(waiting),
        "rows": _rows(shown.moment, rows.jobs),
        "job_count": rows.total,
        "failed": failed.total,
        "store_trouble": trouble,
        "hosts": answers.hosts_answer(shown.moment, names=names, offset=0, limit=1).sum,
        "orphans": _orphans_left(shown, names),
        "counters": {name: number for name, number in report.counters.items() if number},
        "legend_phases": LEGEND,
    }


def _jobs(shown: Shown) -> Mapping[str, Any]:
    values = shown.values
    phase = Phase(values["phase"]) if values["phase"] else None
    wanted = answers.JobsWanted(
        phase=phase, runner=values["runner"], offset=values["offset"], limit=values["limit"]
    )
    report = shown.report()
    found = answers.jobs_answer(report, wanted)
    past, trouble = _past_jobs(shown)
    return {
        "report": report,
        "found": found,
        "rows": _rows(shown.moment, found.jobs),
        "past": past,
        "store_trouble": trouble,
        "wanted": values,
        "legend_phases": LEGEND,
    }


def _job(shown: Shown) -> Mapping[str, Any] | None:
    job, runner = shown.values["job"], shown.values["runner"]
    found = answers.explanations(shown.moment, shown.watched.past, job, runner)
    if not found:
        return None
    tracked = {record.key: record for record in shown.moment.jobs if record.key.job_id == job}
    gone = answers.gone_jobs(shown.moment, shown.watched.past, job)
    courses = []
    for explanation in found:
        entries = (
            tracked[explanation.key].history
            if explanation.job and explanation.key in tracked
            else gone.get(explanation.key, ())
        )
        until = shown.moment.at if explanation.job else over_at(entries) or shown.moment.at
        courses.append((explanation, job_name(entries), course(entries, until)))
    return {
        "job": job,
        "courses": courses,
        "names": answers.names_of(shown.report()),
        "costs": {
            str(explanation.key): answers.cost_of(shown.moment, explanation.key) for explanation in found
        },
        "next_line": next_line,
        "legend_phases": LEGEND,
    }


def _failures(shown: Shown) -> Mapping[str, Any]:
    hours = shown.values["hours"]
    found, trouble = _failed(shown, hours=hours)
    return {
        "hours": hours,
        "causes": found.causes,
        "count": found.total,
        "store_trouble": trouble,
    }


def _hosts(shown: Shown) -> Mapping[str, Any]:
    names = answers.names_of(shown.report())
    offset = shown.values["offset"]
    return {
        "found": answers.hosts_answer(shown.moment, names=names, offset=offset, limit=ROWS),
        "orphans": answers.orphans_answer(shown.watched, shown.moment.at, names=names, offset=0, limit=ROWS),
    }


def _costs(shown: Shown) -> Mapping[str, Any]:
    names = answers.names_of(shown.report())
    values = shown.values
    report = answers.costs(
        shown.moment,
        shown.watched.past,
        since=values["since"] or None,
        until=None,
        by=values["by"],
        names=names,
    )
    return {"report": report, "rows": report.rows[:MOST_ROWS], "wanted": values}


PAGES: Sequence[Page] = (
    Page(path="/", template="now", find=_now),
    Page(path="/jobs", template="jobs", find=_jobs, parameters=_JOB_LIST),
    Page(
        path="/jobs/{job}",
        template="job",
        find=_job,
        parameters=(
            Parameter(name="job", place="path", bounds=(1, 10**18 - 1)),
            Parameter(name="runner", default=""),
        ),
    ),
    Page(
        path="/failures",
        template="failures",
        find=_failures,
        parameters=(Parameter(name="hours", bounds=(1, 744), default=24),),
    ),
    Page(path="/hosts", template="hosts", find=_hosts, parameters=(_OFFSET,)),
    Page(
        path="/costs",
        template="costs",
        find=_costs,
        parameters=(
            Parameter(name="since", choices=("", "24h", "7d", "4w"), default=""),
            Parameter(name="by", choices=("tenant", "runner", "flavor", "day"), default="tenant"),
        ),
    ),
)


def _rows(moment: Moment, jobs: Sequence[JobReport]) -> Sequence[JobRow]:
    wanted = {job.key for job in jobs}
    records: Mapping[JobKey, TrackedJob] = {job.key: job for job in moment.jobs if job.key in wanted}
    return [
        JobRow(
            job=job,
            name=job_name(records[job.key].history),
            stretches=course(records[job.key].history, moment.at),
            next=next_line(job, moment.at),
        )
        for job in jobs
    ]


def _failed(shown: Shown, *, hours: int) -> tuple[answers.FailuresAnswer, str]:
    """The failures, and why they cannot be told; what is known without the store is shown all the same."""
    gone, trouble = _remembered(lambda: answers.failed_before(shown.watched.past))
    since = shown.moment.at - timedelta(hours=hours)
    return answers.failures_answer(shown.moment, gone, since), trouble


def _remembered(read: Callable[[], Sequence[PastJob]]) -> tuple[Sequence[PastJob], str]:
    """What the store remembers, and why it cannot be read."""
    try:
        return read(), ""
    except StoreError as error:
        return (), str(error)


def _past_jobs(shown: Shown) -> tuple[Sequence[Mapping[str, Any]], str]:
    """The jobs that went last, and why they cannot be told."""
    past, trouble = _remembered(lambda: shown.watched.past.past_jobs(most=MOST_PAST_JOBS))
    found = []
    for job in past:
        end = over_at(job.history)
        if end:
            found.append(
                {
                    "key": job.key,
                    "name": job_name(job.history),
                    "at": end,
                    "stretches": course(job.history, end),
                    "seconds": (end - job.history[0].at).total_seconds(),
                }
            )
    return found, trouble


def _orphans_left(shown: Shown, names: Mapping[str, str]) -> int:
    found = answers.orphans_answer(shown.watched, shown.moment.at, names=names, offset=0, limit=0)
    return sum(search.orphans for search in found.searches)
