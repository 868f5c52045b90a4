"""What is wrong now, read off the dispatch; and what happened to a job, where somebody should know of it.

Pure: of a view and an event come readings and incidents. Nothing is read where nobody can know: a runner that
has not asked since the start has neither reached its coordinator nor failed to.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

import attrs

from paas_runner.config.notify import Receiver
from paas_runner.dispatch.view import DispatchView
from paas_runner.job.capacity import Bound, Obstacle
from paas_runner.job.cost import so_far
from paas_runner.job.events import Event, Failed, HostLeft
from paas_runner.job.failure import FailureReason
from paas_runner.job.notice import JobMention, NoticeKind
from paas_runner.job.tracked import Phase, TrackedJob
from paas_runner.notify.book import Incident, Reading
from paas_runner.status.reach import Reached, ReachState
from paas_runner.status.sharing import Role, SharingReport

_PROVIDER = "the provider of runner "
_QUOTA_BOUNDS = (Bound.QUOTA, Bound.SHARE)


@attrs.frozen(kw_only=True)
class Sensed:
    """What was found, and whom it concerns: a receiver may want to hear of some runners and tenants alone."""

    what: Incident | Reading
    runner: str = ""
    """Its name; empty where all are meant."""

    tenant: str | None = None
    """None where all are meant."""


def incident_of(
    job: TrackedJob, event: Event | None, before: TrackedJob | None, runner: str
) -> Sensed | None:
    """What somebody should know of a change of a job; None of most changes."""
    match event:
        case Failed(failure=failure) if before and failure.reason is FailureReason.SYSTEM:
            ran = before.phase is Phase.RUNNING
            kind, why = NoticeKind.HOST_LOST if ran else NoticeKind.LAUNCH_FAILED, failure.text
        case HostLeft():
            kind, why = NoticeKind.HOST_LEFT, ""
        case _:
            return None
    host = job.host or (before and before.host)
    mention = JobMention(runner=runner, job=job.key.job_id, host=host.ref if host else "")
    return Sensed(
        what=Incident(kind=kind, subject=runner, job=mention, why=why),
        runner=runner,
        tenant=job.tenant,
    )


def readings(view: DispatchView, known_good: frozenset[str]) -> Iterator[Sensed]:
    """The troubles of each runner, and of all; `known_good` are runners (their keys) that have got hosts."""
    for key, name in view.runners.items():
        if key in view.elsewhere:
            continue
        yield from (Sensed(what=each, runner=name) for each in _of_runner(view, key, name, known_good))
    refused = Reading(kind=NoticeKind.STORE_UNWRITABLE, trouble=bool(view.refused), why=view.why_refused)
    yield Sensed(what=refused)


def _of_runner(view: DispatchView, key: str, name: str, known_good: frozenset[str]) -> Iterator[Reading]:
    backoff = view.backoffs.get(key)
    if backoff or key in view.answered:
        yield Reading(
            kind=NoticeKind.COORDINATOR_FAILING,
            subject=name,
            trouble=backoff is not None,
            why=backoff.why if backoff else "",
        )
    refusal = view.load.refused.get(key)
    if refusal is not None or key in known_good:
        yield Reading(
            kind=NoticeKind.CLOUD_FAILING,
            subject=f"{_PROVIDER}{name}",
            trouble=refusal is not None,
            why=refusal or "",
        )
    obstacle = view.load.without_requests.obstacle(key)
    if obstacle is None or obstacle.bound in _QUOTA_BOUNDS:
        yield _quota(name, obstacle)


def _quota(name: str, obstacle: Obstacle | None) -> Reading:
    return Reading(
        kind=NoticeKind.QUOTA_EXHAUSTED,
        subject=name,
        trouble=obstacle is not None,
        why=obstacle.text if obstacle else "",
    )


def outages(services: Mapping[str, Reached]) -> Iterator[Sensed]:
    """Of the services behind the executors; runners look at coordinators, and at refused credentials."""
    for name, reached in services.items():
        if not reached.is_coordinator and reached.state in (ReachState.REACHED, ReachState.UNREACHABLE):
            unreachable = reached.state is ReachState.UNREACHABLE
            answer = f"answered {reached.last_status}" if reached.last_status else "no answer"
            why = f"{answer}, {reached.failures} times in a row" if unreachable else ""
            what = Reading(kind=NoticeKind.CLOUD_FAILING, subject=name, trouble=unreachable, why=why)
            yield Sensed(what=what)


def takeover(before: SharingReport, now: SharingReport) -> Sensed | None:
    """What this process has got since from another that was gone."""
    if now.counters.get("taken_over", 0) <= before.counters.get("taken_over", 0):
        return None
    had = {section.runner: section.member for section in before.sections if not section.here}
    got = [section for section in now.sections if section.here and had.get(section.runner)]
    lost_by = ", ".join(sorted({had[section.runner] for section in got}))
    names = ", ".join(section.name for section in got)
    why = f"runners {names}, which {lost_by} had" if got else ""
    return Sensed(what=Incident(kind=NoticeKind.TAKEN_OVER, subject=now.member, why=why))


def sharing_readings(report: SharingReport, *, had_company: bool) -> Iterator[Sensed]:
    """Of the database as this process sees it, and of the others; whoever was always alone misses nobody."""
    cut_off = report.role is Role.CUT_OFF
    unreachable = Reading(
        kind=NoticeKind.STORE_UNREACHABLE,
        subject=report.member,
        trouble=cut_off,
        why=report.trouble if cut_off else "",
    )
    yield Sensed(what=unreachable)
    if report.speaks and had_company:
        alone = len(report.alive) < 2
        why = f"{report.member} works alone" if alone else ""
        yield Sensed(what=Reading(kind=NoticeKind.NO_STANDBY, trouble=alone, why=why))


ALL = ""
"""Among names of runners: what concerns all of them, too."""


def is_of_present(kind: NoticeKind, subject: str, runners: Collection[str]) -> bool:
    """Whether a trouble can still be looked at: that of a runner which is gone cannot."""
    if kind in (NoticeKind.NO_STANDBY, NoticeKind.COST_ABOVE):
        return ALL in runners
    if kind in (NoticeKind.QUOTA_EXHAUSTED, NoticeKind.COORDINATOR_FAILING):
        return subject in runners
    if kind is NoticeKind.CLOUD_FAILING and subject.startswith(_PROVIDER):
        return subject.removeprefix(_PROVIDER) in runners
    if kind is NoticeKind.CLOUD_FAILING:
        return bool(runners)
    return True


# --- costs -------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Spending:
    """What hosts cost; whatever has no known price does not count."""

    per_hour: float = 0.0
    last_day: float = 0.0


def spending(
    jobs: Sequence[TrackedJob], ledger: Mapping[tuple[str, str], float], since: datetime, now: datetime
) -> Mapping[tuple[str, str], Spending]:
    """By runner (its key) and tenant; `ledger` is what those hosts have cost since then that are gone."""
    found = {payer: Spending(last_day=cost) for payer, cost in ledger.items()}
    for job in jobs:
        charge = so_far(job, now)
        part = charge and charge.within(since, now)
        if charge is None or charge.price is None:
            continue
        payer = (job.key.runner, job.tenant)
        before = found.get(payer, Spending())
        found[payer] = Spending(
            per_hour=before.per_hour + charge.price,
            last_day=before.last_day + ((part.cost if part else None) or 0.0),
        )
    return found


def cost_readings(spent: Spending, bounds: Receiver) -> Iterator[Reading]:
    """Whether the bounds that there are hold."""
    for subject, cost, bound in (
        ("hour", spent.per_hour, bounds.cost_per_hour),
        ("day", spent.last_day, bounds.cost_per_day),
    ):
        if bound is not None:
            yield Reading(
                kind=NoticeKind.COST_ABOVE,
                subject=subject,
                trouble=cost > bound,
                why=f"{cost:.4g} where {bound:g} is the bound, in the provider's unit",
            )
