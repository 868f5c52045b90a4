"""Which of the hosts that a provider lists belong to no job any more, and why. Pure.

The job's record is there from before the creation of its host until after the removal, so a host without a
record is either left over or older than what we know. What the coordinator said of the job decides: we forget
a record only when it said that the job is over, and that is remembered (`ended`). A host of which not even
that is known may run a job whose record was lost with a disk: it is left alone for longer than jobs last.
"""

import enum
import functools
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from paas_runner.job.tracked import Host, HostName, JobKey, Phase, SeenHost, TrackedJob, host_name_prefix
from paas_runner.plain_text import exact_span

GRACE = timedelta(minutes=10)
"""No host goes that is younger than this."""

IDLE_GRACE = timedelta(hours=1)
"""No host goes that is younger than this when nothing is known of its job, though it surely runs none now."""

LONGEST_JOB = timedelta(days=1)
"""No host goes that is younger than this when nothing is known of its job, and it may be running."""

_SETTLED_ON_A_HOST = frozenset({Phase.PROVISIONED, Phase.LAUNCHING, Phase.LAUNCHED, Phase.RUNNING})


class HostKind(enum.StrEnum):
    """What a host turned out to be; only the last two may be removed."""

    FOREIGN = "foreign"  # of another installation, or not named as the hosts of this runner are
    TRACKED = "tracked"  # its job has a record, and with it an owner
    KEPT = "kept"  # the configuration leaves hosts in place
    YOUNG = "young"
    BUSY = "busy"  # it may run a job of which nothing is known
    SEEN_ONCE = "seen once"
    DUPLICATE = "duplicate"  # its job has another host
    ORPHAN = "orphan"


@attrs.frozen(kw_only=True)
class HostVerdict:
    """What was found out about one host; `why` is for the operator."""

    host: SeenHost
    kind: HostKind
    why: str

    @property
    def to_delete(self) -> bool:
        """Whether the host is to be removed."""
        return self.kind in (HostKind.DUPLICATE, HostKind.ORPHAN)

    @property
    def undecided(self) -> bool:
        """Whether the next look decides."""
        return self.kind is HostKind.SEEN_ONCE

    @property
    def unknown(self) -> bool:
        """Whether no record says that the host should exist."""
        return self.kind not in (HostKind.FOREIGN, HostKind.TRACKED)


@attrs.frozen(kw_only=True)
class SearchResult:
    """What one search among the hosts that a tenant pays for has found; `not_asked` is why it could not."""

    runner: str
    tenant: str
    at: datetime
    verdicts: Sequence[HostVerdict] = ()
    removed: frozenset[str] = frozenset()
    """The `ref` of each host that went because of it."""

    not_asked: str = ""


@attrs.frozen(kw_only=True)
class KnownJobs:
    """What we know while hosts are judged; `jobs` has each record that existed at any time since the listing.

    That rule is the caller's part of the promise: a job that came or went meanwhile is not mistaken.
    """

    runner: str
    """The short token that is part of the hosts' names."""

    jobs: Mapping[JobKey, TrackedJob]
    ended: Container[JobKey]
    """Jobs of which the coordinator said that they are over."""

    unknown_before: Container[str]
    """The `ref` of each host that was unknown at the previous look."""

    keeping: bool
    """Whether the configuration leaves hosts in place after their jobs."""

    @functools.cached_property
    def holders(self) -> Mapping[str, TrackedJob]:
        """Who has each host, by its `ref`: one that is used again has the name of its first job."""
        return {job.host.ref: job for job in self.jobs.values() if job.host}


def judge(hosts: Iterable[SeenHost], known: KnownJobs, now: datetime) -> Sequence[HostVerdict]:
    """One verdict for each host."""
    return [_verdict(host, known, now) for host in hosts]


def unknown_hosts(verdicts: Iterable[HostVerdict]) -> frozenset[str]:
    """The `ref` of each unknown host: what the next look needs to know of this one."""
    return frozenset(verdict.host.ref for verdict in verdicts if verdict.unknown)


def merged(*readings: Iterable[TrackedJob]) -> Mapping[JobKey, TrackedJob]:
    """The records of several readings, the latest of each job."""
    return {job.key: job for reading in readings for job in reading}


def job_of(name: HostName, runner: str) -> JobKey | None:
    """Whose host that name is; None when it is not exactly what this runner would have given."""
    found = re.fullmatch(re.escape(host_name_prefix(runner)) + "([1-9][0-9]{0,17})", name)
    return JobKey(runner, int(found[1])) if found else None


@attrs.frozen
class _Suspicion:
    """Why a host may have to go, how old it must be by then, and what it is called meanwhile."""

    kind: HostKind
    why: str
    grace: timedelta
    meanwhile: HostKind = HostKind.YOUNG


def _verdict(host: SeenHost, known: KnownJobs, now: datetime) -> HostVerdict:
    if host.installation:
        return HostVerdict(
            host=host, kind=HostKind.FOREIGN, why=f"of another installation: {host.installation}"
        )
    key = job_of(host.name, known.runner)
    if key is None:
        return HostVerdict(
            host=host, kind=HostKind.FOREIGN, why="it is not named as the hosts of this runner are"
        )
    if holder := known.holders.get(host.ref):
        return HostVerdict(host=host, kind=HostKind.TRACKED, why=f"its job is {holder.phase}")
    job = known.jobs.get(key)
    if job is not None and not _surplus(host, job):
        return HostVerdict(host=host, kind=HostKind.TRACKED, why=f"its job is {job.phase}")
    if known.keeping:
        return HostVerdict(host=host, kind=HostKind.KEPT, why="the configuration leaves hosts in place")
    found = _suspicion(host, job, over=key in known.ended)
    if host.created_at is None or now - host.created_at < found.grace:
        why = f"{found.why}; left alone until it is {exact_span(found.grace)} old"
        return HostVerdict(host=host, kind=found.meanwhile, why=why)
    if host.ref not in known.unknown_before:
        return HostVerdict(host=host, kind=HostKind.SEEN_ONCE, why=f"{found.why}; the next look decides")
    return HostVerdict(host=host, kind=found.kind, why=found.why)


def _suspicion(host: SeenHost, job: TrackedJob | None, *, over: bool) -> _Suspicion:
    if job is not None:
        return _Suspicion(HostKind.DUPLICATE, "its job has another host", GRACE)
    if over:
        return _Suspicion(HostKind.ORPHAN, "its job is over", GRACE)
    if host.busy is False:
        return _Suspicion(HostKind.ORPHAN, "nothing is known of its job, and it runs none", IDLE_GRACE)
    return _Suspicion(HostKind.ORPHAN, "nothing is known of its job", LONGEST_JOB, HostKind.BUSY)


def _surplus(host: SeenHost, job: TrackedJob) -> bool:
    """Whether a host of the job's name can be spared: the job has another, beyond any doubt and for good.

    A host is only ever pushed to when it is the recorded one, so one that runs something is not touched.
    """
    return (
        job.phase in _SETTLED_ON_A_HOST
        and job.host is not None
        and job.host.ref != host.ref
        and host.busy is False
    )


def missing(jobs: Iterable[TrackedJob], listed: Container[str]) -> Sequence[Host]:
    """The hosts on which jobs are believed to be, but which the provider does not list."""
    return [
        job.host
        for job in jobs
        if job.phase in _SETTLED_ON_A_HOST and job.host is not None and job.host.ref not in listed
    ]
