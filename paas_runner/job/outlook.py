"""What will be done about a job next, when and why, in words for the operator.

It asks the same function that the job loop obeys, so it cannot say anything else than what will happen.
"""

from collections.abc import Mapping
from datetime import datetime

import attrs

from paas_runner.job.decision import Act, Action, Intend, Policy, Settle, Wait, next_action
from paas_runner.job.events import Failed, StandbyOver
from paas_runner.job.lifecycle import apply
from paas_runner.job.tracked import Phase, TrackedJob
from paas_runner.plain_text import exact_span

_MOST_STEPS = 10
"""So many waits in a row are looked through for what comes after them."""


@attrs.frozen(kw_only=True)
class Outlook:
    """`at` is the present, or the past, for what is being done right now."""

    what: str
    at: datetime
    why: str


def outlook(job: TrackedJob, now: datetime, policy: Policy, no_room: str = "") -> Outlook:
    """What the job loop does next, if nothing happens before; `no_room` is why it waits for room."""
    if no_room and job.acknowledged:
        return Outlook(what="ask for a host as soon as there is room for it", at=now, why=no_room)
    if job.on_standby and not job.attempts:
        job = attrs.evolve(job, heard_at=job.standby_until)  # that it hears of us meanwhile is no news
    at = now
    for _ in range(_MOST_STEPS):
        match next_action(job, at, policy):
            case Wait(until=until):
                at = until
            case Intend(intent=intent):
                job = apply(job, intent, at)
            case Act(action=action):
                return Outlook(what=_DOING[action], at=at, why=_why(action, job, at, policy))
            case Settle(event=Failed(failure=failure)):
                return Outlook(what="give the job up", at=at, why=failure.text)
            case Settle(event=StandbyOver(why=why)):
                return Outlook(what="remove the host, unless another job has it by then", at=at, why=why)
            case _:
                return Outlook(what="forget the job", at=at, why="nothing is left to be done")
    return Outlook(what="look again", at=at, why="")


def _why(action: Action, job: TrackedJob, at: datetime, policy: Policy) -> str:
    if job.attempts and job.trouble and action is not Action.TOUCH:
        tries = "1 try" if job.attempts == 1 else f"{job.attempts} tries"
        return f"{tries} failed, the last: {job.trouble}"
    match action:
        case Action.PROVISION if job.start_due and at == job.start_due:
            return "launches are kept apart (`paas_min_seconds_between_launches`)"
        case Action.TOUCH if job.phase in (Phase.PROVISIONED, Phase.LAUNCHING):
            return "a job that was canceled meanwhile must not be launched"
        case Action.LOOK_FOR_LIFE:
            return f"its log is empty; it is given up at {job.since + policy.life_within:%H:%M:%S}"
        case Action.CHECK_STATUS | Action.TOUCH:
            longest = exact_span(policy.status_every)
            return f"asked every {longest}, a young one more often, to learn when it ends or is canceled"
        case Action.CHECK_HOST:
            return f"looked at every {exact_span(policy.host_every)} at most: a host that died runs no job"
        case Action.DECOMMISSION:
            return "the job is over; until it is gone the host costs"
        case _:
            return _REASONS[action]


_DOING: Mapping[Action, str] = {
    Action.REUSE: "look for a host on standby, else ask for one",
    Action.PROVISION: "ask for a host",
    Action.ADOPT: "look whether there is a host already, else ask for one",
    Action.CHECK_READY: "ask whether the host takes the job",
    Action.TOUCH: "ask the coordinator whether it still wants the job",
    Action.LAUNCH: "hand the job to its host",
    Action.LOOK_FOR_LIFE: "look for the first bytes of the job's log",
    Action.CHECK_STATUS: "ask the coordinator whether the job still runs",
    Action.CHECK_HOST: "look whether the host is well",
    Action.GIVE_UP_WAITING: "find out why the job does not begin, and give it up",
    Action.EXPLAIN: "tell the author in the job's log",
    Action.REPORT: "tell the coordinator that the job failed",
    Action.RELEASE: "clean the host, so that another job may have it",
    Action.RENEW: "let the host on standby hear of us",
    Action.DECOMMISSION: "remove the host",
}

_REASONS: Mapping[Action, str] = {
    Action.REUSE: "the job is confirmed, and a host of its series may be free",
    Action.PROVISION: "the job is confirmed and has no host",
    Action.ADOPT: "the answer to an earlier request for a host was lost",
    Action.CHECK_READY: "the host is there, but did not take the job yet",
    Action.LAUNCH: "the host takes it, and the coordinator still wants it",
    Action.GIVE_UP_WAITING: "its log stayed empty for too long",
    Action.EXPLAIN: "the job cannot be run, and its author must know why",
    Action.REPORT: "the author was told, the coordinator was not yet",
    Action.RELEASE: "the job went well, and the host may stay for a while",
    Action.RENEW: "without that it would end by itself",
}
