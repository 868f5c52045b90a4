"""Workstreams in virtual time, and a store that fails when it is told to."""

import asyncio
from typing import Any

import attrs
from paas_plans.errors import StoreError
from paas_plans.plan import Action, Plan, Status
from paas_plans.plugin import Plugin
from paas_plans.registry import Registry
from paas_plans.stores.memory import MemoryStore
from paas_plans.stores.protocol import Changes, Store
from paas_plans.walk import items
from paas_plans.workstream import Workstream

from paas_runner.testing.virtual_time import virtual_now


def workstream(store: Store, *plugins: Plugin, **options: Any) -> Workstream:
    return Workstream(store, Registry(*plugins), **({"now": virtual_now, "chance": lambda: 0.5} | options))


def seconds() -> float:
    """Since the test began."""
    return asyncio.get_running_loop().time()


def ended(plan: Plan) -> dict[str, Status]:
    """The status of each action, by its name."""
    return {action.name: action.state.status for action in items(plan, Action)}


@attrs.define(eq=False)
class FailingStore(MemoryStore):
    """In memory; `save` fails while `is_broken`, and waits while `is_slow`."""

    saved: list[Changes] = attrs.field(factory=list)
    tries: list[float] = attrs.field(factory=list)
    is_broken: bool = False
    is_fast: asyncio.Event = attrs.field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        MemoryStore.__init__(self)
        self.is_fast.set()

    async def save(self, changes: Changes) -> None:
        self.tries.append(seconds())
        await self.is_fast.wait()
        if self.is_broken:
            raise StoreError("the disk is full")
        await super().save(changes)
        self.saved.append(changes)
