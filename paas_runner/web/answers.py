"""What page and API answer, as values: made of a moment and of the store, in the thread for that.

The fields of the API are those of these classes; where a command has a `--json` they are its fields.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import attrs

from paas_runner.job.cost import so_far
from paas_runner.job.cost_report import Report, report
from paas_runner.job.cost_report import window as time_window
from paas_runner.job.events import Failed
from paas_runner.job.tracked import Entry, JobKey, Phase
from paas_runner.job.wording import describe_history
from paas_runner.status import course, failures, hosts
from paas_runner.status.reach import ReachState
from paas_runner.status.report import (
    Capacity,
    JobReport,
    LooksReport,
    RunnerReport,
    ServiceReport,
    StandbyReport,
    StatusReport,
)
from paas_runner.status.sharing import SharingReport
from paas_runner.status.views import JobExplanation
from paas_runner.store import StoreError
from paas_runner.store.jobs import PastJob
from paas_runner.store.protocol import REMEMBERED_HISTORIES
from paas_runner.web.moment import Moment, StoredPast, Watched

MOST_CAUSES = 100


@attrs.frozen(kw_only=True)
class StatusAnswer:
    """The fields of `paas-runner status --json` but for `jobs`, of which only the number is told."""

    at: datetime
    service: ServiceReport
    capacity: Capacity
    runners: Sequence[RunnerReport]
    tracked_jobs: int
    counters: Mapping[str, int]
    looks: Sequence[LooksReport]
    sharing: SharingReport | None
    standby: Sequence[StandbyReport]


@attrs.frozen(kw_only=True)
class RunnersAnswer:
    """The field `runners` of `paas-runner status --json`."""

    at: datetime
    runners: Sequence[RunnerReport]


@attrs.frozen(kw_only=True)
class JobsAnswer:
    """A part of the field `jobs` of `paas-runner status --json`; `total` counts all that are asked for."""

    at: datetime
    total: int
    offset: int
    limit: int
    jobs: Sequence[JobReport]


@attrs.frozen(kw_only=True)
class HostsAnswer:
    """A part of the hosts of tracked jobs, the dearest first; `sum` is of all of them."""

    at: datetime
    sum: hosts.HostsTotal
    total: int
    offset: int
    limit: int
    hosts: Sequence[hosts.HostReport]


@attrs.frozen(kw_only=True)
class OrphansAnswer:
    """What the service's last searches for orphans found: each search, and hosts that no record explains."""

    at: datetime
    searches: Sequence[hosts.SearchReport]
    total: int
    offset: int
    limit: int
    hosts: Sequence[hosts.JudgedHost]


@attrs.frozen(kw_only=True)
class FailuresAnswer:
    """The jobs that could not be run since then, by cause, the most frequent first; `total` counts all."""

    since: datetime
    total: int
    causes: Sequence[failures.Cause]


@attrs.frozen(kw_only=True)
class ServiceReached:
    """A coordinator or cloud as it was at its last calls; `refused` are those that it refuses us."""

    service: str
    state: ReachState
    last_success: datetime | None
    failures_in_a_row: int
    refused: Sequence[str]


@attrs.frozen(kw_only=True)
class ServicesAnswer:
    """The coordinators and clouds that were called since the start."""

    at: datetime
    services: Sequence[ServiceReached]


@attrs.frozen(kw_only=True)
class JobsWanted:
    """Which jobs, and which part of them."""

    phase: Phase | None = None
    runner: str = ""
    offset: int = 0
    limit: int = 100


def status_answer(report: StatusReport) -> StatusAnswer:
    return StatusAnswer(
        at=report.at,
        service=report.service,
        capacity=report.capacity,
        runners=report.runners,
        tracked_jobs=len(report.jobs),
        counters=report.counters,
        looks=report.looks,
        sharing=report.sharing,
        standby=report.standby,
    )


def services_answer(watched: Watched, at: datetime) -> ServicesAnswer:
    """By name."""
    found = [
        ServiceReached(
            service=each.service,
            state=each.state,
            last_success=each.last_success,
            failures_in_a_row=each.failures,
            refused=sorted(each.refused_ops),
        )
        for each in watched.reached().values()
    ]
    return ServicesAnswer(at=at, services=sorted(found, key=lambda each: each.service))


def jobs_answer(report: StatusReport, wanted: JobsWanted) -> JobsAnswer:
    """In the order of acquisition; `runner` is a name or a short token."""
    found = [
        job
        for job in report.jobs
        if wanted.phase in {None, job.phase} and wanted.runner in {"", job.runner, job.runner_name}
    ]
    return JobsAnswer(
        at=report.at,
        total=len(found),
        offset=wanted.offset,
        limit=wanted.limit,
        jobs=found[wanted.offset : wanted.offset + wanted.limit],
    )


def explanations(moment: Moment, past: StoredPast, job_id: int, runner: str = "") -> Sequence[JobExplanation]:
    """As `paas-runner explain`: tracked jobs, then those that are gone; raises `StoreError`."""
    gone = [
        JobExplanation(at=moment.at, key=key, job=None, history=describe_history(entries))
        for key, entries in gone_jobs(moment, past, job_id).items()
    ]
    found = [*moment.explain(job_id), *gone]
    return [explanation for explanation in found if runner in {"", explanation.key.runner}]


def gone_jobs(moment: Moment, past: StoredPast, job_id: int) -> Mapping[JobKey, Sequence[Entry]]:
    """The jobs of that id that are gone; raises `StoreError` unless one is tracked, which needs no store."""
    try:
        return past.histories(job_id)
    except StoreError:
        if any(job.key.job_id == job_id for job in moment.jobs):
            return {}
        raise


def hosts_answer(moment: Moment, *, names: Mapping[str, str], offset: int, limit: int) -> HostsAnswer:
    found, total = hosts.hosts(moment.jobs, moment.at, names=names)
    return HostsAnswer(
        at=moment.at,
        sum=total,
        total=len(found),
        offset=offset,
        limit=limit,
        hosts=found[offset : offset + limit],
    )


def orphans_answer(
    watched: Watched, at: datetime, *, names: Mapping[str, str], offset: int, limit: int
) -> OrphansAnswer:
    """Of the runners that are still served."""
    results = [result for result in watched.searches.results if result.runner in names]
    found = hosts.judged(results)
    return OrphansAnswer(
        at=at,
        searches=hosts.searches(results, names=names),
        total=len(found),
        offset=offset,
        limit=limit,
        hosts=found[offset : offset + limit],
    )


def failed_before(past: StoredPast) -> Sequence[PastJob]:
    """All that failed of the jobs that are gone and remembered; raises `StoreError`."""
    return past.past_jobs(most=REMEMBERED_HISTORIES, event=Failed.name)


def failures_answer(moment: Moment, gone: Sequence[PastJob], since: datetime) -> FailuresAnswer:
    """Of tracked jobs, and of those that are gone."""
    histories = [*((job.key, job.history) for job in gone), *((job.key, job.history) for job in moment.jobs)]
    found = filter(None, (failures.failure_of(key, history) for key, history in histories))
    causes = failures.causes(found, since)
    total = sum(cause.count for cause in causes)
    return FailuresAnswer(since=since, total=total, causes=causes[:MOST_CAUSES])


def costs(
    moment: Moment,
    past: StoredPast,
    *,
    since: str | None,
    until: str | None,
    by: str,
    names: Mapping[str, str],
) -> Report:
    """As `paas-runner costs`; raises `StoreError`, and `UsageError` for a time that is none."""
    wanted = time_window(since, until, moment.at)
    charged = past.charges(wanted.since, wanted.until)
    known = {(charge.key, charge.host) for charge in charged}
    owing = [job for job in moment.jobs if not (job.host and (job.key, job.host.ref) in known)]
    return report(charged, owing, wanted, by, names=names, now=moment.at)


def waiting_jobs(moment: Moment, report: StatusReport) -> Sequence[course.Waiting]:
    records = {job.key: job for job in moment.jobs}
    return course.waiting(report.jobs, records, moment.no_room, moment.at)


def names_of(report: StatusReport) -> Mapping[str, str]:
    """What people call the runners, by short token."""
    return {runner.runner: runner.name for runner in report.runners}


def cost_of(moment: Moment, key: JobKey) -> float | None:
    """What a tracked job's host has cost so far."""
    charges = (so_far(job, moment.at) for job in moment.jobs if job.key == key)
    return next((charge.cost for charge in charges if charge), None)
