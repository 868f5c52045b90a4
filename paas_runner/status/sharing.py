"""How several processes share one store, as one of them knows it: the values.

Pure. All moments are by this process's own clock; the store tells ages, true when it answered last.
"""

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from paas_runner.job.lease import LEASE_SECONDS, Allotment, Lease, Member, Mode, Tenancy

_OVER = ("left", "lost")
"""Stages of sections for which nothing is done any more."""


class Role(enum.StrEnum):
    """What this process does among them."""

    HOLDER = "holder"
    STANDBY = "standby"
    ABSENT = "absent"
    """It does not run: what is told was read in the store."""

    CUT_OFF = "cut off"
    """The leases have run out while the store does not answer: others may have taken over."""


@attrs.frozen(kw_only=True)
class SectionReport:
    """One runner: who has it and since when, both empty while nobody does."""

    runner: str
    name: str
    holder: str
    """The id of the process that has it."""

    member: str
    """That process's name."""

    here: bool
    """Whether it is this process."""

    since: datetime | None
    until: datetime | None
    """Of a process that does not renew its lease, another takes the runner then."""

    stage: str
    """Of one that is here: taken, served, leaving, left, lost."""

    jobs: int | None
    """In the store; None while that is not known."""

    @property
    def said(self) -> str:
        """Who has it, as a sentence."""
        if self.since is None:
            return "nobody has it: whoever may have it takes it within seconds"
        jobs = "" if self.jobs is None else f", {self.jobs} job{'' if self.jobs == 1 else 's'}"
        return f"{self.member} has it since {self.since:%Y-%m-%d %H:%M:%S}{jobs}"


@attrs.frozen(kw_only=True)
class PartReport:
    """How much of the common bounds one process may use."""

    jobs: float
    provisioning: float
    weight: float


@attrs.frozen(kw_only=True)
class MemberReport:
    """One process."""

    holder: str
    name: str
    version: str
    mode: Mode
    here: bool
    alive: bool
    """Whether it has renewed its leases in time."""

    since: datetime
    renewed_at: datetime
    runners: int
    """How many it has."""

    may_use: PartReport


@attrs.frozen(kw_only=True)
class SharingReport:
    """All of it."""

    store: str
    role: Role
    mode: Mode
    holder: str
    """The id of this process, another one in each life."""

    member: str
    """Its name."""

    renewed_at: datetime | None
    """None before the store has answered for the first time."""

    trouble: str
    """Why the store does not answer; empty while it does."""

    silent_since: datetime | None
    may_use: PartReport
    sections: Sequence[SectionReport]
    members: Sequence[MemberReport]
    counters: Mapping[str, int]
    """Changes of hands since the start, and what has failed."""

    def section(self, runner: str) -> SectionReport | None:
        """Of the runner with that short token."""
        return next((section for section in self.sections if section.runner == runner), None)

    @property
    def jobs_elsewhere(self) -> int:
        """Of runners that other processes have, as far as their number is known."""
        return sum(section.jobs or 0 for section in self.sections if not section.here)

    @property
    def alive(self) -> Sequence[MemberReport]:
        return [member for member in self.members if member.alive]

    @property
    def is_settled(self) -> bool:
        """Whether the jobs of all runners that are here are known here."""
        return all(section.stage != "taken" for section in self.sections)

    @property
    def speaks(self) -> bool:
        """Whether it is this process that tells what concerns all of them: one of those that have runners."""
        having = [member.holder for member in self.alive if member.runners]
        return self.role is Role.HOLDER and self.holder == min(having, default=self.holder)


@attrs.frozen(kw_only=True)
class Observed:
    """What one process knows when it is asked."""

    now: datetime
    store: str
    holder: str
    member: str
    mode: Mode
    tenancy: Tenancy
    answered_ago: float | None
    stages: Mapping[str, str]
    allotment: Allotment
    trouble: str
    silent_for: float | None
    suspended: bool
    names: Mapping[str, str]
    own_jobs: Mapping[str, int]
    """Of each runner that is here."""

    jobs_elsewhere: Mapping[str, int] | None
    """Of all others; None where that is not known."""

    counters: Mapping[str, int]
    absent: bool = False
    """It is not this process that is asked, but the store."""


def sharing(seen: Observed) -> SharingReport:
    """The report of it."""
    answered_at = None if seen.answered_ago is None else seen.now - timedelta(seconds=seen.answered_ago)
    works = any(stage not in _OVER for stage in seen.stages.values())
    role = Role.CUT_OFF if seen.suspended else Role.HOLDER if works else Role.STANDBY
    role = Role.ABSENT if seen.absent else role
    members = sorted(seen.tenancy.members.values(), key=lambda member: -member.present_seconds)
    return SharingReport(
        store=seen.store,
        role=role,
        mode=seen.mode,
        holder=seen.holder,
        member=seen.member,
        renewed_at=answered_at,
        trouble=seen.trouble,
        silent_since=None if seen.silent_for is None else seen.now - timedelta(seconds=seen.silent_for),
        may_use=_part(seen.allotment),
        sections=[
            _section(seen, lease, answered_at or seen.now)
            for _, lease in sorted(seen.tenancy.leases.items())
            if lease.runner in seen.names or not lease.is_free
        ],
        members=[_member(seen, member, answered_at or seen.now) for member in members],
        counters=seen.counters,
    )


def _section(seen: Observed, lease: Lease, at: datetime) -> SectionReport:
    member = seen.tenancy.members.get(lease.holder)
    here = lease.runner in seen.stages
    if here:
        jobs: int | None = seen.own_jobs.get(lease.runner, 0)
    else:
        jobs = None if seen.jobs_elsewhere is None else seen.jobs_elsewhere.get(lease.runner, 0)
    held = not lease.is_free
    return SectionReport(
        runner=lease.runner,
        name=seen.names.get(lease.runner, lease.runner),
        holder=lease.holder if held else "",
        member=(member.name if member else lease.holder) if held else "",
        here=here,
        since=at - timedelta(seconds=lease.held_seconds) if held else None,
        until=at + timedelta(seconds=lease.seconds_left) if held else None,
        stage=seen.stages.get(lease.runner, ""),
        jobs=jobs,
    )


def _member(seen: Observed, member: Member, at: datetime) -> MemberReport:
    return MemberReport(
        holder=member.holder,
        name=member.name,
        version=member.version,
        mode=member.mode,
        here=member.holder == seen.holder,
        alive=member.is_alive,
        since=at - timedelta(seconds=member.present_seconds),
        renewed_at=at + timedelta(seconds=member.seconds_left - LEASE_SECONDS),
        runners=len(seen.tenancy.held_by(member.holder)),
        may_use=_part(member.allotment),
    )


def _part(allotment: Allotment) -> PartReport:
    return PartReport(
        jobs=allotment.jobs, provisioning=allotment.provisioning, weight=round(allotment.weight, 3)
    )
