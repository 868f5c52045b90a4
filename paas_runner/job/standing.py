"""Hosts that stay: the states of a host, which one on standby a job may have, and which goes for room. Pure.

The record of the job that had a host last is the host's own as long as it waits: nothing else is left of that
job. So the state of a host follows from the phase, and a restart needs nothing new.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from paas_runner.job.events import Event, HostUnfit, StandbyOver
from paas_runner.job.tracked import Host, JobKey, Phase, TrackedJob

HEAVIER = 1.15
"""How many times as heavy as the wanted one a host may be that is used again, and no more (H142)."""

_ROUNDING = 1e-9


class HostState(enum.StrEnum):
    """What a host is doing."""

    PREPARING = "preparing"  # it is being made
    READY = "ready"  # it takes a job
    BUSY = "busy"  # it has one
    STANDBY = "standby"  # it has none, and waits for one
    DRAINING = "draining"  # it is to go, or to be cleaned first
    GONE = "gone"


STATES: Mapping[Phase, HostState] = {
    Phase.ACQUIRED: HostState.PREPARING,
    Phase.PROVISIONING: HostState.PREPARING,
    Phase.PROVISIONED: HostState.READY,
    Phase.LAUNCHING: HostState.BUSY,
    Phase.LAUNCHED: HostState.BUSY,
    Phase.RUNNING: HostState.BUSY,
    Phase.FAILING: HostState.DRAINING,
    Phase.DECOMMISSIONING: HostState.DRAINING,
    Phase.STANDBY: HostState.STANDBY,
    Phase.GONE: HostState.GONE,
}
"""The state of a host by the phase of the job that has it, or had it last."""


class Parting(enum.StrEnum):
    """Why a host on standby goes, where it is not that it could not be asked."""

    TIME = "no job has come for it in time"
    ROOM = "its room is wanted for another host"
    DRAIN = "no more jobs are taken"
    LEASE = "its lease is over: it may have ended by itself"
    CONFIGURATION = "hosts are not kept any more, as configured"
    REFUSED = "it takes no job any more"


UNFIT = "unfit"
UNREACHABLE = "unreachable"
PARTINGS = (*(each.name.lower() for each in Parting), UNFIT, UNREACHABLE)
"""Classes of reasons, for whoever counts."""


def parting_of(event: Event | None) -> str | None:
    """To which class it belongs that a host goes which could have been used again; None where none does."""
    match event:
        case StandbyOver(why=why):
            return next((each.name.lower() for each in Parting if each == why), UNREACHABLE)
        case HostUnfit():
            return UNFIT
        case _:
            return None


def state_of(job: TrackedJob) -> HostState | None:
    """What the host of a job is doing; None where it has none."""
    return STATES[job.phase] if job.host else None


def hosts_for(
    runner: str, series: str, weight: float, standing: Iterable[TrackedJob]
) -> Sequence[TrackedJob]:
    """The hosts on standby that a job of the runner may have which wants a host of this weight.

    Those of its own runner first, the oldest first: its caches are the warmest.
    """
    fitting = [job for job in standing if job.host and _fits(job.host, series, weight)]
    return sorted(fitting, key=lambda job: (job.key.runner != runner, _waiting_since(job), job.key))


def _fits(host: Host, series: str, weight: float) -> bool:
    if not series or host.series != series or host.weight is None:
        return False
    return weight * (1 - _ROUNDING) <= host.weight < weight * HEAVIER


def hosts_to_let_go(needed: float, runner: str, standing: Iterable[TrackedJob]) -> Sequence[JobKey]:
    """Which hosts on standby go so that so much weight becomes free: none where all are too little.

    Those of the runner whose job needs the room go first, and of them those that have waited longest.
    """
    order = sorted(standing, key=lambda job: (job.key.runner != runner, _waiting_since(job), job.key))
    going: list[JobKey] = []
    for job in order:
        if needed <= 0:
            break
        going.append(job.key)
        needed -= weight_of(job)
    return going if needed <= _ROUNDING else []


def weight_of(job: TrackedJob) -> float:
    """What becomes free when its host goes."""
    return (job.host.weight if job.host else None) or 0.0


def _waiting_since(job: TrackedJob) -> datetime:
    return job.since
