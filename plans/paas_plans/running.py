"""One running plan: the machine is told what happens, what it changes is recorded, and only then is it done.

While the store cannot be written the plan stands still, and the write is repeated.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import attrs

from paas_plans import machine
from paas_plans.calls import Call, Outcome
from paas_plans.document import changes
from paas_plans.errors import NoSuchPlanError, PlanExistsError, StoreError
from paas_plans.machine.moves import AttemptEnded, Due, Effect, Event, Resumed, WakeAt
from paas_plans.plan import ActionError, Attempt, Path, Plan, Reason
from paas_plans.plugin import SECONDS, Context
from paas_plans.registry import Registry
from paas_plans.stores.protocol import Changes, Document, Store
from paas_plans.walk import at

log = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = 60.0  # clocks are set, and machines sleep: then a timer has to look again
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 10.0  # between attempts to write


@attrs.frozen(eq=False)
class World:
    """What all running plans of a workstream share."""

    store: Store
    registry: Registry
    now: Callable[[], datetime]
    chance: Callable[[], float]
    failing: dict[object, str] = attrs.field(factory=dict)
    """Who cannot use the store at present, and why."""
    calls: set[asyncio.Task[None]] = attrs.field(factory=set)
    """Of plugins; those that were given up are in it until they have really ended."""

    def fails(self, who: object, error: StoreError) -> None:
        """Logged once, however many plans wait, and for however long."""
        if not self.failing:
            log.error("the store cannot be used, so plans stand still until it can: %s", error)
        self.failing[who] = str(error)

    def works(self, who: object) -> None:
        if self.failing.pop(who, None) is not None and not self.failing:
            log.warning("the store can be used again: plans go on")


class Run:
    """A plan on its way; `plan` is how it was recorded last, at the time `recorded`."""

    def __init__(self, plan: Plan, first: Event, world: World, *, new: Document | None = None) -> None:
        """`new` is a plan that is not stored yet: it is, with its first step."""
        self.plan, self._new = plan, new
        self.recorded = world.now()
        self.has_begun = asyncio.Event()
        self._world = world
        self._events = [first]
        self._woken = asyncio.Event()
        self._woken.set()
        self._is_leaving = False
        self._calls: dict[Path, Call] = {}
        self._timers: dict[Path, asyncio.TimerHandle] = {}
        self.task = asyncio.create_task(self._go(), name=f"plan {plan.id}")

    def tell(self, event: Event) -> None:
        self._events.append(event)
        self._woken.set()

    def leave(self) -> None:
        """The process ends: what is known is recorded, and nothing further done."""
        self._is_leaving = True
        self._woken.set()
        self._let_go()

    async def _go(self) -> None:
        try:
            while not self.plan.state.status.is_terminal and not self._is_leaving:
                await self._woken.wait()
                await self._turn()
        except NoSuchPlanError:
            log.warning("plan %s was deleted while it ran: it ends here", self.plan.id)
        except Exception:
            log.exception("plan %s cannot go on, by a defect of this library", self.plan.id)
            await self._fail()
        finally:
            self._let_go()
            self._world.failing.pop(self, None)
            self.has_begun.set()

    async def _turn(self) -> None:
        self._woken.clear()
        plan, effects, now = self.plan, list[Effect](), self._world.now()
        events, self._events = self._events, []
        for event in events:
            plan = machine.repaired(plan, now) if isinstance(event, Resumed) else plan
            plan, more = machine.step(plan, event, now)
            effects += more
        if plan is not self.plan:
            await self._record(plan)
        self.has_begun.set()
        for effect in () if self._is_leaving else effects:
            if isinstance(effect, WakeAt):
                self._wake_at(effect.path, effect.when)
            else:
                self._call(effect.path)

    async def _record(self, plan: Plan) -> None:
        world, pause = self._world, FIRST_PAUSE_SECONDS
        changed = changes(self.plan, plan, world.store.cipher, world.now())
        while True:
            try:
                await self._write(changed)
                break
            except StoreError as error:
                world.fails(self, error)
            await asyncio.sleep(pause * (0.5 + world.chance()))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        world.works(self)
        self.plan, self.recorded = plan, world.now()

    async def _write(self, changed: Changes) -> None:
        if self._new is None:
            await self._world.store.save(changed)
        else:
            whole = attrs.evolve(self._new, summary=changed.summary, states=changed.states)
            with suppress(PlanExistsError):  # by an attempt of which it was not known
                await self._world.store.create(whole)
            self._new = None

    async def _fail(self) -> None:
        try:
            closed = machine.closed_as_too_old(self.plan, self._world.now())
            await self._record(attrs.evolve(closed, reason=Reason.UNKNOWN))
        except Exception:
            log.exception("plan %s cannot be marked as failed either: it is left as it is", self.plan.id)

    def _let_go(self) -> None:
        for waiting in (self._calls, self._timers):
            while waiting:
                waiting.popitem()[1].cancel()

    # --- what is done for it --------------------------------------------------------------------------------

    def _wake_at(self, path: Path, when: datetime) -> None:
        seconds = (when - self._world.now()).total_seconds()
        if earlier := self._timers.pop(path, None):
            earlier.cancel()
        if seconds <= 0:
            self.tell(Due(path))
        else:
            loop, seconds = asyncio.get_running_loop(), min(seconds, LONGEST_SLEEP_SECONDS)
            self._timers[path] = loop.call_later(seconds, self._wake_at, path, when)

    def _call(self, path: Path) -> None:
        world, action = self._world, at(self.plan, path)
        start, number, seconds = world.now(), len(action.attempts) + 1, action.timeout.total_seconds()
        plugin = world.registry.find(action.plugin)
        policy = plugin.policy if plugin else SECONDS
        pause = policy.pause(number, world.chance())

        def told(outcome: Outcome) -> None:
            response, error = outcome
            self._calls.pop(path, None)
            attempt = Attempt(start=start, end=world.now(), response=response, error=error)
            self.tell(AttemptEnded(path, attempt, pause))

        if plugin is None:
            told((None, ActionError(message=f"no plugin has the name {action.plugin!r}", permanent=True)))
            return
        context = Context(
            plan_id=self.plan.id, action_id=action.id, attempt=number, deadline=start + action.timeout
        )
        call = self._calls[path] = Call(plugin, action.request, context, seconds=seconds, told=told)
        world.calls.add(call.task)
        call.task.add_done_callback(world.calls.discard)
