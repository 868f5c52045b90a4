"""What is to be done about a job now: a pure function of its record, the clock's reading and the policy.

It is level-triggered: it never depends on how the record came to be, so recovery after a crash is the same
code as the normal way. Reads downwards, phase by phase.
"""

import enum
from datetime import datetime, timedelta
from typing import TypeAlias

import attrs

from paas_runner.job.events import (
    Event,
    Failed,
    HostLeft,
    LaunchIntended,
    ProvisionIntended,
    StandbyOver,
)
from paas_runner.job.failure import NO_RETRY, RETRY, Failure, FailureReason, fact_sheet, reference
from paas_runner.job.pace import END, GOOD_FOR
from paas_runner.job.room import Room
from paas_runner.job.standing import Parting
from paas_runner.job.tracked import Host, Phase, TrackedJob
from paas_runner.plain_text import exact_span

_TRIES_TO_RELEASE = 4
_MOST_HOURS = 10_000.0  # more than anybody waits, and no more than a date can hold


@attrs.frozen(kw_only=True)
class Policy:
    """How patient we are; all of it configuration. How often is meant at least: `pace` has the steps."""

    status_every: timedelta = timedelta(seconds=30)
    """How often the coordinator is asked whether the job is still to be run."""

    ready_every: timedelta = timedelta(seconds=2)
    ready_within: timedelta = timedelta(seconds=20)
    """How often, and how long after its creation, a host is asked whether it takes the job."""

    host_within: timedelta = timedelta(minutes=15)
    """How long after its host was first asked for a job may be without a launch, whatever goes wrong."""

    life_every: timedelta = timedelta(seconds=10)
    life_within: timedelta = timedelta(seconds=300)
    """How often, and how long after the launch, the job's trace is looked at for a first sign of life."""

    host_every: timedelta = timedelta(seconds=45)
    """How often, at most, a launched host is looked at: right after a look at the job, which may be over."""

    lifetime_margin: timedelta = timedelta(minutes=10)
    """How long after the job's own timeout its host may live: boot, image downloads, uploads."""

    cancel_grace: timedelta = timedelta(minutes=15)
    """How long a canceled job may wind down on its host (`after_script`, uploads)."""

    keep_finished: bool = False
    """Leave every host in place (`paas_finished_jobs_keep_resources`)."""

    keep_launch_failures: bool = False
    """Leave the hosts of failed launches in place (`paas_decommission_launch_failures = false`)."""

    standby: timedelta = timedelta()
    """How long a host waits for another job, at most; nothing: no host is used again."""

    standby_cost: float | None = None
    """What a host may cost meanwhile, in the provider's own unit; None: whatever it does."""

    def standby_of(self, host: Host) -> timedelta:
        """How long this host waits for another job."""
        if self.standby_cost is None or not host.price:
            return self.standby
        return min(self.standby, timedelta(hours=min(self.standby_cost / host.price, _MOST_HOURS)))

    @property
    def dead_host_within(self) -> timedelta:
        """When a dead host is noticed, usually: once due, a look at it waits for the next look at its job."""
        return -(-self.host_every // self.status_every) * self.status_every


class Action(enum.StrEnum):
    """What the job loop can do in the outside world; each may be repeated."""

    REUSE = "reuse"  # take a host on standby, if one fits
    PROVISION = "provision"
    ADOPT = "adopt"  # a host may exist already: look for it first
    CHECK_READY = "check ready"
    TOUCH = "touch"  # tell the coordinator that the job is alive, and learn whether it is still wanted
    LAUNCH = "launch"
    LOOK_FOR_LIFE = "look for life"
    CHECK_STATUS = "check status"
    CHECK_HOST = "check host"
    GIVE_UP_WAITING = "give up waiting"  # for a first sign of life: find out why, and fail
    EXPLAIN = "explain"
    REPORT = "report"
    RELEASE = "release"  # make the host forget the job, so that another one may have it
    RENEW = "renew"  # let the host on standby hear of us
    DECOMMISSION = "decommission"


@attrs.frozen
class Act:
    """Do `action` now, after recording `intent` if there is one."""

    action: Action
    intent: Event | None = None


@attrs.frozen
class Intend:
    """Record the intent of an act that the next decision may do, or put off."""

    intent: Event


@attrs.frozen
class Settle:
    """Nothing to be done outside: the record and the clock say what happened."""

    event: Event


@attrs.frozen
class Wait:
    """Nothing to be done before `until`."""

    until: datetime


@attrs.frozen
class Done:
    """Nothing to be done ever again: forget the record."""


Decision: TypeAlias = Act | Intend | Settle | Wait | Done


def next_action(
    job: TrackedJob,
    now: datetime,
    policy: Policy,
    room: Room = Room.THERE,
    *,
    reusable: bool = False,
    let_go: str = "",
) -> Decision:
    """What is to be done about the job now; `room` is what it finds for its host under the weight quota.

    `reusable`: whether a host on standby may fit the job. `let_go`: why the job's own host on standby has to
    go now; empty where it may wait.
    """
    match job.phase:
        case Phase.ACQUIRED if reusable and job.needs_room and _is_wanted(job, now, policy):
            return Act(Action.REUSE)
        case Phase.ACQUIRED | Phase.PROVISIONING | Phase.PROVISIONED | Phase.LAUNCHING:
            return _before_the_launch(job, now, policy, room)
        case Phase.LAUNCHED:
            return _until_first_life(job, now, policy)
        case Phase.RUNNING:
            return _until_the_end(job, now, policy)
        case Phase.FAILING:
            return _until_reported(job, now, policy)
        case Phase.DECOMMISSIONING:
            if _stays(job, policy):
                return Settle(HostLeft())
            useful = _may_be_used_again(job, policy) and not let_go
            return _when_due(job, now, Act(Action.RELEASE if useful else Action.DECOMMISSION))
        case Phase.STANDBY:
            return _on_standby(job, now, policy, let_go)
        case Phase.GONE:
            return Done()


def _is_wanted(job: TrackedJob, now: datetime, policy: Policy) -> bool:
    """Whether the coordinator has said of late that the job is to be run, and nothing is against it."""
    return job.acknowledged and not job.canceling_since and now < job.checked_at + policy.status_every


def _may_be_used_again(job: TrackedJob, policy: Policy) -> bool:
    """Whether its host may have another job: after one that was launched and has not failed, as we know it.

    One that is over before the first look at it has not been seen to run; how it ended its host knows.
    """
    if job.host is None or not job.host.series or job.unfit or job.host_doubtful:
        return False
    went_well = Phase.LAUNCHED in job.entered and job.failure is None and job.canceling_since is None
    return went_well and job.attempts < _TRIES_TO_RELEASE and policy.standby_of(job.host) > timedelta()


def _on_standby(job: TrackedJob, now: datetime, policy: Policy, let_go: str) -> Decision:
    """The host waits, and hears of us three times a lease."""
    until, end = job.standby_until or now, job.lease_end or now
    if let_go or job.host is None or not policy.standby_of(job.host):
        return Settle(StandbyOver(why=let_go or Parting.CONFIGURATION))
    if now >= until:
        return Settle(StandbyOver(why=Parting.TIME))
    if now >= end:
        return Settle(StandbyOver(why=Parting.LEASE))
    renewal = end - (job.lease or timedelta()) * (2 / 3)
    if now >= renewal:
        return _when_due(job, now, Act(Action.RENEW), no_later=min(until, end))
    return Wait(min(until, renewal))


def _before_the_launch(job: TrackedJob, now: datetime, policy: Policy, room: Room) -> Decision:
    if not job.acknowledged and job.phase is Phase.ACQUIRED:
        return Wait(job.check_due) if job.check_due and now < job.check_due else Act(Action.TOUCH)
    if job.failure:
        return Settle(Failed(failure=job.failure))
    if job.canceling_since:
        return Settle(Failed(failure=CANCELED))
    next_check = max(job.checked_at + policy.status_every, job.check_due or job.checked_at)
    if now >= next_check:
        return Act(Action.TOUCH)
    if room is not Room.THERE and job.needs_room:
        return Wait(next_check) if room is Room.LATER else Settle(Failed(failure=_too_heavy()))
    due = max(filter(None, (job.due, job.start_due)), default=now)
    if now < due:
        return Wait(min(due, next_check))
    if _too_late(job, policy):
        return Settle(Failed(failure=_not_launched(job, policy)))
    match job.phase:
        case Phase.ACQUIRED:
            return Act(Action.PROVISION, intent=ProvisionIntended())
        case Phase.PROVISIONING:
            return _until_ready(job, policy)
        case Phase.PROVISIONED:
            return Intend(LaunchIntended())
        case _:
            return _launch(job, now)


def _until_ready(job: TrackedJob, policy: Policy) -> Decision:
    if job.host is None or job.host_since is None:
        return Act(Action.ADOPT)
    if not job.attempts and _tried_beyond(job, job.host_since + policy.ready_within):
        return Settle(Failed(failure=_not_ready(job, policy)))
    return Act(Action.CHECK_READY)


def _launch(job: TrackedJob, now: datetime) -> Decision:
    """Push, but never a job that was canceled before: the coordinator's last word must be fresh.

    So it is asked after the record of the intent, which may take its time, unless it was asked just before.
    """
    if job.check_due:
        return Wait(job.check_due) if now < job.check_due else Act(Action.TOUCH)
    return Act(Action.LAUNCH if now - job.checked_at < GOOD_FOR else Action.TOUCH)


def _until_first_life(job: TrackedJob, now: datetime, policy: Policy) -> Decision:
    if now >= job.since + job.timeout + policy.lifetime_margin:
        return Settle(Failed(failure=_outlived(job)))
    if job.due and now < job.due:
        return Act(Action.CHECK_HOST) if _host_unseen(job, now, policy) else Wait(job.due)
    if not job.attempts and _tried_beyond(job, job.since + policy.life_within):
        return Act(Action.GIVE_UP_WAITING)
    return Act(Action.LOOK_FOR_LIFE)


def _until_the_end(job: TrackedJob, now: datetime, policy: Policy) -> Decision:
    launched_at = job.entered.get(Phase.LAUNCHED, job.since)
    if now >= launched_at + job.timeout + policy.lifetime_margin:
        return Settle(Failed(failure=_outlived(job)))
    if job.canceling_since and now >= job.canceling_since + policy.cancel_grace:
        return Settle(Failed(failure=CANCELED))
    looked_at = max(job.checked_at, job.since)
    age = looked_at - launched_at
    next_check = looked_at + END.step(age, longest=policy.status_every, usual=job.usual_life)
    if now >= next_check:
        return _when_due(job, now, Act(Action.CHECK_STATUS))
    return Act(Action.CHECK_HOST) if _host_unseen(job, job.checked_at, policy) else Wait(next_check)


def _host_unseen(job: TrackedJob, at: datetime, policy: Policy) -> bool:
    """Whether at that moment another look at the host was due."""
    return job.host is not None and at >= (job.host_due or job.since + policy.host_every)


def _until_reported(job: TrackedJob, now: datetime, policy: Policy) -> Decision:
    """Tell the author, then the coordinator; as long as that fails, every other try removes the host."""
    if job.attempts % 2 and job.host_intended and not _stays(job, policy):
        return _when_due(job, now, Act(Action.DECOMMISSION))
    return _when_due(job, now, Act(Action.REPORT if job.explained else Action.EXPLAIN))


def _stays(job: TrackedJob, policy: Policy) -> bool:
    return policy.keep_finished or (policy.keep_launch_failures and job.failure is not None)


def _too_late(job: TrackedJob, policy: Policy) -> bool:
    """Whether something went wrong until the deadline, with the host or the looks at the job's status."""
    deadline = job.patient_since + policy.host_within
    unchecked = job.check_due is not None and job.check_due >= deadline and not job.needs_room
    return unchecked or (job.attempts > 0 and _tried_beyond(job, deadline))


def _tried_beyond(job: TrackedJob, deadline: datetime) -> bool:
    """Whether even the last try was made about then: time in which we were not running does not count."""
    return job.due is not None and job.due >= deadline


def _when_due(job: TrackedJob, now: datetime, act: Act, *, no_later: datetime | None = None) -> Decision:
    if job.due and now < job.due:
        return Wait(min(job.due, no_later) if no_later else job.due)
    return act


CANCELED = Failure(reason=FailureReason.CANCELED, text="canceled")


def _not_launched(job: TrackedJob, policy: Policy) -> Failure:
    facts = {
        "Last answer": job.trouble or "the coordinator did not say whether the job is still to be run",
        "What to do": NO_RETRY if job.unreachable else RETRY,
        "Reference": _reference(job),
    }
    within = f"within {exact_span(policy.host_within)}"
    headline = (
        f"This job could not be handed to its host {within}."
        if job.host
        else f"No host could be had for this job {within}."
    )
    return Failure(reason=FailureReason.SYSTEM, text=f"{headline}\n{fact_sheet(facts)}")


def _too_heavy() -> Failure:
    facts = {
        "Likely cause": "the operators of this runner have lowered its quota since it took the job",
        "What to do": "ask for a smaller flavor, or ask the operators",
    }
    headline = "The host that this job needs is larger than all that the runner may use."
    return Failure(reason=FailureReason.SYSTEM, text=f"{headline}\n{fact_sheet(facts)}")


def _not_ready(job: TrackedJob, policy: Policy) -> Failure:
    seconds = policy.ready_within.total_seconds()
    facts = {
        "Likely cause": "its provider takes longer than usual to prepare it, or has an incident",
        "What to do": RETRY,
        "Reference": _reference(job),
    }
    headline = f"A host was created for this job, but did not take it within {seconds:g} seconds."
    return Failure(reason=FailureReason.SYSTEM, text=f"{headline}\n{fact_sheet(facts)}")


def _reference(job: TrackedJob) -> str:
    return reference(job.host_name, job.host.ref if job.host else "")


def no_life(policy: Policy, account: str | None) -> Failure:
    """A launch without effect; `account` is what its executor found out about it."""
    seconds = policy.life_within.total_seconds()
    text = f"The job was handed to its host, but wrote nothing to its log within {seconds:g} seconds."
    return Failure(reason=FailureReason.SYSTEM, text=f"{text}\n{account}" if account else text)


def _outlived(job: TrackedJob) -> Failure:
    return Failure(
        reason=FailureReason.TIMEOUT,
        text=f"The job's host was still busy long after the job's timeout of {job.timeout}, and was removed.",
    )
