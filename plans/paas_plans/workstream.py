"""The public face: plans are submitted, started, watched and stopped here, and recovered after a crash.

A plan that is started becomes a `Run` (`running`), which tells the machine what happens, stores what that
changes (`document.changes`), and only then calls plugins (`calls`), up to its end. After a crash `_recover`
makes runs of those that were running.

Leaving a workstream is not Stop: what runs stays running in the store, and goes on in the next one.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Self
from uuid import UUID

from paas_plans import errors, machine
from paas_plans.document import changes, document, plan_of
from paas_plans.machine.moves import Begun, Event, Resumed, StillAlive, StopAsked
from paas_plans.plan import LONGEST, Plan, Status
from paas_plans.registry import Registry
from paas_plans.running import Run, World
from paas_plans.stores.protocol import Document, Filter, Store, Summary
from paas_plans.validation import complaints_of_start, ready_to_submit
from paas_plans.walk import last_update

log = logging.getLogger(__name__)

_HALF_AN_HOUR = timedelta(minutes=30)
_SILENCE = timedelta(minutes=5)  # after which a plan in which nothing changed is recorded as alive
_LEAVING_SECONDS = 1.0
_EVERYTHING = Filter()


class Workstream:
    """The plans of one store, run by the plugins of one registry; used by `async with`.

    Plans that were running go on, unless `recovery` is off. One of which nothing was recorded for longer than
    `oldest_recovered` fails instead; one that was submitted longer ago than `oldest_started` is not started;
    one that ended longer ago than `keep_ended` is deleted. Each of them may be None: however long.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        *,
        recovery: bool = True,
        oldest_recovered: timedelta | None = _HALF_AN_HOUR,
        oldest_started: timedelta | None = _HALF_AN_HOUR,
        keep_ended: timedelta | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        if not hasattr(store, "open") or not isinstance(registry, Registry):
            raise TypeError(
                f"say Workstream(SQLiteStore(path), Registry(plugin)), not {store!r}, {registry!r}"
            )
        for limit in (oldest_recovered, oldest_started, keep_ended):
            if not isinstance(limit, timedelta | None):
                raise TypeError(f"{limit!r} is no time: timedelta(days=30) is one")
        self._world = World(store=store, registry=registry, now=now, chance=chance)
        self._recovery, self._oldest_recovered = recovery, oldest_recovered
        self._oldest_started, self._keep_ended = oldest_started, keep_ended
        self._runs: dict[UUID, Run] = {}
        self._left: dict[UUID, str] = {}
        self._starts: dict[UUID, asyncio.Task[None]] = {}
        self._chores: list[asyncio.Task[None]] = []
        self._is_open = False

    async def __aenter__(self) -> Self:
        """Ready, with every plan that was running taken over; raises `StoreError`, `PluginUnusableError`."""
        await self._world.store.open(running_plans=True)
        self._is_open = True
        try:
            await self._world.registry.init()
            if self._recovery:
                running = Filter(statuses=frozenset({Status.RUNNING}))
                found = [summary.id async for summary in self._world.store.search(running)]
                stops = await self._world.store.asked_to_stop()
                await asyncio.gather(*(self._recover(each, stop_asked=each in stops) for each in found))
        except BaseException:
            await self.__aexit__()
            raise
        chores = ((1, self._pass_on_stops), (10, self._tell_alive), (3600, self._delete_old))
        self._chores = [asyncio.create_task(self._repeat(*chore)) for chore in chores]
        return self

    async def __aexit__(self, *unused: object) -> None:
        self._is_open = False
        runs, others = [run.task for run in self._runs.values()], [*self._starts.values(), *self._chores]
        for run in tuple(self._runs.values()):
            run.leave()
        for task in others:
            task.cancel()
        try:
            late = {*runs, *others, *self._world.calls}
            for _ in range(2):
                if late:
                    _, late = await asyncio.wait(late, timeout=_LEAVING_SECONDS / 2)
                for task in late:
                    task.cancel()
            if late:
                names = sorted({task.get_name() for task in late})
                log.warning("left behind, as it does not end when it is canceled: %s", ", ".join(names))
        finally:
            await self._world.store.close()

    # --- plans ----------------------------------------------------------------------------------------------

    async def submit(self, plan: Plan) -> UUID:
        """Store it, to be started; raises `PlanRefusedError`. Nothing runs yet."""
        store, whole = self._store(), self._ready(plan)
        await store.create(whole)
        return whole.summary.id

    async def start(self, plan_id: UUID) -> None:
        """Run it, once: to a plan that runs or has ended nothing happens. Returns when that is recorded.

        Raises `NoSuchPlanError`, `StalePlanError` and `PlanRefusedError`. It runs on if this is canceled.
        """
        self._store()
        if plan_id not in self._starts and plan_id not in self._runs:
            begun = self._starts[plan_id] = asyncio.create_task(self._start(plan_id))
            begun.add_done_callback(partial(self._started, plan_id))
        if starting := self._starts.get(plan_id):
            await asyncio.wait([starting])
            self._store()
            starting.result()

    async def run(self, plan: Plan) -> Plan:
        """Submit it, start it, and wait for its end; the first two are one step of the store."""
        whole = self._ready(plan)
        plan = plan_of(whole, self._world.registry, self._store().cipher)
        await self._launch(plan, Begun(), new=whole)
        return await self.wait(plan.id)

    async def plan(self, plan_id: UUID) -> Plan:
        """As it is stored; raises `NoSuchPlanError`, and `DocumentError` if a plugin's types have changed."""
        store = self._store()
        if not isinstance(plan_id, UUID):
            raise TypeError(f"an id is a UUID, not of the type {type(plan_id).__name__}")
        return plan_of(await store.read(plan_id), self._world.registry, store.cipher)

    async def wait(self, plan_id: UUID) -> Plan:
        """The plan at its end; raises `NotStartedError` where nothing here leads to one."""
        if plan_id in self._starts:
            await self.start(plan_id)
        if run := self._runs.get(plan_id):
            await asyncio.wait([run.task])
            if run.plan.state.status.is_terminal:
                return run.plan
        plan = await self.plan(plan_id)
        if not plan.state.status.is_terminal:
            raise errors.NotStartedError(f"plan {plan_id} is {plan.state.status.words}, and is not run here")
        return plan

    async def status(self, plan_id: UUID, interval: timedelta) -> AsyncIterator[Plan]:
        """The plan as it is stored, now and after every interval, up to the first time that it has ended."""
        while not (plan := await self.plan(plan_id)).state.status.is_terminal:
            yield plan
            await asyncio.sleep(interval.total_seconds())
        yield plan

    async def stop(self, plan_id: UUID) -> None:
        """Launch nothing further of it; what runs ends, and what is deferred is done. See `wait` for its end.

        That it was asked for outlives the process. Of a plan that has ended nothing happens.
        """
        plan = await self.plan(plan_id)
        if plan.state.status is Status.NOT_STARTED:
            raise errors.NotStartedError(f"plan {plan_id} is not started, so there is nothing to stop")
        if plan.state.status is Status.RUNNING:
            await self._store().ask_to_stop(plan_id)
            await self._pass_on_stops()

    def search(self, wanted: Filter = _EVERYTHING, *, limit: int | None = None) -> AsyncIterator[Summary]:
        """Newest submission first."""
        return self._store().search(wanted, limit=limit)

    async def delete(self, plan_id: UUID) -> None:
        """Raises `NoSuchPlanError`, and `PlanRunningError` for one that has to be stopped before."""
        running = Filter(ids=frozenset({plan_id}), statuses=frozenset({Status.RUNNING}))
        runs = [summary async for summary in self.search(running)] and plan_id not in self._left
        if runs or plan_id in self._starts or plan_id in self._runs:  # nothing can begin after this
            raise errors.PlanRunningError(plan_id)
        await self._store().delete(plan_id)
        self._left.pop(plan_id, None)

    def health(self) -> tuple[str, ...]:
        """What keeps plans from going on at present, in words."""
        return tuple(sorted({*self._world.failing.values(), *self._left.values()}))

    # --- how they begin -------------------------------------------------------------------------------------

    def _store(self) -> Store:
        if not self._is_open:
            raise errors.ClosedError
        return self._world.store

    def _started(self, plan_id: UUID, start: asyncio.Task[None]) -> None:
        del self._starts[plan_id]
        if not start.cancelled():
            start.exception()  # is known, even if nobody waits for it any more

    async def _start(self, plan_id: UUID) -> None:
        plan, limit = await self.plan(plan_id), self._oldest_started
        if plan.state.status is not Status.NOT_STARTED:
            return
        if limit is not None and plan.submitted and self._world.now() - plan.submitted > limit:
            raise errors.StalePlanError(f"plan {plan_id} was submitted {plan.submitted}, {limit} ago or more")
        if complaints := complaints_of_start(plan, self._world.registry):
            raise errors.PlanRefusedError(plan.name, complaints)
        await self._launch(plan, Begun())

    async def _recover(self, plan_id: UUID, *, stop_asked: bool) -> None:
        try:
            plan, now, limit = await self.plan(plan_id), self._world.now(), self._oldest_recovered
            last = last_update(plan) or now
            if limit is None or now - last <= limit:
                await self._launch(plan, Resumed(stop_asked=stop_asked))
                return
            log.warning("plan %s fails: it was last heard of %s, more than %s ago", plan_id, last, limit)
            store, closed = self._store(), machine.closed_as_too_old(plan, now)
            await store.save(changes(plan, closed, store.cipher, now))
        except (errors.ClosedError, errors.StoreError):
            raise
        except Exception as error:
            self._left[plan_id] = f"plan {plan_id} is left as it is: {error}"
            log.error("%s", self._left[plan_id], exc_info=not isinstance(error, errors.PlansError))

    def _ready(self, plan: Plan) -> Document:
        store, world = self._store(), self._world
        return document(ready_to_submit(plan, world.registry, world.now()), store.cipher)

    async def _launch(self, plan: Plan, first: Event, *, new: Document | None = None) -> None:
        self._store()
        run = self._runs[plan.id] = Run(plan, first, self._world, new=new)
        run.task.add_done_callback(lambda _: self._runs.pop(plan.id))
        await run.has_begun.wait()

    # --- chores ---------------------------------------------------------------------------------------------

    async def _repeat(self, seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await chore()
                self._world.works(chore)
            except errors.StoreError as error:
                self._world.fails(chore, error)
            except Exception:
                log.exception("a chore of the workstream fails, by a defect of this library")
            await asyncio.sleep(seconds)

    async def _pass_on_stops(self) -> None:
        for plan_id in await self._world.store.asked_to_stop() if self._runs else ():
            run = self._runs.get(plan_id)
            if run and run.plan.stop_requested is None:
                run.tell(StopAsked())

    async def _tell_alive(self) -> None:
        for run in self._runs.values():
            if self._world.now() - run.recorded > _SILENCE:
                run.tell(StillAlive())

    async def _delete_old(self) -> None:
        if self._keep_ended is not None:
            await self._world.store.delete_ended(self._world.now() - min(self._keep_ended, LONGEST))
