"""The state file of heptapod-paas-runner 0.5.0 and 1.1.1, and our records: each translated into the other.

The file has four lists (core-features.md H039, H040): `launched`, `pending` (pairs of a handle and the job
as the coordinator gave it), `to_decommission` and `standby_resources`; a host on standby is in both of these.
A handle is a job with its host (`peer_hosts.py`). The other program calls a runner by the first 8 characters
of its token; `names` maps our short tokens to these. What we make of one that was on standby over there is to
remove it: whether it is clean nobody knows, so no job of ours may have it.

A handle that makes no sense is put aside, and the others are taken in.

Losses, all of them harmless: what it calls `expected_weight` is not kept (it is needed until the launch only,
and an absent one counts 1 until then); of a job that could not be launched it knows the host, but not that
the failure has still to be reported.
"""

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
from paas_runner.job.tracked import JobKey, Phase, TrackedJob, host_name_prefix
from paas_runner.plain_text import short_line
from paas_runner.secret import Secret
from paas_runner.store.peer_hosts import PeerHost, exported_host, has_helper, imported_host

_UNKNOWN_TIMEOUT = timedelta(days=31)  # a launched handle does not say; GitLab allows no more than a month
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # the coordinator was not asked since: that is done first
_LAUNCHED: Sequence[Event] = (HostReady(), LaunchIntended(), Launched())
_OTHER_KIND = Failure(
    reason=FailureReason.SYSTEM,
    text="The host of this job was made by another program, in a way of which this runner knows nothing.",
)
_LISTS = ("launched", "pending", "to_decommission", "standby_resources")
_REQUIRED = ("launched", "pending")
_MOST_CHARACTERS = 60
_REPORT_OWED = Failure(reason=FailureReason.SYSTEM, text="The job could not be launched.")


# --- ours, for the other program -------------------------------------------------------------------------


def exported(jobs: Iterable[TrackedJob], names: Mapping[str, str]) -> dict[str, list[Any]]:
    """The lists as both versions load them; a runner that `names` does not have keeps its name."""
    lists: dict[str, list[Any]] = {name: [] for name in _LISTS}
    for job in jobs:
        handle = _handle(job, names)
        if job.phase in {Phase.LAUNCHED, Phase.RUNNING}:
            lists["launched"].append(handle)
        elif job.payload is not None:
            lists["pending"].append([handle, job.payload.raw])
        elif job.host is not None:
            lists["to_decommission"].append(handle)
            if job.on_standby and has_helper(job.host):
                lists["standby_resources"].append(handle)
    return lists


def _handle(job: TrackedJob, names: Mapping[str, str]) -> dict[str, Any]:
    """Only what 0.5.0 knows, too: it refuses a handle with any other key."""
    handle: dict[str, Any] = {
        "runner_name": names.get(job.key.runner, job.key.runner),
        "job_id": job.key.job_id,
        "token": job.token.reveal(),
    }
    if job.host is not None:
        handle["paas_resource"] = exported_host(job.host, job.tenant, launched=job.payload is None)
    return handle


# --- the other program's, for us -------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Aside:
    """An entry that is not taken in, or not with its host."""

    name: str
    """The list in which it stands."""

    entry: object = attrs.field(repr=False)
    about: str
    """Where it stands, of which job it is, and what is wrong: no value but names."""


@attrs.frozen(kw_only=True)
class Imported:
    """Records, and what could not become one."""

    jobs: Sequence[TrackedJob]
    possible_hosts: Sequence[str] = ()
    """The names of hosts of which the file could not know: asked for when it was written."""

    aside: Sequence[Aside] = ()


def imported(document: Mapping[str, Any], names: Mapping[str, str], now: datetime) -> Imported:
    """The records of all handles that make sense.

    A job or host that stands in more than one list is what the first of them says (a host on standby is in
    the last two). Where several runners share their 8 characters the last one has the jobs, as over there.
    Raises ValueError naming what is wrong, never a value, where no handle makes sense, or a list is none.
    """
    found: dict[JobKey, TrackedJob] = {}
    hosts: set[str] = set()
    possible: list[str] = []
    aside: list[Aside] = []
    understood = False
    for name, entry, where in _entries(document):
        try:
            handle, job = _read_entry(name, entry, names, now)
        except ValueError as error:
            aside.append(Aside(name=name, entry=entry, about=f"{where}{_called(entry)}: {error}"))
            continue
        understood = True
        if handle.strange:
            aside.append(Aside(name=name, entry=entry, about=f"{where}{_called(entry)}: {handle.strange}"))
        known = handle.host
        over = job.phase is Phase.DECOMMISSIONING and known and not known.fixed and known.host.ref in hosts
        if job.key in found or over or job.phase is Phase.GONE:
            continue
        found[job.key] = job
        if known:
            hosts.add(known.host.ref)
        elif job.phase is Phase.ACQUIRED and not handle.strange:
            possible.append(f"{host_name_prefix(handle.runner)}{handle.job_id}")
    if aside and not understood:
        raise ValueError(aside[0].about)
    return Imported(jobs=list(found.values()), possible_hosts=possible, aside=aside)


def set_aside(entries: Iterable[Aside]) -> Mapping[str, list[object]]:
    """They as the lists of a state file."""
    lists: dict[str, list[object]] = {name: [] for name in _LISTS}
    for each in entries:
        lists[each.name].append(each.entry)
    return lists


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
    host: PeerHost | None
    strange: str = ""
    """Why its host is none that we know, although the handle names one."""

    @property
    def tenant(self) -> str:
        return self.host.tenant if self.host else ""


def _read_entry(
    name: str, entry: object, names: Mapping[str, str], now: datetime
) -> tuple[_Handle, TrackedJob]:
    ours = _ours(names)
    if name == "pending":
        if not isinstance(entry, list) or len(entry) != 2:
            raise ValueError("a pair of a handle and a job was expected")
        handle = _read_handle(entry[0])
        return handle, _pending(handle, entry[1], ours, now)
    handle = _read_handle(entry)
    follow = (*_LAUNCHED, LifeSeen()) if name == "launched" and handle.host else (Ended(),)
    return handle, _after(_known(handle, ours, now), handle, follow, now)  # without a host it ends without us


def _called(entry: object) -> str:
    """Of which job it seems to be."""
    handle = entry[0] if isinstance(entry, list) and entry else entry
    if not isinstance(handle, Mapping) or not isinstance(handle.get("job_id"), int):
        return ""
    return f" (job {handle['job_id']} of {short_line(str(handle.get('runner_name')), _MOST_CHARACTERS)})"


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
    if handle.strange:
        return attrs.evolve(job, failure=_OTHER_KIND)
    if handle.trace_written:  # it explained a failure to the author, and stopped before it reported it
        return _after(job, handle, (Failed(failure=_REPORT_OWED), Explained()), now)
    return _after(job, handle, _LAUNCHED if handle.host and handle.host.launched else (), now)


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
    known = handle.host
    made = (ProvisionIntended(), HostCreated(host=known.host, doubtful=False)) if known else ()
    for event in (*made, *events):
        job = apply(job, event, now)
    return job


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[str, object, str]]:
    """Each with its list and its place; the order is that in which they count."""
    for name in _LISTS:
        found = document.get(name, None if name in _REQUIRED else [])
        if not isinstance(found, list):
            raise ValueError(f"`{name}` is no list")
        for number, entry in enumerate(found):
            yield name, entry, f"{name}[{number}]"


def _read_handle(entry: object) -> _Handle:
    if not isinstance(entry, Mapping):
        raise ValueError("a job handle was expected")
    runner, job_id, token = (entry.get(key) for key in ("runner_name", "job_id", "token"))
    if not isinstance(runner, str) or not runner:
        raise ValueError("`runner_name` is missing")
    if not isinstance(job_id, int) or isinstance(job_id, bool) or job_id <= 0:
        raise ValueError("`job_id` is no positive number")
    if not isinstance(token, str) or not token:
        raise ValueError("`token` is missing")
    host, strange = None, ""
    if (resource := entry.get("paas_resource")) is not None:
        try:
            host = imported_host(resource, runner)
        except ValueError as error:
            strange = str(error)
    return _Handle(
        runner=runner,
        job_id=job_id,
        token=Secret(token),
        trace_written=bool(entry.get("trace_offset")),
        host=host,
        strange=strange,
    )
