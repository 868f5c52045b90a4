"""The state file of heptapod-paas-runner 0.5.0 and 1.1.1, and our records: each translated into the other.

The file has four lists (core-features.md H039, H040): `launched`, `pending` (pairs of a handle and the job
as the coordinator gave it), `to_decommission` and `standby_resources`. A handle is a job with its host. The
other program calls a runner by the first 8 characters of its token; `names` maps our short tokens to these.

Losses, all of them harmless: what it calls `expected_weight` is not kept (it is needed until the launch only,
and an absent one counts 1 until then); of a job that could not be launched it knows the host, but not that
the failure has still to be reported.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from paas_runner.job.events import (
    Ended,
    Event,
    Explained,
    Failed,
    HostCreated,
    HostReady,
    Launched,
    LaunchIntended,
    LifeSeen,
    ProvisionIntended,
)
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.lifecycle import acquired, acquired_undecodable, apply
from paas_runner.job.payload import PayloadError, read
from paas_runner.job.tracked import Host, JobKey, Phase, TrackedJob, host_name_prefix
from paas_runner.secret import Secret

_UNKNOWN_TIMEOUT = timedelta(days=31)  # a launched handle does not say; GitLab allows no more than a month
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # the coordinator was not asked since: that is done first
_LAUNCHED: Sequence[Event] = (HostReady(), LaunchIntended(), Launched())
_OTHER_KIND = Failure(
    reason=FailureReason.SYSTEM,
    text="The host of this job was made by another program, in a way of which this runner knows nothing.",
)
_REPORT_OWED = Failure(reason=FailureReason.SYSTEM, text="The job could not be launched.")


# --- ours, for the other program -------------------------------------------------------------------------


def exported(jobs: Iterable[TrackedJob], names: Mapping[str, str]) -> dict[str, list[Any]]:
    """The lists as both versions load them; a runner that `names` does not have keeps its name."""
    lists: dict[str, list[Any]] = {
        "launched": [],
        "pending": [],
        "to_decommission": [],
        "standby_resources": [],
    }
    for job in jobs:
        handle = _handle(job, names)
        if job.phase in {Phase.LAUNCHED, Phase.RUNNING}:
            lists["launched"].append(handle)
        elif job.payload is not None:
            lists["pending"].append([handle, job.payload.raw])
        elif job.host is not None:
            lists["to_decommission"].append(handle)
    return lists


def _handle(job: TrackedJob, names: Mapping[str, str]) -> dict[str, Any]:
    """Only what 0.5.0 knows, too: it refuses a handle with any other key."""
    handle: dict[str, Any] = {
        "runner_name": names.get(job.key.runner, job.key.runner),
        "job_id": job.key.job_id,
        "token": job.token.reveal(),
    }
    if job.host is not None:
        handle["paas_resource"] = _resource(job.host, job.tenant, launched=job.payload is None)
    return handle


def _resource(host: Host, tenant: str, *, launched: bool) -> Any:
    """A Clever Cloud application, or the bare id that `local-docker` has.

    1.1.1 needs `launched` and computes with `weight`; without one it takes its worst case, which keeps it
    from acquiring jobs until this one has ended. 0.5.0 ignores both.
    """
    if "deploy_url" not in host.details:
        return host.ref
    resource: dict[str, Any] = {**host.details, "gitlab_namespace": tenant or None}
    resource |= {"id": host.ref, "launched": launched}
    return resource if host.weight is None else resource | {"weight": host.weight}


# --- the other program's, for us -------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Imported:
    """Records, and the names of hosts of which the file could not know: asked for when it was written."""

    jobs: Sequence[TrackedJob]
    possible_hosts: Sequence[str]


def imported(document: Mapping[str, Any], names: Mapping[str, str], now: datetime) -> Imported:
    """The records of all handles; raises ValueError naming what is wrong, never a value.

    A job or host that stands in more than one list is what the first of them says (a host on standby is in
    the last two). Where several runners share their 8 characters the last one has the jobs, as over there.
    """
    found: dict[JobKey, TrackedJob] = {}
    hosts: set[str] = set()
    possible: list[str] = []
    for handle, job in _read_in_order(document, names, now):
        if handle.foreign:
            possible.append(handle.foreign)
        if job.key in found or (handle.host and handle.host.ref in hosts) or job.phase is Phase.GONE:
            continue
        found[job.key] = job
        if handle.host:
            hosts.add(handle.host.ref)
        elif job.phase is Phase.ACQUIRED and not handle.foreign:
            possible.append(f"{host_name_prefix(handle.runner)}{handle.job_id}")
    return Imported(jobs=list(found.values()), possible_hosts=possible)


def at_home(job: TrackedJob, names: Mapping[str, str]) -> TrackedJob:
    """The record under our name of its runner, if it was imported while the configuration lacked that one."""
    if job.key.runner in names:
        return job
    return attrs.evolve(job, key=JobKey(_ours(names).get(job.key.runner, job.key.runner), job.key.job_id))


@attrs.frozen(kw_only=True)
class _Handle:
    runner: str
    job_id: int
    token: Secret
    trace_written: bool
    host: Host | None
    tenant: str
    launched: bool
    foreign: str = ""
    """The id of a host of a kind that we do not have (its executor `service-docker`): it is only named."""


def _read_in_order(
    document: Mapping[str, Any], names: Mapping[str, str], now: datetime
) -> Iterator[tuple[_Handle, TrackedJob]]:
    ours = _ours(names)
    for entry, where in _entries(document, "launched", required=True):
        handle = _read_handle(entry, where)
        events = (*_LAUNCHED, LifeSeen()) if handle.host else (Ended(),)  # it ends without us
        yield handle, _after(_known(handle, ours, now), handle, events, now)
    for pair, where in _entries(document, "pending", required=True):
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError(f"{where}: a pair of a handle and a job was expected")
        handle = _read_handle(pair[0], where)
        yield handle, _pending(handle, pair[1], ours, now)
    for name in ("to_decommission", "standby_resources"):
        for entry, where in _entries(document, name):
            handle = _read_handle(entry, where)
            yield handle, _after(_known(handle, ours, now), handle, (Ended(),), now)


def _ours(names: Mapping[str, str]) -> Mapping[str, str]:
    return {theirs: ours for ours, theirs in names.items()}


def _pending(handle: _Handle, raw: object, ours: Mapping[str, str], now: datetime) -> TrackedJob:
    runner = ours.get(handle.runner, handle.runner)
    try:
        payload = read(raw)
    except PayloadError:
        payload = None
    if payload is None or payload.job_id != handle.job_id:
        return _after(acquired_undecodable(runner, handle.job_id, handle.token, now), handle, (), now)
    job = acquired(runner, payload, now, tenant=handle.tenant)
    job = attrs.evolve(job, acknowledged=True, checked_at=_NEVER)
    if handle.foreign:
        return attrs.evolve(job, failure=_OTHER_KIND)
    if handle.trace_written:  # it explained a failure to the author, and stopped before it reported it
        return _after(job, handle, (Failed(failure=_REPORT_OWED), Explained()), now)
    return _after(job, handle, _LAUNCHED if handle.launched else (), now)


def _known(handle: _Handle, ours: Mapping[str, str], now: datetime) -> TrackedJob:
    return TrackedJob(
        key=JobKey(ours.get(handle.runner, handle.runner), handle.job_id),
        token=handle.token,
        timeout=_UNKNOWN_TIMEOUT,
        tenant=handle.tenant,
        acknowledged=True,
        acquired_at=now,
        checked_at=_NEVER,
        since=now,
        entered={Phase.ACQUIRED: now},
    )


def _after(job: TrackedJob, handle: _Handle, events: Iterable[Event], now: datetime) -> TrackedJob:
    """An imported record comes to its phase on the way that every record takes."""
    made = (ProvisionIntended(), HostCreated(host=handle.host, doubtful=False)) if handle.host else ()
    for event in (*made, *events):
        job = apply(job, event, now)
    return job


def _entries(
    document: Mapping[str, Any], name: str, *, required: bool = False
) -> Iterator[tuple[object, str]]:
    found = document.get(name, None if required else [])
    if not isinstance(found, list):
        raise ValueError(f"`{name}` is no list")
    for number, entry in enumerate(found):
        yield entry, f"{name}[{number}]"


def _read_handle(entry: object, where: str) -> _Handle:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where}: a job handle was expected")
    runner, job_id, token = (entry.get(key) for key in ("runner_name", "job_id", "token"))
    if not isinstance(runner, str) or not runner:
        raise ValueError(f"{where}: `runner_name` is missing")
    if not isinstance(job_id, int) or isinstance(job_id, bool) or job_id <= 0:
        raise ValueError(f"{where}: `job_id` is no positive number")
    if not isinstance(token, str) or not token:
        raise ValueError(f"{where}: `token` is missing")
    resource = entry.get("paas_resource")
    foreign = _foreign(resource)
    return _Handle(
        runner=runner,
        job_id=job_id,
        token=Secret(token),
        trace_written=bool(entry.get("trace_offset")),
        host=None if resource is None or foreign else _host(resource, where),
        tenant=_tenant(resource),
        launched=isinstance(resource, Mapping) and resource.get("launched") is True,
        foreign=foreign,
    )


def _foreign(resource: object) -> str:
    if not isinstance(resource, Mapping) or "id" in resource:
        return ""
    found = resource.get("app_id")
    return found if isinstance(found, str) else ""


def _host(resource: object, where: str) -> Host:
    """All fields are kept as notes, so that they can be given back."""
    if isinstance(resource, str) and resource:
        return Host(ref=resource)
    if not isinstance(resource, Mapping) or not isinstance(resource.get("id"), str) or not resource["id"]:
        raise ValueError(f"{where}: `paas_resource` has no `id`")
    known = resource.keys() - {"id", "launched", "weight", "gitlab_namespace"}
    notes = {key: str(resource[key]) for key in known if resource[key] is not None}
    return Host(ref=resource["id"], weight=_number(resource.get("weight")), details=notes)


def _tenant(resource: object) -> str:
    found = resource.get("gitlab_namespace") if isinstance(resource, Mapping) else None
    return found if isinstance(found, str) else ""


def _number(found: object) -> float | None:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if math.isfinite(found) else None
