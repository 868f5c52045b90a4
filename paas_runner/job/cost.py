"""What hosts cost: how long each was there, and an estimate where its price is known.

A host counts from the moment at which it was created, or found again after an interruption, until we know
that it is gone. That is more than most providers bill (Clever Cloud a TASK only while it runs, spec
`clever-cloud-api.md` §6): an upper estimate. A price is in the provider's own unit, of which nothing is known
(§2.2); so is a cost.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import TypeVar

import attrs

from paas_runner.job.events import Decommissioned, Event, HostLeft, HostTaken
from paas_runner.job.tracked import JobKey, TrackedJob
from paas_runner.job.use import Use

K = TypeVar("K")

_HOUR = timedelta(hours=1)


@attrs.frozen(kw_only=True)
class Charge:
    """One job's time on one host, or a part of it; `running` when it still grows."""

    key: JobKey
    tenant: str
    host: str
    flavor: str
    since: datetime
    until: datetime
    price: float | None  # per hour; None when unknown
    running: bool = False
    project: str = ""
    job_name: str = ""
    memory_bytes: int | None = None  # what the flavor offers, where that is known
    cpus: float | None = None
    use: Use | None = None

    @property
    def time(self) -> timedelta:
        return self.until - self.since

    @property
    def seconds(self) -> float:
        return self.time.total_seconds()

    @property
    def cost(self) -> float | None:
        """In the unit of the price; None without one."""
        return None if self.price is None else self.price * (self.time / _HOUR)

    def within(self, since: datetime, until: datetime) -> "Charge | None":
        """The part from `since` to right before `until`, if there is any."""
        first, last = max(self.since, since), min(self.until, until)
        if first < last or (self.since == self.until == first and first < until):
            return attrs.evolve(self, since=first, until=last, running=self.running and last == self.until)
        return None

    def days(self) -> Iterator["Charge"]:
        """The parts by day, each from midnight to midnight (UTC) at most."""
        midnight = datetime.combine(self.since.astimezone(UTC), time(), UTC)
        while midnight <= self.until:
            following = midnight + timedelta(days=1)
            if part := self.within(midnight, following):
                yield part
            midnight = following


@attrs.frozen(kw_only=True)
class Total:
    """Some charges added up."""

    jobs: int = 0  # that had a host; each has one
    running: int = 0
    time: timedelta = timedelta()
    cost: float | None = None  # of the jobs whose hosts have a price; None when there is none such
    unpriced: int = 0  # jobs whose hosts have none

    def plus(self, charge: Charge) -> "Total":
        cost = charge.cost
        return Total(
            jobs=self.jobs + 1,
            running=self.running + charge.running,
            time=self.time + charge.time,
            cost=self.cost if cost is None else (self.cost or 0.0) + cost,
            unpriced=self.unpriced + (cost is None),
        )

    def with_all_of(self, other: "Total") -> "Total":
        priced = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Total(
            jobs=self.jobs + other.jobs,
            running=self.running + other.running,
            time=self.time + other.time,
            cost=sum(priced) if priced else None,
            unpriced=self.unpriced + other.unpriced,
        )


def so_far(job: TrackedJob, now: datetime) -> Charge | None:
    """What the host that a job has has cost until `now`; None without one."""
    if job.host is None or job.host_since is None:
        return None
    return Charge(
        key=job.key,
        tenant=job.tenant,
        host=job.host.ref,
        flavor=job.host.flavor,
        since=job.host_since,
        until=max(now, job.host_since),
        price=job.host.price,
        running=True,
        project=job.project,
        job_name=job.job_name,
        memory_bytes=job.host.memory_bytes,
        cpus=job.host.cpus,
    )


def closed_by(event: Event, job: TrackedJob, now: datetime) -> Charge | None:
    """The charge that is complete when `event` happens to `job` now: its host is gone, or no longer ours."""
    charge = so_far(job, now) if isinstance(event, Decommissioned | HostLeft | HostTaken) else None
    use = event.use if isinstance(event, Decommissioned) and event.use else job.use
    return attrs.evolve(charge, running=False, use=use) if charge else None


def totals(charges: Iterable[Charge], by: Callable[[Charge], K]) -> Mapping[K, Total]:
    """The charges added up for each value of `by`, the first seen first."""
    found: dict[K, Total] = {}
    for charge in charges:
        group = by(charge)
        found[group] = found.get(group, Total()).plus(charge)
    return found
