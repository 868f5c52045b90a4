"""What is true of every plan in every state that is ever stored, worked out from the plan alone."""

from collections.abc import Iterator

import attrs
from paas_plans.plan import (
    Action,
    Block,
    CheckKind,
    Checks,
    DeferredBatch,
    Item,
    Plan,
    Reason,
    Sequence,
    State,
    Status,
    When,
    path_words,
)
from paas_plans.walk import Step, walk

BACKWARDS = "ends before it starts"
BYPASSED = (Status.COMPLETED, Reason.UNKNOWN)


def status(item: Item | None) -> Status | None:
    return item.state.status if item else None


def assert_consistent(plan: Plan, *, clock_jumped: bool = False) -> None:
    """No object contradicts itself, what it is in, or what is in it."""
    wrong = [
        f"{path_words(step.path)}: {complaint}"
        for step in walk(plan)
        for complaint in _wrong(step)
        if not (clock_jumped and complaint == BACKWARDS)
    ]
    assert not wrong, "\n".join(wrong)


def _wrong(step: Step) -> Iterator[str]:
    item, state = step.item, step.item.state
    yield from _wrong_times(step)
    if step.parents and status(item) is Status.RUNNING and status(step.parents[-1]) is not Status.RUNNING:
        yield f"runs in what is {status(step.parents[-1])}"
    plan = step.parents[0] if step.parents else item
    if status(item) is Status.STOPPED and plan.stop_requested is None and not _was_cut_off(step):
        yield "is stopped, and nobody asked for it"
    match item:
        case Action():
            yield from _wrong_attempts(item)
        case Sequence() | DeferredBatch():
            yield from _wrong_row(item)
        case Block():
            yield from _wrong_block(item)
        case Checks():
            statuses = {status(action) for action in item.actions}
            if state.status is Status.COMPLETED and statuses != {Status.COMPLETED}:
                yield "is completed without all its actions"
            if state.status is Status.FAILED and Status.FAILED not in statuses:
                yield "has failed without any of its actions"
        case Plan():
            yield from _wrong_plan(item)


def _was_cut_off(step: Step) -> bool:
    """Beside an action that had failed: the checks failed, though this one never ended."""
    return isinstance(step.item, Action) and status(step.parents[-1]) is Status.FAILED


def _wrong_times(step: Step) -> Iterator[str]:
    state = step.item.state
    if state.start and state.end and state.start > state.end:
        yield BACKWARDS
    if state.status.is_terminal != (state.end is not None):
        yield f"is {state.status.words} with the end {state.end}"
    if state.status is Status.RUNNING and state.start is None:
        yield "runs without a start"
    if state.status is Status.NOT_STARTED and state != State(until=state.until):
        yield "has not started, and has times"
    if state.until:
        owner_runs = bool(step.parents) and status(step.parents[-1]) is Status.RUNNING
        may_wait = {
            Action: state.status is Status.RUNNING,
            Block: state.status in (Status.RUNNING, Status.NOT_STARTED),
            Checks: step.path[-1] == CheckKind.CONTINUOUS.field and state.status is Status.COMPLETED,
        }
        if not owner_runs or not may_wait.get(type(step.item), False):
            yield f"waits, though it is {state.status.words}"


def _wrong_attempts(action: Action) -> Iterator[str]:
    attempts = action.attempts
    if len(attempts) > action.retries + 1:
        yield "has more attempts than retries"
    if any(attempt.end is None for attempt in attempts):
        yield "has an attempt that did not end"
    if any(attempt.end and attempt.start > attempt.end for attempt in attempts):
        yield BACKWARDS
    if any(attempt.error is None or attempt.error.permanent for attempt in attempts[:-1]):
        yield "was tried again after what was final"
    last = attempts[-1].error if attempts else None
    is_final = bool(last) and (last.permanent or len(attempts) > action.retries)
    match action.state.status:
        case Status.NOT_STARTED if attempts:
            yield "has not started, and has attempts"
        case Status.COMPLETED if not attempts or last:
            yield "is completed without success"
        case Status.FAILED if not is_final:
            yield "has failed, and could be tried again"
        case Status.RUNNING if is_final or (attempts and not last):
            yield "runs on after its end"


def _wrong_row(row: Sequence | DeferredBatch) -> Iterator[str]:
    statuses = [status(action) for action in row.actions]
    done = 0
    while statuses[done : done + 1] == [Status.COMPLETED]:
        done += 1
    rest = statuses[done:]
    if any(each is not Status.NOT_STARTED for each in rest[1:]):
        yield f"is not in order: {statuses}"
    if (status(row) is Status.COMPLETED) != (not rest):
        yield f"is {status(row)} with {statuses}"
    if (status(row) is Status.FAILED) != (rest[:1] == [Status.FAILED]):
        yield f"is {status(row)} with {statuses}"
    if status(row) is Status.NOT_STARTED and set(statuses) != {Status.NOT_STARTED}:
        yield f"has not started, with {statuses}"


def _wrong_block(block: Block) -> Iterator[str]:
    statuses = [status(sequence) for sequence in block.sequences]
    if statuses.count(Status.RUNNING) > block.concurrency:
        yield "has more running sequences than its concurrency"
    if 0 <= block.tolerated_failures < statuses.count(Status.FAILED) - block.concurrency:
        yield "went on after more failures than it tolerates"
    if status(block) is Status.COMPLETED and not _is_bypassed(block):
        if set(statuses) - {Status.COMPLETED, Status.FAILED}:
            yield f"is completed with {statuses}"
        if any(status(each) is Status.FAILED for each in _checks(block)):
            yield "is completed though checks failed"
    if status(block) is Status.NOT_STARTED and set(statuses) != {Status.NOT_STARTED}:
        yield f"has not started, with {statuses}"
    if _is_bypassed(block) and any(
        status(step.item) is not Status.NOT_STARTED
        for step in walk(block)
        if step.path and step.path[0] != "bypass_checks"
    ):
        yield "is bypassed, and something of it ran"


def _wrong_plan(plan: Plan) -> Iterator[str]:
    before = [status(block) for block in plan.blocks]
    for index, block in enumerate(plan.blocks):
        if block.state != State() and any(each is not Status.COMPLETED for each in before[:index]):
            yield f"has begun block {index} too early"
    deferred = plan.deferred_actions
    if deferred and status(deferred) is not Status.NOT_STARTED:
        begun = {batch.when for batch in deferred.batches if status(batch) is not Status.NOT_STARTED}
        if {When.ON_SUCCESS, When.ON_FAILURE} <= begun:
            yield "has run batches of both outcomes"
        if any(status(part) is Status.RUNNING for part in (*plan.blocks, *_checks(plan)[:3])):
            yield "cleans up beside its work"
    if plan.state.status.is_terminal and plan.reason is not Reason.EXCEEDED_RECOVERY:
        yield from _wrong_end(plan)


def _wrong_end(plan: Plan) -> Iterator[str]:
    if (plan.state.status, plan.reason) != ending(plan):
        yield f"ended as {plan.state.status!r}, {plan.reason!r}, not {ending(plan)}"
    if _is_bypassed(plan):
        if any(status(s.item) is not Status.NOT_STARTED for s in walk(plan) if s.path[:1] == ("blocks",)):
            yield "is bypassed, and a block of it ran"
        return
    over = (Status.COMPLETED, Status.FAILED)
    for owner in (plan, *plan.blocks):
        checks = owner.deferred_checks
        if checks and owner.state.start and not _is_bypassed(owner) and status(checks) not in over:
            yield "ended without deferred checks"
    for batch in plan.deferred_actions.batches if plan.deferred_actions else ():
        wanted = batch.when is When.ALWAYS or (batch.when is When.ON_SUCCESS) == _has_succeeded(plan)
        if status(batch) not in (over if wanted else (Status.NOT_STARTED,)):
            yield f"ended with a batch for {batch.when} that is {status(batch)}"


def ending(plan: Plan) -> tuple[Status, Reason]:
    """Status and reason of a plan that has ended, by its parts, the reason that counts most first."""
    if _is_bypassed(plan):
        return BYPASSED
    failures = [
        (plan.deferred_actions, Reason.DEFERRED_ACTION),
        (plan.pre_checks, Reason.PRE_CHECK),
        (plan.continuous_checks, Reason.CONTINUOUS_CHECK),
        (plan.post_checks, Reason.POST_CHECK),
        (plan.deferred_checks, Reason.DEFERRED_CHECK),
        *((block, Reason.BLOCK) for block in plan.blocks),
    ]
    for part, reason in failures:
        if status(part) is Status.FAILED:
            return Status.FAILED, reason
    if plan.stop_requested:
        return Status.STOPPED, Reason.STOPPED
    return Status.COMPLETED, Reason.UNKNOWN


def _has_succeeded(plan: Plan) -> bool:
    failed = (plan.pre_checks, plan.continuous_checks, plan.post_checks, *plan.blocks)
    return plan.stop_requested is None and all(status(part) is not Status.FAILED for part in failed)


def _is_bypassed(owner: Plan | Block) -> bool:
    return status(owner.bypass_checks) is Status.COMPLETED


def _checks(owner: Plan | Block) -> list[Checks | None]:
    """Those that can fail it; those of the end come last."""
    kinds = (CheckKind.PRE, CheckKind.CONTINUOUS, CheckKind.POST, CheckKind.DEFERRED)
    return [getattr(owner, kind.field) for kind in kinds]


def assert_only_goes_on(before: Plan, after: Plan) -> None:
    """What had ended in a sequence or a batch is as it was; definitions never change."""
    later = {step.path: step.item for step in walk(after)}
    for step in walk(before):
        now = later[step.path]
        if step.item.state.status.is_terminal and not any("checks" in str(name) for name in step.path):
            assert now.state == step.item.state, path_words(step.path)
            if isinstance(step.item, Action):
                assert now == step.item
    assert definition(before) == definition(after)


def definition(plan: Plan) -> list[Item]:
    """All objects without what the engine writes."""
    nothing = {"state": State()}
    return [
        attrs.evolve(step.item, **nothing, attempts=())
        if isinstance(step.item, Action)
        else (type(step.item), getattr(step.item, "name", None), step.item.id)
        for step in walk(plan)
    ]
