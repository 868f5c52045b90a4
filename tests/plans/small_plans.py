"""Short ways to write plans in tests: an action's name is its plugin's, too."""

from typing import Any

import attrs
from paas_plans.plan import Action, Block, Checks, DeferredActions, DeferredBatch, Plan, Sequence, When
from paas_plans.walk import replaced, walk


def action(name: str, **others: Any) -> Action:
    return Action(name=name, description="-", plugin=others.pop("plugin", name), **others)


def checks(*names: str, **others: Any) -> Checks:
    return Checks(actions=tuple(action(name) for name in names), **others)


def sequence(*names: str, **others: Any) -> Sequence:
    return Sequence(
        name=f"sequence {names[0]}", description="-", actions=tuple(action(name, **others) for name in names)
    )


def block(*sequences: Sequence, **others: Any) -> Block:
    return Block(name="block", description="-", sequences=sequences, **others)


def batch(when: When, *names: str, **others: Any) -> DeferredBatch:
    return DeferredBatch(
        name=f"batch {names[0]}",
        description="-",
        when=when,
        actions=tuple(action(name) for name in names),
        **others,
    )


def plan(*blocks: Block, batches: tuple[DeferredBatch, ...] = (), **others: Any) -> Plan:
    deferred = DeferredActions(batches=batches) if batches else None
    return Plan(name="plan", description="-", blocks=blocks, deferred_actions=deferred, **others)


def asked_by_name(plan: Plan) -> Plan:
    """The same where the request of each action is its name."""
    for step in list(walk(plan)):
        if isinstance(step.item, Action):
            plan = replaced(plan, step.path, attrs.evolve(step.item, request=step.item.name))
    return plan
