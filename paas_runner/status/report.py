"""The answer to `paas-runner status` as values, and as plain data for the control socket and for `--json`.

The fields are those of `--json`. The running service makes a report of its memory (`service/status.py`), a
command makes one of the store of a service that is down (`stored.py`); `views.py` shows both.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import attrs
import cattrs

from paas_runner.job.capacity import Load
from paas_runner.job.cost import so_far
from paas_runner.job.decision import Policy
from paas_runner.job.outlook import Outlook, outlook
from paas_runner.job.tracked import Entry, JobKey, Phase, TrackedJob
from paas_runner.job.wording import HistoryLine, describe_entry
from paas_runner.status.sharing import SharingReport

T = TypeVar("T")

_SHARED = (
    "job",
    "runner",
    "runner_name",
    "tenant",
    "host_name",
    "host",
    "flavor",
    "weight",
    "next",
    "blocked",
)

_converter = cattrs.Converter()
_converter.register_unstructure_hook(datetime, lambda moment: moment.isoformat(timespec="milliseconds"))
_converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
_converter.register_unstructure_hook(Path, str)


class ServiceState(enum.StrEnum):
    """What the service as a whole does."""

    RUNNING = "running"
    DRAINING = "draining"
    STOPPING = "stopping"
    DOWN = "down"


class RunnerState(enum.StrEnum):
    """What a runner does."""

    POLLING = "polling"
    NO_ROOM = "no room"
    PAUSED = "paused"
    BACKING_OFF = "backing off"
    DRAINING = "draining"
    ELSEWHERE = "elsewhere"
    """Another process of the same store has it."""

    DOWN = "down"


@attrs.frozen(kw_only=True)
class ServiceReport:
    """The process; `since` is its start, `pid` and `since` are unknown of one that is down."""

    state: ServiceState
    version: str
    state_file: Path
    pid: int | None = None
    since: datetime | None = None
    trouble: str = ""
    """What keeps it from its work: the disk does not take its records."""


@attrs.frozen(kw_only=True)
class RunnerReport:
    """One `[[runners]]` section; `runner` is its short token, `until` the end of a pause of its own."""

    name: str
    runner: str
    state: RunnerState
    why: str
    until: datetime | None = None
    jobs: int = 0


@attrs.frozen(kw_only=True)
class Use:
    """How much is taken of how much; the limit is None while it is unknown."""

    used: float
    limit: float | None


@attrs.frozen(kw_only=True)
class Capacity:
    """`quota` is None where there is no rule for one."""

    concurrent: Use
    provisioning: Use
    quota: Use | None
    standby_weight: float = 0.0
    """What hosts on standby weigh beside that: they go where a job wants their room."""


@attrs.frozen(kw_only=True)
class StandbyReport:
    """A host that waits for another job; `job` is the one that left it.

    The cost is that of its wait so far, in the provider's own unit, None where no price is known.
    """

    job: int
    runner: str
    runner_name: str
    tenant: str
    host_name: str
    host: str
    flavor: str
    weight: float | None
    seconds_left: float
    cost_so_far: float | None
    next: Outlook | None
    """None while nothing will be done about it; `blocked` says why."""
    blocked: str = ""

    @property
    def key(self) -> JobKey:
        return JobKey(self.runner, self.job)


@attrs.frozen(kw_only=True)
class JobReport:
    """One tracked job; ages are in seconds, `last` is the last line of its history."""

    job: int
    runner: str
    runner_name: str
    phase: Phase
    age_seconds: float
    phase_seconds: float
    tenant: str
    host_name: str
    host: str
    flavor: str
    weight: float | None
    last: HistoryLine | None
    next: Outlook | None
    """None while nothing will be done about it; `blocked` says why."""
    blocked: str = ""

    @property
    def key(self) -> JobKey:
        return JobKey(self.runner, self.job)


@attrs.frozen(kw_only=True)
class LooksReport:
    """A coordinator at whose jobs it is looked more rarely than configured: by `factor`."""

    coordinator: str
    jobs: int
    looks_a_minute: int
    factor: float


@attrs.frozen(kw_only=True)
class StatusReport:
    """Everything at one moment."""

    at: datetime
    service: ServiceReport
    capacity: Capacity
    runners: Sequence[RunnerReport]
    jobs: Sequence[JobReport]
    counters: Mapping[str, int] = attrs.field(factory=dict)
    """What must not happen, and how often it has since the process began; empty of one that is down."""

    looks: Sequence[LooksReport] = ()
    """Of the coordinators where more looks are due than are allowed."""

    sharing: SharingReport | None = None
    """With other processes; None where the store is this one's alone."""

    standby: Sequence[StandbyReport] = ()
    """The hosts without a job, which are in `jobs` no more."""


def capacity(load: Load) -> Capacity:
    """How much room is left; requests in flight are not counted."""
    held = load.without_requests
    return Capacity(
        concurrent=Use(used=held.jobs, limit=load.limits.concurrent),
        provisioning=Use(used=held.preparing, limit=load.limits.provisioning),
        quota=Use(used=held.weight, limit=held.quota) if load.limits.quota else None,
        standby_weight=held.standby_weight,
    )


def jobs(
    records: Iterable[TrackedJob],
    now: datetime,
    *,
    names: Mapping[str, str],
    policies: Mapping[str, Policy],
    no_room: Mapping[JobKey, str] | None = None,
    blocked: str = "",
) -> Sequence[JobReport]:
    """The jobs in the order of their acquisition; `no_room` and `blocked` say why nothing is done."""
    ordered = sorted(records, key=lambda record: (record.acquired_at, record.key))
    return [
        _job(
            record,
            now,
            names,
            policies.get(record.key.runner),
            no_room=(no_room or {}).get(record.key, ""),
            blocked=blocked,
        )
        for record in ordered
    ]


def _job(
    record: TrackedJob,
    now: datetime,
    names: Mapping[str, str],
    policy: Policy | None,
    *,
    no_room: str,
    blocked: str,
) -> JobReport:
    unserved = "" if policy else "its runner is not in the configuration: put it back, or remove its host"
    blocked = blocked or unserved
    host = record.host
    return JobReport(
        job=record.key.job_id,
        runner=record.key.runner,
        runner_name=names.get(record.key.runner, ""),
        phase=record.phase,
        age_seconds=(now - record.acquired_at).total_seconds(),
        phase_seconds=(now - record.since).total_seconds(),
        tenant=record.tenant,
        host_name=record.host_name if record.host_intended else "",
        host=host.ref if host else "",
        flavor=host.flavor if host else "",
        weight=host.weight if host else record.expected_weight,
        last=_latest(record.history),
        next=outlook(record, now, policy, no_room) if policy and not blocked else None,
        blocked=blocked,
    )


def standby(
    records: Iterable[TrackedJob],
    now: datetime,
    *,
    names: Mapping[str, str],
    policies: Mapping[str, Policy],
    blocked: str = "",
) -> Sequence[StandbyReport]:
    """The hosts on standby among the records, those first that have waited longest."""
    waiting = sorted((each for each in records if each.on_standby), key=lambda each: (each.since, each.key))
    reports = jobs(waiting, now, names=names, policies=policies, blocked=blocked)
    of = {report.key: report for report in reports}
    return [_standby(record, now, of[record.key]) for record in waiting]


def _standby(record: TrackedJob, now: datetime, job: JobReport) -> StandbyReport:
    charge = so_far(record, now)
    waited = charge and attrs.evolve(charge, since=min(record.since, charge.until))
    left = (record.standby_until - now).total_seconds() if record.standby_until else 0.0
    return StandbyReport(
        **{name: getattr(job, name) for name in _SHARED},
        seconds_left=max(0.0, left),
        cost_so_far=waited.cost if waited else None,
    )


def _latest(history: Sequence[Entry]) -> HistoryLine | None:
    """What happened last, which may have happened before, too."""
    latest = max(reversed(history), key=lambda entry: entry.last or entry.at, default=None)
    return describe_entry(latest) if latest else None


def to_data(value: object) -> dict[str, Any]:
    """A report, or a part of one, as JSON has it."""
    data: dict[str, Any] = _converter.unstructure(value)
    return data


def from_data(data: Mapping[str, Any], kind: type[T]) -> T:
    """What `to_data` was given; raises ValueError for what another version may have sent."""
    try:
        return _converter.structure(data, kind)
    except Exception as error:  # noqa: BLE001 - cattrs raises whatever its hooks raised, grouped
        raise ValueError("; ".join(cattrs.transform_error(error))) from None
