"""Approvals, purely: what is asked, who may decide, what a decision counts, and what follows from all.

The rights that somebody has at the server are not looked at here: whoever calls has done that. What a task's
own definition demands is (spec automation.md §6).
"""

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs

from paas_pipelines.access.identity import TRIGGER
from paas_pipelines.access.people import HOOK, People, mark_of_hearsay, mark_of_name, marks_of, same
from paas_pipelines.definitions.automation import Approval, OnDeadline, Slot
from paas_pipelines.definitions.parameter import ParametersError, checked
from paas_pipelines.runs.digests import digest_of
from paas_pipelines.runs.run import Asked, Decision, Run, Task, TaskStatus

GRACE = timedelta(hours=1)
"""For so long an approval stays open whose deadline passed while no server ran."""

MOST_OPEN = 1_000

MOST_REASON_LETTERS = 4_000

TRIGGER_PREFIX = f"{TRIGGER}/"
"""Of the name under which a trigger starts runs where nothing tells for whom."""

_GROUP = "group:"
CHANGED = "what is to be approved has changed"


class DecisionRefusedError(Exception):
    """A decision that does not count; `status` is the API's: 400, 403, 409 or 503."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Verdict(enum.Enum):
    """What has become of an approval."""

    APPROVED = enum.auto()
    REJECTED = enum.auto()


def asked(run: Run, name: str, now: datetime, text: str) -> Asked:
    """What is to be approved, as of now; `text` is the rendered one."""
    approval = of(run.task(name))
    return Asked(since=now, deadline=now + approval.deadline, digest=digest_of(run, name), text=text)


def of(task: Task) -> Approval:
    """What its definition demands."""
    return task.definition.approval or Approval()


def is_open(task: Task) -> bool:
    """Whether a decision can still count."""
    return task.status is TaskStatus.BLOCKED and task.asked is not None and verdict(task) is None


def verdict(task: Task) -> Verdict | None:
    """What its record says; None as long as it is open."""
    if task.asked is None:
        return None
    if any(not each.approved for each in task.asked.decisions):
        return Verdict.REJECTED
    if _people_in(task.asked.decisions) >= of(task).count:
        return Verdict.APPROVED
    if task.asked.passed:
        agreed = of(task).on_deadline is OnDeadline.APPROVE
        needs_somebody = any(each.required for each in of(task).params)
        return Verdict.APPROVED if agreed and not needs_somebody else Verdict.REJECTED
    return None


def rejection(task: Task) -> str:
    """The error of a task that was rejected."""
    for each in task.asked.decisions if task.asked else ():
        if not each.approved:
            return f"rejected by {each.user}: {each.reason}" if each.reason else f"rejected by {each.user}"
    until = f" until {task.asked.deadline.isoformat(timespec='seconds')}" if task.asked else ""
    return f"rejected: too few have decided{until}"


def values(task: Task) -> Mapping[str, Any]:
    """What those who have approved have put into the form: the task's outputs."""
    defaults = {each.name: each.default for each in of(task).params if each.default is not None}
    given = [each.values for each in task.asked.decisions] if task.asked else []
    return given[-1] if given else defaults


def decided(
    run: Run,
    name: str,
    decision: Decision,
    *,
    groups: Collection[str] = (),
    digest: str,
    people: People = People(),  # noqa: B008 - frozen
) -> Run:
    """With one more decision, or, where the same person has said the same before, as it is.

    Who is the same person, `people` say, as of now.
    Raises `DecisionRefusedError`; KeyError for a task that the run has not.
    """
    task = run.task(name)
    decision = attrs.evolve(decision, marks=tuple(sorted(people.all_marks(_marks_of(decision)))))
    if _is_repeated(task, decision, people):
        return run
    if not is_open(task) or task.asked is None:
        raise DecisionRefusedError(409, _why_closed(task))
    _check_right(run, task, decision, groups, people)
    if digest != task.asked.digest:
        raise DecisionRefusedError(409, CHANGED)
    if of(task).reason_required and not decision.reason.strip():
        raise DecisionRefusedError(400, "a reason is required")
    if len(decision.reason) > MOST_REASON_LETTERS:
        raise DecisionRefusedError(400, f"the reason has more than {MOST_REASON_LETTERS} letters")
    if decision.approved:
        try:
            decision = attrs.evolve(decision, values=checked(of(task).params, decision.values))
        except ParametersError as error:
            raise DecisionRefusedError(400, str(error)) from None
    decisions = (*task.asked.decisions, decision)
    return run.with_task(attrs.evolve(task, asked=attrs.evolve(task.asked, decisions=decisions)))


def has_decided(task: Task, marks: Iterable[str], people: People) -> bool:
    """Whether the person with these marks has said anything yet."""
    return bool(_said_by(task, people.all_marks(marks), people))


def _said_by(task: Task, mine: frozenset[str], people: People) -> Sequence[Decision]:
    said = task.asked.decisions if task.asked else ()
    return [each for each in said if same(people.all_marks(_marks_of(each)), mine)]


def _marks_of(decision: Decision) -> tuple[str, ...]:
    """In records of older versions there is the name alone; all without any are one."""
    return decision.marks or mark_of_name(decision.user) or (mark_of_hearsay(""),)


def _people_in(decisions: Iterable[Decision]) -> int:
    """How many have decided, by what was known of each when he did."""
    seen: list[frozenset[str]] = []
    for each in decisions:
        marks = frozenset(_marks_of(each))
        if not any(same(marks, other) for other in seen):
            seen.append(marks)
    return len(seen)


def _is_repeated(task: Task, decision: Decision, people: People) -> bool:
    if task.asked is None or task.asked.passed or task.status is TaskStatus.CANCELED:
        return False
    said = _said_by(task, frozenset(decision.marks), people)
    return bool(said) and said[-1].approved == decision.approved


def _why_closed(task: Task) -> str:
    if task.definition.approval is None:
        return f'task "{task.name}" is no approval'
    if task.asked is None:
        return f'task "{task.name}" does not ask for an approval'
    match verdict(task):
        case Verdict.APPROVED:
            return "it has been approved already"
        case Verdict.REJECTED:
            return f"it has been {rejection(task)}"
        case None:
            return "its run has ended, or is about to"


def _check_right(run: Run, task: Task, decision: Decision, groups: Collection[str], people: People) -> None:
    approval, user = of(task), decision.user
    mine = {f"{_GROUP}{group}" for group in groups} | ({user} if not user.startswith(_GROUP) else set())
    if approval.approvers and mine.isdisjoint(approval.approvers):
        raise DecisionRefusedError(
            403, f"{user or 'somebody without a name'} is none of {', '.join(approval.approvers)}"
        )
    if not approval.four_eyes:
        return
    started_by = starters(run)
    if same(people.all_marks(started_by), frozenset(decision.marks)):
        raise DecisionRefusedError(403, f"{user} has started it: somebody else has to decide (four_eyes)")
    if not people.are_known(started_by):
        senders = [each for each in started_by if each.startswith(HOOK)]
        told = f": {senders[0]} is nobody in [pipelines.people]" if senders else ""
        raise DecisionRefusedError(403, f"four_eyes needs to know who starts it{told}")
    if not user:
        raise DecisionRefusedError(403, "four_eyes needs to know who decides")


def starters(run: Run) -> tuple[str, ...]:
    """Marks of whoever has started it, and of whoever has started the first of those that led to it.

    What a trigger's `user` takes out of a payload is hearsay. In records of older versions only names are.
    """
    origin, actor = run.origin, run.actor
    name = "" if run.user.startswith(TRIGGER_PREFIX) else run.user
    root = "" if origin.root_user.startswith(TRIGGER_PREFIX) else origin.root_user
    hearsay = tuple(mark_of_hearsay(each) for each in (name, root) if each)
    if actor is None:
        return hearsay if origin.trigger and not root else (*mark_of_name(name), *mark_of_name(root))
    if actor.identity.kind == TRIGGER:
        return (*actor.causes, *origin.root, *hearsay)
    return (*marks_of(actor.identity), *origin.root, *hearsay)


# --- time and slots ----------------------------------------------------------------------------------------


def blocked(run: Run) -> tuple[Task, ...]:
    """Its tasks that wait for people, if it does nothing else meanwhile."""
    if any(task.status is TaskStatus.RUNNING for task in run.tasks):
        return ()
    return tuple(task for task in run.tasks if task.status is TaskStatus.BLOCKED)


def has_released(run: Run) -> bool:
    """Whether it has given its slot to others until it is decided."""
    waiting = blocked(run)
    return bool(waiting) and all(of(task).slot is Slot.RELEASE for task in waiting)


def yields(run: Run) -> bool:
    """Whether a newer run of its partition cancels it."""
    return any(of(task).slot is Slot.YIELD for task in blocked(run))


def passed(run: Run, now: datetime) -> Run:
    """With note of each deadline that is over."""
    for task in run.tasks:
        if is_open(task) and task.asked is not None and now >= task.asked.deadline:
            run = run.with_task(attrs.evolve(task, asked=attrs.evolve(task.asked, passed=True)))
    return run


def reopened(run: Run, now: datetime) -> Run:
    """After a time without a server: people have an hour more than the deadline, once."""
    for task in run.tasks:
        asked = task.asked
        if is_open(task) and asked is not None and not asked.reopened and now >= asked.deadline:
            asked = attrs.evolve(asked, deadline=now + GRACE, reopened=True)
            run = run.with_task(attrs.evolve(task, asked=asked))
    return run
