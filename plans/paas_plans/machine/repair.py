"""What a plan that was running is made into after its process has ended, before it goes on.

Each step is stored whole, so blocks, deferred actions and the plan itself are never half-way: what follows
for them is found from their parts, as always. What is lost was in flight: the calls of running actions.
"""

from datetime import datetime
from typing import Any

import attrs

from paas_plans.machine.moves import Resumed
from paas_plans.machine.parts import Turn, ended, without_wait, worst
from paas_plans.plan import Action, Block, Checks, DeferredActions, Plan, Reason, State, Status
from paas_plans.walk import Kind, with_parts


def repaired(plan: Plan, now: datetime) -> Plan:
    """The plan as it can be resumed: what has ended stays, an action that was in progress is called again."""
    after: Plan = _repaired(plan, Turn(now=now, event=Resumed()))
    return after


def closed_as_too_old(plan: Plan, now: datetime) -> Plan:
    """Failed, with all that was running in it: nobody knows any more what has become of it."""
    closed = _closed(plan, Turn(now=now, event=Resumed()))
    return attrs.evolve(closed, reason=Reason.EXCEEDED_RECOVERY)


def _repaired(item: Any, turn: Turn) -> Any:
    """Innermost first; only what runs is changed."""
    if item.state.status is not Status.RUNNING:
        return item
    if isinstance(item, Action):
        return _action(item, turn)
    item = with_parts(item, lambda part: _repaired(part, turn))
    if isinstance(item, Plan | Block | DeferredActions):
        return item
    statuses = {action.state.status for action in item.actions}
    if statuses & {Status.FAILED, Status.STOPPED} or statuses == {Status.COMPLETED}:
        return ended(with_parts(item, lambda action: _cut_off(action, turn)), worst(statuses), turn)
    if isinstance(item, Checks):
        fresh = tuple(attrs.evolve(action, attempts=(), state=State()) for action in item.actions)
        return attrs.evolve(item, actions=fresh, state=State())
    return attrs.evolve(item, state=State()) if statuses == {Status.NOT_STARTED} else item


def _action(action: Action, turn: Turn) -> Action:
    attempts = tuple(attempt for attempt in action.attempts if attempt.end)
    if not attempts:
        return attrs.evolve(action, attempts=(), state=State())
    last = attempts[-1]
    action = attrs.evolve(action, attempts=attempts)
    if last.error is None:
        return ended(action, Status.COMPLETED, attrs.evolve(turn, now=last.end or turn.now))
    if last.error.permanent or len(attempts) > action.retries:
        return ended(action, Status.FAILED, turn)
    return action


def _cut_off(action: Action, turn: Turn) -> Action:
    return ended(action, Status.STOPPED, turn) if action.state.status is Status.RUNNING else action


def _closed(item: Kind, turn: Turn) -> Kind:
    item = with_parts(item, lambda part: _closed(part, turn))
    return ended(item, Status.FAILED, turn) if item.state.status is Status.RUNNING else without_wait(item)
