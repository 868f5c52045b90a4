"""The record of one tracked job: everything that is needed to go on after any interruption."""

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NewType, TypeAlias

import attrs

from paas_runner.job.failure import Failure
from paas_runner.job.masks import masks_of
from paas_runner.job.payload import Payload
from paas_runner.job.use import Use
from paas_runner.secret import Secret

HostName = NewType("HostName", str)


class Phase(enum.StrEnum):
    """What is true of the job now; `lifecycle.py` says what is to be done about it."""

    ACQUIRED = "acquired"  # the coordinator gave it to us
    PROVISIONING = "provisioning"  # a host was asked for, or is about to be
    PROVISIONED = "provisioned"  # the host exists, is configured and takes a push
    LAUNCHING = "launching"  # the push was made, or is about to be
    LAUNCHED = "launched"  # the host has the job
    RUNNING = "running"  # the job writes its own trace
    FAILING = "failing"  # it cannot run: coordinator and author must learn of it
    DECOMMISSIONING = "decommissioning"  # the host must go, or become free for another job
    STANDBY = "standby"  # the job is over, and its host waits for another one
    GONE = "gone"  # nothing is left to do; the record is removed


@attrs.frozen(order=True)
class JobKey:
    """A job is one runner's job: ids are unique per coordinator, short tokens per configuration."""

    runner: str
    job_id: int

    def __str__(self) -> str:
        return f"{self.runner}/{self.job_id}"


@attrs.frozen(kw_only=True)
class Host:
    """A host as its executor knows it: `ref` is the provider's own id, `details` the executor's notes."""

    ref: str
    flavor: str = ""
    weight: float | None = None  # what it counts against the quota; None when unknown
    price: float | None = None  # per hour, in the provider's own unit
    memory_bytes: int | None = None  # what its flavor offers, where the provider says so
    cpus: float | None = None
    series: str = ""  # those of one series are alike but for their weight; empty: not used again
    name: str = ""  # its own, where it was made for another job than the one that has it
    details: Mapping[str, str] = attrs.field(factory=dict, repr=False)  # credentials of the host among them


Fact: TypeAlias = str | int | float | bool | None


@attrs.frozen(kw_only=True)
class Entry:
    """Something that happened to a job; `history.py` writes it, `wording.py` has the words."""

    at: datetime  # the first time, when it happened more than once
    phase: Phase  # the job's, after it
    event: str
    facts: Mapping[str, Fact] = attrs.field(factory=dict)  # of the last time
    times: int = 1
    last: datetime | None = None  # the last time, when it happened more than once
    until: datetime | None = None  # before then it is not tried again


@attrs.frozen(kw_only=True)
class SeenHost:
    """A host as its provider lists it, recorded or not; None for what the provider does not say."""

    name: HostName
    ref: str
    created_at: datetime | None
    busy: bool | None  # whether a job is being run on it
    installation: str = ""
    """Whose label it carries, when that is another installation's."""


def host_name(key: JobKey) -> HostName:
    """The deterministic name by which a host is found again; the prefix says that hosts are ours."""
    return HostName(f"{host_name_prefix(key.runner)}{key.job_id}")


def host_name_prefix(runner: str) -> str:
    """What the names of all hosts of one runner begin with, as in heptapod-paas-runner."""
    return f"hpd-job-{runner}-"


def is_stuck(job: "TrackedJob", now: datetime, patience: timedelta) -> bool:
    """Whether the job is over and what is left to be done has failed for so long, the last time included."""
    over = job.phase in (Phase.FAILING, Phase.DECOMMISSIONING)
    return over and job.attempts > 0 and now - job.since >= patience


@attrs.frozen(kw_only=True)
class TrackedJob:
    """Immutable; changed only by `lifecycle.apply`. All times are UTC."""

    key: JobKey
    token: Secret
    timeout: timedelta  # the job's own limit, from its payload
    acquired_at: datetime
    checked_at: datetime  # when the coordinator last said that the job is still ours to run
    check_due: datetime | None = None  # the coordinator could not be asked: no further question before
    since: datetime  # when the present phase began
    phase: Phase = Phase.ACQUIRED
    payload: Payload | None = None  # dropped once the host has it
    masks: tuple[Secret, ...] = ()  # what the dropped payload had of masked values
    tenant: str = ""  # who pays for its host, as its executor calls them; empty where all pay alike
    project: str = ""  # its path, as far as the coordinator says
    job_name: str = ""
    namespace_id: int | None = None  # the coordinator's id of the project's top-level namespace
    expected_weight: float | None = None  # what its host may weigh at most; None without a quota
    start_due: datetime | None = None  # no host is asked for before
    acknowledged: bool = False  # the coordinator knows that we have it
    host_intended: bool = False  # from here on a host may exist, whether we know it or not
    host: Host | None = None
    host_since: datetime | None = None
    host_due: datetime | None = None  # the launched host was looked at: no further look before
    host_doubtful: bool = False  # creation was tried more than once: there may be more hosts of that name
    attempts: int = 0  # failed tries in this phase
    due: datetime | None = None  # no further try before
    trouble: str = ""  # what the last failed try said
    unreachable: bool = False  # the last try found no account through which a host is made or removed
    usual_life: timedelta | None = None  # how long others of its kind lately took from launch to end
    unfit: bool = False  # the host is not to be used again
    use: Use | None = None  # what the job used of a host that was released
    standby_until: datetime | None = None  # how long the host waits for another job
    lease: timedelta | None = None  # how long the host without a job lives on without hearing of us
    heard_at: datetime | None = None  # when it last did
    canceling_since: datetime | None = None
    failure: Failure | None = None
    explained: bool = False  # the failure's text is in the job's trace
    entered: Mapping[Phase, datetime] = attrs.field(factory=dict)
    history: tuple[Entry, ...] = attrs.field(default=(), eq=False)  # for people: nothing depends on it

    @property
    def takes_room(self) -> bool:
        """Whether it counts against the bounds.

        A tenant's host that cannot be reached does not: whoever lacks the account to remove it gets no other.
        Nor does a job that only has to be reported: its coordinator alone may keep it here. Nor does a job of
        which only a host on standby is left: that goes as soon as its room is wanted.
        """
        out_of_reach = self.failed_or_over and self.unreachable and self.tenant
        return not (self.owes_a_report_only or out_of_reach or self.on_standby)

    @property
    def takes_place(self) -> bool:
        """Whether it is one of the jobs at once: not once nothing but a host on standby was left of it."""
        return self.takes_room and Phase.STANDBY not in self.entered

    @property
    def needs_room(self) -> bool:
        """Whether no host was asked for yet: it has one only as soon as there is room for it."""
        return self.phase is Phase.ACQUIRED and not self.host_intended and self.failure is None

    @property
    def patient_since(self) -> datetime:
        """Since when a host has been waited for: not while a start is put off, or there is no room."""
        return max(self.start_due or self.acquired_at, self.entered.get(Phase.PROVISIONING, self.acquired_at))

    @property
    def failed_or_over(self) -> bool:
        """Whether all that is left to do is to report it, and to remove its host one day."""
        return self.phase in (Phase.FAILING, Phase.DECOMMISSIONING, Phase.STANDBY)

    @property
    def on_standby(self) -> bool:
        """Whether only its host is left, which may be given to another job."""
        return self.phase is Phase.STANDBY

    @property
    def lease_end(self) -> datetime | None:
        """When its host on standby ends by itself; None where it does not, or is not on standby."""
        return self.heard_at + self.lease if self.heard_at and self.lease is not None else None

    @property
    def owes_a_report_only(self) -> bool:
        """Whether it has failed and no host was ever asked for."""
        return self.failure is not None and not self.host_intended

    @property
    def hidden(self) -> Sequence[str]:
        """What no text about it may show."""
        masks = masks_of(self.payload.variables) if self.payload else self.masks
        return [self.token.reveal(), *(each.reveal() for each in masks)]

    @property
    def host_name(self) -> HostName:
        """The name that this job's host has, had, or will have."""
        return HostName(self.host.name) if self.host and self.host.name else host_name(self.key)
