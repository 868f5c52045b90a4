"""The hosts of tracked jobs, what they cost an hour, and what the last searches for orphans found. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import attrs

from paas_runner.job.cost import so_far
from paas_runner.job.orphans import HostVerdict, SearchResult
from paas_runner.job.standing import STATES, HostState
from paas_runner.job.tracked import JobKey, Phase, TrackedJob


@attrs.frozen(kw_only=True)
class HostReport:
    """A host, and the job that has it or has left it on standby.

    Prices and costs are in the provider's own unit, None where it has told none.
    """

    runner: str
    runner_name: str
    job: int
    phase: Phase
    tenant: str
    host_name: str
    host: str
    flavor: str
    price_per_hour: float | None
    since: datetime
    cost_so_far: float | None
    state: HostState
    standby_seconds_left: float | None
    """Of a host on standby, which `job` has left."""

    @property
    def key(self) -> JobKey:
        return JobKey(self.runner, self.job)


@attrs.frozen(kw_only=True)
class HostsTotal:
    """What all hosts cost an hour, as far as prices are known; None where none is."""

    hosts: int
    cost_per_hour: float | None
    unpriced: int
    """Hosts of which no price is known."""


@attrs.frozen(kw_only=True)
class JudgedHost:
    """One host that a search found, as in `paas-runner orphans --json`."""

    runner: str
    name: str
    host: str
    installation: str
    created_at: datetime | None
    verdict: str
    why: str
    removed: bool


@attrs.frozen(kw_only=True)
class SearchReport:
    """One search: how many hosts it saw, and how many orphans it left, since they could not be removed."""

    runner: str
    runner_name: str
    tenant: str
    at: datetime
    hosts: int
    orphans: int
    not_asked: str


def hosts(
    jobs: Iterable[TrackedJob], now: datetime, *, names: Mapping[str, str]
) -> tuple[Sequence[HostReport], HostsTotal]:
    """The dearest first, those without a price last; and their sum."""
    found = [report for job in jobs if (report := _host(job, now, names))]
    found.sort(key=lambda host: (host.price_per_hour is None, -(host.price_per_hour or 0.0), host.since))
    prices = [host.price_per_hour for host in found if host.price_per_hour is not None]
    total = HostsTotal(
        hosts=len(found),
        cost_per_hour=sum(prices) if prices else None,
        unpriced=len(found) - len(prices),
    )
    return found, total


def _host(job: TrackedJob, now: datetime, names: Mapping[str, str]) -> HostReport | None:
    charge = so_far(job, now)
    if charge is None:
        return None
    left = (job.standby_until - now).total_seconds() if job.standby_until else 0.0
    return HostReport(
        runner=job.key.runner,
        runner_name=names.get(job.key.runner, ""),
        job=job.key.job_id,
        phase=job.phase,
        tenant=job.tenant,
        host_name=job.host_name,
        host=charge.host,
        flavor=charge.flavor,
        price_per_hour=charge.price,
        since=charge.since,
        cost_so_far=charge.cost,
        state=STATES[job.phase],
        standby_seconds_left=max(0.0, left) if job.on_standby else None,
    )


def searches(results: Iterable[SearchResult], *, names: Mapping[str, str]) -> Sequence[SearchReport]:
    """One line for each search."""
    return [
        SearchReport(
            runner=result.runner,
            runner_name=names.get(result.runner, ""),
            tenant=result.tenant,
            at=result.at,
            hosts=len(result.verdicts),
            orphans=sum(_is_left(verdict, result) for verdict in result.verdicts),
            not_asked=result.not_asked,
        )
        for result in sorted(results, key=lambda each: (each.runner, each.tenant))
    ]


def judged(results: Iterable[SearchResult]) -> Sequence[JudgedHost]:
    """Every host that no record of ours explains, orphans that are still there first."""
    found = [
        (not _is_left(verdict, result), result.runner, _judged(verdict, result))
        for result in results
        for verdict in result.verdicts
        if verdict.unknown
    ]
    return [host for *_, host in sorted(found, key=lambda each: (each[0], each[1], each[2].name))]


def _is_left(verdict: HostVerdict, result: SearchResult) -> bool:
    return verdict.to_delete and verdict.host.ref not in result.removed


def _judged(verdict: HostVerdict, result: SearchResult) -> JudgedHost:
    host = verdict.host
    return JudgedHost(
        runner=result.runner,
        name=host.name,
        host=host.ref,
        installation=host.installation,
        created_at=host.created_at,
        verdict=str(verdict.kind),
        why=verdict.why,
        removed=host.ref in result.removed,
    )
