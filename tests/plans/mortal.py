"""Processes that are killed, in virtual time: a store that dies with its process, and a record of it all.

The record is the world's own: what was really called, and what was really on the disk at that moment. Whether
a promise was kept is judged by it, not by what the engine says of itself.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from uuid import UUID

import attrs
from paas_plans.plan import Action, DeferredBatch, Plan, Sequence, Status, When
from paas_plans.plugin import SECONDS, BasePlugin, Context, PluginError, Policy
from paas_plans.stores.memory import MemoryStore
from paas_plans.stores.protocol import Changes, Document
from paas_plans.walk import items, walk

from tests.plans.invariants import assert_consistent
from tests.plans.made_up_worlds import Behaviour, Case


async def for_ever() -> NoReturn:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


class Life:
    """One process: once it is killed nothing of it reaches the store any more."""

    def __init__(self, number: int, kills_at: int | None = None) -> None:
        """It may be killed at a write: 0 is before the first, 1 after it, 2 before the second, and so on."""
        self.number = number
        self.is_dead = False
        self.points = 0
        self._kills_at = kills_at
        self._killed = asyncio.Event()
        self._outside = asyncio.all_tasks()

    def kill(self) -> None:
        self.is_dead = True
        self._killed.set()

    async def is_killed(self) -> None:
        await self._killed.wait()

    async def point(self) -> None:
        """A moment at which it may be killed."""
        if self._kills_at == self.points and not self.is_dead:
            self.kill()
        self.points += 1
        await self.goes_on()

    async def goes_on(self) -> None:
        if self.is_dead:
            await for_ever()

    async def bury(self, disk: MemoryStore) -> None:
        """Its tasks are gone, and so is its hold on the store."""
        for _ in range(10):
            tasks = asyncio.all_tasks() - self._outside
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)
            if not tasks:
                break
        await disk.close()


@attrs.define(eq=False)
class Called:
    """One call of a plugin."""

    action: str
    attempt: int
    life: Life
    was_running: bool
    """Whether that was on the disk."""
    started: int
    ended: int | None = None
    succeeded: bool = False
    recorded: int | None = None
    """When a state of its action was on the disk that had been written after its end."""


@attrs.define
class Record:
    """What was really done: of each call, and in which order of all that happened."""

    calls: list[Called] = attrs.field(factory=list)
    stored: dict[UUID, str] = attrs.field(factory=dict)
    """The state of each object that is on the disk."""
    in_flight: dict[str, set[Called]] = attrs.field(factory=lambda: defaultdict(set))
    complaints: list[str] = attrs.field(factory=list)
    names: dict[UUID, str] = attrs.field(factory=dict)
    rows: dict[str, tuple[str, int]] = attrs.field(factory=dict)
    """Of each action in a sequence: its block, and how many sequences of that may run."""
    row_of: dict[str, str] = attrs.field(factory=dict)
    stops: dict[str, int] = attrs.field(factory=dict)
    """Of each plan, the life in which somebody was told that it is asked to stop."""
    moments: int = 0

    def knows(self, plan: Plan) -> None:
        for step in walk(plan):
            row = step.parents[-1] if step.parents else None
            if isinstance(step.item, Action) and isinstance(row, Sequence | DeferredBatch):
                self.row_of[step.item.name] = row.name
            if isinstance(step.item, Action) and isinstance(row, Sequence):
                block = step.parents[-2]
                self.rows[step.item.name] = (block.name, block.concurrency)

    def now(self) -> int:
        self.moments += 1
        return self.moments

    def begins(self, action: str, context: Context, life: Life) -> Called:
        stored = self.stored.get(context.action_id, "")
        self.names[context.action_id] = action
        call = Called(action, context.attempt, life, '"running"' in stored, self.now())
        if any(other.life is life for other in self.in_flight[action]):
            self.complaints.append(f"{action} is called twice at once")
        self.in_flight[action].add(call)
        self.calls.append(call)
        block, most = self.rows.get(action, ("", 1))
        if block:
            flying = {
                self.row_of[name]
                for name, calls in self.in_flight.items()
                if self.rows.get(name, ("", 1))[0] == block and any(one.life is life for one in calls)
            }
            if len(flying) > most:
                self.complaints.append(f"{block} runs {len(flying)} sequences at once, not {most}")
        return call

    def ends(self, call: Called, *, succeeded: bool) -> None:
        self.in_flight[call.action].discard(call)
        if not call.life.is_dead:
            call.ended, call.succeeded = self.now(), succeeded

    def ended_of(self, life: Life, changes: Changes) -> list[Called]:
        """The calls whose end these changes of the process tell."""
        told = {self.names.get(key) for key in changes.states}
        mine = (call for call in self.calls if call.life is life and call.action in told)
        return [call for call in mine if call.ended and not call.recorded]

    def are_recorded(self, calls: list[Called]) -> None:
        for call in calls:
            call.recorded = self.now()


@attrs.define(eq=False)
class MortalStore:
    """What one process has of the disk."""

    disk: MemoryStore
    life: Life
    record: Record

    @property
    def cipher(self) -> None:
        return None

    async def open(self, *, running_plans: bool) -> None:
        await self.life.goes_on()
        await self.disk.open(running_plans=running_plans)

    async def close(self) -> None:
        await self.life.goes_on()
        await self.disk.close()

    async def create(self, document: Document) -> None:
        async def write() -> None:
            await self.disk.create(document)
            self.record.stored.update(document.states)

        await self.writes(write)

    async def save(self, changes: Changes) -> None:
        calls = self.record.ended_of(self.life, changes)

        async def write() -> None:
            await self.disk.save(changes)
            self.record.stored.update(changes.states)
            self.record.are_recorded(calls)

        await self.writes(write)

    async def ask_to_stop(self, plan_id: UUID) -> None:
        await self.writes(lambda: self.disk.ask_to_stop(plan_id))

    async def writes(self, write: Callable[[], Any]) -> None:
        await self.life.point()
        await write()
        await self.life.point()

    async def read(self, plan_id: UUID) -> Document:
        await self.reads()
        return await self.disk.read(plan_id)

    async def exists(self, plan_id: UUID) -> bool:
        await self.reads()
        return await self.disk.exists(plan_id)

    async def search(self, wanted: Any, *, limit: int | None = None) -> Any:
        await self.reads()
        async for summary in self.disk.search(wanted, limit=limit):
            yield summary

    async def asked_to_stop(self) -> frozenset[UUID]:
        await self.reads()
        return await self.disk.asked_to_stop()

    async def delete(self, plan_id: UUID) -> None:
        await self.writes(lambda: self.disk.delete(plan_id))

    async def delete_ended(self, before: Any) -> int:
        await self.reads()
        return await self.disk.delete_ended(before)

    async def reads(self) -> None:
        await self.life.goes_on()


class UnspeakableError(Exception):
    """It cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


ODD_ERRORS: tuple[Callable[[], BaseException], ...] = (
    lambda: PluginError("it failed", code=7),
    lambda: ValueError("an odd value"),
    lambda: SystemExit(3),
    TimeoutError,
    asyncio.CancelledError,
    lambda: ExceptionGroup("several", [KeyError("x"), OSError("y")]),
    UnspeakableError,
)


LONG = 60
DEFERRED = ("deferred_actions", "deferred_checks")
PLUGINS = ("tests.does", "tests.does_other", "tests.looks")


class Does(BasePlugin):
    """What the world has in store for the action whose name it is asked with."""

    request_type: Any = str
    response_type: Any = str
    policy: Policy = SECONDS

    def __init__(self, name: str, behaviours: dict[str, Behaviour], record: Record, life: Life) -> None:
        self._name, self._behaviours, self._record, self._life = name, behaviours, record, life
        self.is_check = name == "tests.looks"

    @property
    def name(self) -> str:
        return self._name

    async def execute(self, request: str, context: Context) -> Any:
        call, succeeded = self._record.begins(request, context, self._life), False
        behaviour, number = self._behaviours[request], sum(map(ord, request))
        try:
            await asyncio.sleep(behaviour.seconds)
            if context.attempt <= behaviour.failures:
                if behaviour.permanent and number % 2:
                    return 42  # of the wrong type
                if behaviour.permanent:
                    raise PluginError("it cannot work", permanent=True)
                odd_error = ODD_ERRORS[number % len(ODD_ERRORS)]
                raise odd_error()
            succeeded = True
            return f"{request} is done"
        finally:
            self._record.ends(call, succeeded=succeeded)
            if behaviour.seconds > LONG and number % 2:
                await asyncio.sleep(LONG)  # it does not care that it was given up


# --- what was promised -----------------------------------------------------------------------------------


def broken_promises(case: Case, record: Record, ended: Plan, *, clock_jumped: bool = False) -> list[str]:
    """All of this plan."""
    told = [*_of_calls(case, record), *_of_a_stop(case, record), *_of_the_end(case, record, ended)]
    try:
        assert_consistent(ended, clock_jumped=clock_jumped)
    except AssertionError as error:
        told.append(str(error))
    return told


def _of_calls(case: Case, record: Record) -> Iterator[str]:
    calls: dict[str, list[Called]] = defaultdict(list)
    for call in record.calls:
        calls[call.action].append(call)
    for step in walk(case.plan):
        if not isinstance(step.item, Action):
            continue
        of_it, is_check = calls[step.item.name], any("checks" in str(name) for name in step.path)
        if not all(call.was_running for call in of_it):
            yield f"{step.item.name} is called before it is recorded to run"
        if not is_check:
            yield from _of_action(step.item, of_it)
            index = int(step.path[-1])
            before = step.parents[-1].actions[index - 1] if index else None
            done = [call.recorded for call in calls[before.name] if call.succeeded] if before else []
            if before and of_it and not any(when and when < of_it[0].started for when in done):
                yield f"{step.item.name} is called before {before.name} is recorded to be done"
        row = step.parents[-1]
        if not is_check and step.item is row.actions[0]:
            yield from _of_row(row, calls)


def _of_action(action: Action, calls: list[Called]) -> Iterator[str]:
    for index, call in enumerate(calls):
        again = calls[index + 1 :]
        if call.succeeded and call.recorded and any(other.started > call.recorded for other in again):
            yield f"{action.name} is called again after it is recorded to be done"
        if any(other.life is call.life and other.attempt <= call.attempt for other in again):
            yield f"{action.name} is called again by the same process"
    if max((call.attempt for call in calls), default=0) > action.retries + 1:
        yield f"{action.name} has more attempts than retries"


def _of_row(row: Any, calls: dict[str, list[Called]]) -> Iterator[str]:
    of_row = [call for action in row.actions for call in calls[action.name]]
    earlier: set[tuple[str, int]] = set()
    for number in sorted({call.life.number for call in of_row}):
        made = {(call.action, call.attempt) for call in of_row if call.life.number == number}
        if len(made & earlier) > 1:
            yield f"{row.name}: life {number} calls again {sorted(made & earlier)}"
        earlier |= made


def _of_a_stop(case: Case, record: Record) -> Iterator[str]:
    """What was not begun in the life in which it was asked for is not begun in a later one."""
    last = record.stops.get(case.plan.name)
    work = {
        step.item.name
        for step in walk(case.plan)
        if isinstance(step.item, Action) and not any(name in DEFERRED for name in step.path)
    }
    begun = set()
    for call in record.calls:
        if last is not None and call.life.number > last and call.action in work - begun:
            yield f"{call.action} is begun though the plan had been asked to stop"
        begun.add(call.action)


def _of_the_end(case: Case, record: Record, ended: Plan) -> Iterator[str]:
    counts = Counter(call.action for call in record.calls)
    ending = (ended.state.status, ended.reason)
    if not ended.state.status.is_terminal:
        yield f"it is {ended.state.status!r}"
    elif ended.stop_requested is None and ending != case.ending():
        yield f"it ended as {ending}, not {case.ending()}"
    if case.succeeds(case.plan.bypass_checks) and ended.stop_requested is None:
        bypass = {action.name for action in case.plan.bypass_checks.actions}
        others = {action.name for action in items(case.plan, Action)} - bypass
        if any(counts[name] for name in others):
            yield "it is bypassed, and something of it was called"
        return
    if ended.bypass_checks and ended.bypass_checks.state.status is Status.COMPLETED:
        return
    deferred = case.plan.deferred_actions
    for batch in deferred.batches if deferred else ():
        if batch.when is When.ALWAYS and not counts[batch.actions[0].name]:
            yield f"{batch.name}, which is always to run, did not"
    called = {
        batch.when
        for batch in (deferred.batches if deferred else ())
        if any(counts[action.name] for action in batch.actions)
    }
    if {When.ON_SUCCESS, When.ON_FAILURE} <= called:
        yield "batches of both outcomes were called"
    checks = case.plan.deferred_checks
    if checks and not all(counts[action.name] for action in checks.actions):
        yield "deferred checks did not run"
