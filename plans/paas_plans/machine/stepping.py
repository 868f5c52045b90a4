"""The plan as a whole: opened, block by block, checked, cleaned up, and how it ended.

Nothing is remembered but what is in the plan: what follows is found anew from the states of its parts, after
each event and after a restart alike.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import attrs

from paas_plans.machine.blocks import block_onwards
from paas_plans.machine.moves import Begun, Effect, Event, Resumed, StillAlive, StopAsked
from paas_plans.machine.owners import Gate, opened, run_once, with_looped, with_settled
from paas_plans.machine.parts import Turn, begin_row, ended, exchanged, is_, told, with_part
from paas_plans.plan import Block, CheckKind, Item, Plan, Reason, State, Status, When
from paas_plans.walk import at


def step(plan: Plan, event: Event, now: datetime) -> tuple[Plan, tuple[Effect, ...]]:
    """The plan after the event, and what is to be done once it is stored.

    An event that does not fit, such as the late end of a call that was given up, changes nothing.
    """
    if isinstance(event, Begun) and plan.state.status is Status.NOT_STARTED:
        plan = attrs.evolve(plan, state=State(status=Status.RUNNING, start=now))
    if plan.state.status is not Status.RUNNING:
        return plan, ()
    if isinstance(event, StillAlive):
        return attrs.evolve(plan, heartbeat=now), ()
    is_asked = isinstance(event, StopAsked) or (isinstance(event, Resumed) and event.stop_asked)
    if is_asked and plan.stop_requested is None and not _cleans_up(plan):
        plan = attrs.evolve(plan, stop_requested=now)
    turn = Turn(now=now, event=event, stopping=plan.stop_requested is not None)
    plan = told(plan, turn)
    if not _is_inside_a_sequence(plan, event):
        plan = _onwards(plan, turn)
    return plan, tuple(turn.effects)


def _is_inside_a_sequence(plan: Plan, event: Event) -> bool:
    """Whether only the sequence itself goes on: nothing else has to be looked at, however large the plan."""
    path = getattr(event, "path", ())
    return path[2:3] == ("sequences",) and is_(at(plan, path[:4]), Status.RUNNING)


def _onwards(plan: Plan, turn: Turn) -> Plan:
    has_begun = any(_has_begun(block) for block in plan.blocks)
    plan, gate = opened(plan, (), turn, has_begun=has_begun)
    if gate is Gate.WAITING:
        return plan
    if gate is Gate.BYPASSED:
        return ended(plan, Status.COMPLETED, turn)
    if gate is Gate.OPEN and not _work_is_over(plan, turn):
        plan = _blocks_onwards(with_looped(plan, (), turn), turn)
        if not _work_is_over(plan, turn):
            return plan
    plan = with_settled(plan)
    if is_(plan.continuous_checks, Status.RUNNING):
        return plan
    if _work_is_done(plan):
        plan = run_once(plan, CheckKind.POST, (), turn)
    if is_(plan.post_checks, Status.RUNNING):
        return plan
    plan = _cleaned_up(plan, turn.of_deferred)
    if is_(plan.deferred_actions, Status.RUNNING):
        return plan
    plan = run_once(plan, CheckKind.DEFERRED, (), turn.of_deferred)
    if is_(plan.deferred_checks, Status.RUNNING):
        return plan
    status, reason = outcome(plan)
    return ended(plan, status, turn, reason=reason)


# --- blocks ----------------------------------------------------------------------------------------------


def _has_begun(block: Block) -> bool:
    return block.state != State()


def _work_is_done(plan: Plan) -> bool:
    completed = all(is_(block, Status.COMPLETED) for block in plan.blocks)
    return completed and not is_(plan.continuous_checks, Status.FAILED)


def _work_is_over(plan: Plan, turn: Turn) -> bool:
    for block in plan.blocks:
        if block.state.status is not Status.COMPLETED:
            return block.state.status.is_terminal or (turn.stopping and not _has_begun(block))
    return True


def _blocks_onwards(plan: Plan, turn: Turn) -> Plan:
    """The first block that has not ended, and those after it for which it makes way."""
    may_launch = not is_(plan.continuous_checks, Status.FAILED)
    for index, block in enumerate(plan.blocks):
        if block.state.status is not Status.COMPLETED:
            after = block_onwards(block, ("blocks", index), turn, may_launch=may_launch)
            plan = with_part(plan, "blocks", exchanged(plan.blocks, index, after))
            if after.state.status is not Status.COMPLETED or turn.stopping:
                break
    return plan


# --- what is deferred ------------------------------------------------------------------------------------


def has_succeeded(plan: Plan) -> bool:
    """The outcome so far, by which deferred batches are selected."""
    was_checked = plan.post_checks is None or is_(plan.post_checks, Status.COMPLETED)
    return _work_is_done(plan) and was_checked and plan.stop_requested is None


def _cleans_up(plan: Plan) -> bool:
    """Whether what is deferred has begun, and it is too late for a stop."""
    deferred = (plan.deferred_actions, plan.deferred_checks)
    return any(part is not None and not is_(part, Status.NOT_STARTED) for part in deferred)


def _cleaned_up(plan: Plan, turn: Turn) -> Plan:
    deferred = plan.deferred_actions
    if deferred is None or deferred.state.status.is_terminal:
        return plan
    if deferred.state.status is Status.NOT_STARTED:
        deferred = attrs.evolve(deferred, state=State(status=Status.RUNNING, start=turn.now))
    wanted = {When.ALWAYS, When.ON_SUCCESS if has_succeeded(plan) else When.ON_FAILURE}
    for index, batch in enumerate(deferred.batches):
        if batch.when in wanted and batch.state.status is Status.NOT_STARTED:
            begun = begin_row(batch, ("deferred_actions", "batches", index), turn)
            deferred = attrs.evolve(deferred, batches=exchanged(deferred.batches, index, begun))
    if not any(is_(batch, Status.RUNNING) for batch in deferred.batches):
        failed = any(batch.fail_plan and is_(batch, Status.FAILED) for batch in deferred.batches)
        deferred = ended(deferred, Status.FAILED if failed else Status.COMPLETED, turn)
    return with_part(plan, "deferred_actions", deferred)


# --- the end ---------------------------------------------------------------------------------------------


def outcome(plan: Plan) -> tuple[Status, Reason]:
    """How it ended, and of several reasons the one that counts, which is the first of these."""
    reasons: Mapping[Reason, Sequence[Item | None]] = {
        Reason.DEFERRED_ACTION: [plan.deferred_actions],
        Reason.PRE_CHECK: [plan.pre_checks],
        Reason.CONTINUOUS_CHECK: [plan.continuous_checks],
        Reason.POST_CHECK: [plan.post_checks],
        Reason.DEFERRED_CHECK: [plan.deferred_checks],
        Reason.BLOCK: plan.blocks,
    }
    for reason, parts in reasons.items():
        if any(is_(part, Status.FAILED) for part in parts):
            return Status.FAILED, reason
    return (Status.COMPLETED, Reason.UNKNOWN) if has_succeeded(plan) else (Status.STOPPED, Reason.STOPPED)
