"""Plans and worlds drawn from a seed: as `made_up_worlds`, but fast, and for ever the same for one seed."""

import random
from datetime import timedelta

from paas_plans.plan import (
    UNLIMITED,
    Action,
    Block,
    CheckKind,
    Checks,
    DeferredActions,
    DeferredBatch,
    Plan,
    Sequence,
    When,
)

from tests.plans.made_up_worlds import Behaviour, Case


class Draw:
    """One case after the other; names differ in all of them."""

    def __init__(self, rng: random.Random, *, trouble: float) -> None:
        """`trouble` is the share of actions that do not simply succeed."""
        self.rng, self._trouble = rng, trouble
        self._number = 0
        self._behaviours: dict[str, Behaviour] = {}

    def case(self) -> Case:
        self._behaviours = {}
        whens = [when for when in When for _ in range(self.rng.choice([0, 0, 1, 1, 2]))]
        batches = tuple(self._batch(when) for when in whens)
        plan = Plan(
            **self._named("plan"),
            blocks=tuple(self._block() for _ in range(self.rng.choice([1, 1, 2, 3]))),
            deferred_actions=DeferredActions(batches=batches) if batches else None,
            **self._all_checks(),
        )
        return Case(plan, self._behaviours)

    def _named(self, kind: str) -> dict[str, str]:
        self._number += 1
        return {"name": f"{kind} {self._number}", "description": "-"}

    def _actions(self, plugin: str, trouble: float | None = None) -> tuple[Action, ...]:
        trouble = self._trouble if trouble is None else trouble
        return tuple(self._action(plugin, trouble) for _ in range(self.rng.choice([1, 1, 2, 3])))

    def _action(self, plugin: str, trouble: float) -> Action:
        named, rng = self._named("action"), self.rng
        seconds = rng.choice([0, 0.1, 1, 1, 3, 20])
        failures, permanent = 0, False
        if rng.random() < trouble:
            failures, permanent = rng.choice([(1, False), (1, False), (2, False), (9, False), (1, True)])
            seconds = rng.choice([seconds, seconds, 100])  # beyond the deadline
        self._behaviours[named["name"]] = Behaviour(failures, permanent, seconds)
        return Action(
            **named,
            plugin=plugin,
            request=named["name"],
            timeout=timedelta(seconds=rng.choice([5, 30, 30])),
            retries=rng.choice([0, 1, 2]),
        )

    def _all_checks(self) -> dict[str, Checks]:
        kinds = [kind for kind in CheckKind if self.rng.random() < 0.4]
        return {
            kind.field: Checks(
                actions=self._actions("tests.looks", 0.9 if kind is CheckKind.BYPASS else self._trouble / 2),
                delay=timedelta(seconds=self.rng.choice([1, 5, 45])),
            )
            for kind in kinds
        }

    def _block(self) -> Block:
        rng = self.rng
        return Block(
            **self._named("block"),
            sequences=tuple(
                Sequence(**self._named("sequence"), actions=self._actions("tests.does"))
                for _ in range(rng.choice([1, 2, 3, 6]))
            ),
            entrance_delay=timedelta(seconds=rng.choice([0, 0, 60])),
            exit_delay=timedelta(seconds=rng.choice([0, 0, 60])),
            concurrency=rng.choice([1, 2, 3]),
            tolerated_failures=rng.choice([0, 0, 1, UNLIMITED]),
            **self._all_checks(),
        )

    def _batch(self, when: When) -> DeferredBatch:
        return DeferredBatch(
            **self._named("batch"),
            when=when,
            actions=self._actions("tests.does_other"),
            fail_plan=self.rng.random() < 0.5,
        )
