"""What the server opens to be started by others: hooks, schedules and the ends of runs, through one queue.

One loop: it plans the moments that have come, claims what is new, waits for the disk, and handles it. What is
our own comes first, and of deliveries a bounded number, so that nothing else waits for them. New events and
definitions wake it, and without any it looks every half minute, so that a clock that was set is noticed.
Level-triggered: what is to be done is read from the records, after a crash as ever.
"""

import asyncio
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs
import structlog

from paas_pipelines.access.actor import Actor
from paas_pipelines.definitions.automation import Trigger
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.runs.engine import Engine
from paas_pipelines.store.journal import Journal
from paas_pipelines.triggers import moments
from paas_pipelines.triggers.event import Event, EventState, Identity
from paas_pipelines.triggers.event_book import EventBook, TriggerState, data_of, released
from paas_pipelines.triggers.handling import Handler
from paas_pipelines.triggers.hooks import Answer, HookLimits, Hooks, NoSecrets, Secrets
from paas_pipelines.triggers.judging import full_name
from paas_pipelines.triggers.scheduling import Scheduler
from paas_runner.loop.timing import Clock, backoff, sleep_until_stopped
from paas_runner.store.protocol import StoreError

log = structlog.stdlib.get_logger(__name__)

LOOK_SECONDS = 30.0
MOST_AT_ONCE = 256
"""Of deliveries, between two looks at all else."""

_FORGET_EVERY = timedelta(minutes=5)


class UnknownTriggerError(LookupError):
    """There is no such pipeline, or it has no such trigger."""


class NotDeadError(Exception):
    """Only a dead event is tried again."""


class Feed:
    """Made by `opened`; `run` is what goes on."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        clock: Clock,
        book: EventBook,
        *,
        secrets: Secrets | None = None,
        limits: HookLimits = HookLimits(),  # noqa: B008 - frozen
    ) -> None:
        self.book = book
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._handler = Handler(engine, book)
        self._scheduler = Scheduler(engine, book)
        self._hooks = Hooks(engine, book, journal, clock=clock, secrets=secrets or NoSecrets(), limits=limits)
        self._news = asyncio.Event()
        self._not_before: dict[str, datetime] = {}
        self._forgotten: datetime | None = None
        self._seen: Mapping[str, Definition] | None = None
        self._rng = random.Random()  # noqa: S311 - of pauses
        book.changed = self._news.set
        engine.book.observers.append(self._handler.run_saved)

    @classmethod
    async def opened(
        cls,
        engine: Engine,
        journal: Journal,
        clock: Clock,
        *,
        secrets: Secrets | None = None,
        limits: HookLimits = HookLimits(),  # noqa: B008 - frozen
    ) -> "Feed":
        """Before the engine recovers, so that it hears of the runs that this ends; raises `StoreError`."""
        book = await EventBook.opened(journal)
        return cls(engine, journal, clock, book, secrets=secrets, limits=limits)

    # --- from outside ------------------------------------------------------------------------------------

    @property
    def limits(self) -> HookLimits:
        return self._hooks.limits

    def use(self, secrets: Secrets) -> None:
        """Who has the secrets of hooks from now on."""
        self._hooks.secrets = secrets

    @property
    def only_github_path(self) -> str:
        """Of `POST /github_webhook`; empty where there is not exactly one."""
        return self._hooks.only_github_path()

    def has_hook(self, path: str) -> bool:
        return bool(self._hooks.at(path))

    async def deliver(self, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
        """A delivery to a hook: what is answered, once it is on the disk."""
        return await self._hooks.deliver(path, headers, body)

    def trigger(self, pipeline: str, trigger: str) -> Trigger:
        """Raises `UnknownTriggerError`."""
        definition = self._engine.definitions.get(pipeline)
        if definition is None or trigger not in definition.triggers:
            raise UnknownTriggerError(full_name(pipeline, trigger))
        return definition.triggers[trigger]

    def fire(self, pipeline: str, trigger: str, user: str, actor: Actor | None = None) -> Event:
        """Start it now, as if its time had come, whatever its condition says; raises `UnknownTriggerError`.

        Whether the run may call others is asked of `actor`, else of the trigger.
        The event is handled soon; `journal.flushed` before telling of it.
        """
        found = self.trigger(pipeline, trigger)
        name = full_name(pipeline, trigger)
        event = Event(
            event_id=self.book.next_id(),
            identity=Identity(trigger=name, type=found.type),
            created=self._clock(),
            meta={"fired_by": user} if user else {},
            only=name,
            actor=actor,
        )
        self.book.add(event)
        return event

    def pause(self, pipeline: str, trigger: str, user: str) -> TriggerState:
        """What comes meanwhile has the outcome `skipped: paused`; raises `UnknownTriggerError`."""
        return self._remembered(pipeline, trigger, paused=True, paused_by=user)

    def resume(self, pipeline: str, trigger: str) -> TriggerState:
        """Moments that have passed meanwhile are not caught up; raises `UnknownTriggerError`."""
        found = self._remembered(pipeline, trigger, paused=False, paused_by="", cursor=None, schedule="")
        self._news.set()
        return found

    def retry(self, event_id: str) -> Event:
        """Handle a dead event again; raises `UnknownEventError`, `NotDeadError`."""
        event = self.book.event(event_id)
        if event.state is not EventState.DEAD:
            raise NotDeadError(event_id)
        event = attrs.evolve(event, state=EventState.NEW, attempts=0, ended=None)
        self.book.save(event)
        self._news.set()
        return event

    def events(self) -> Sequence[Event]:
        """Newest first."""
        return self.book.events()

    def oldest_waiting(self) -> timedelta:
        """For how long the oldest event has waited to be handled; zero without one."""
        first = next(iter(self.book.unended()), None)
        return timedelta() if first is None else max(timedelta(), self._clock() - first.created)

    def event(self, event_id: str) -> Event:
        """Raises `UnknownEventError`."""
        return self.book.event(event_id)

    async def data(self, event_id: str) -> Any:
        """What came with it; raises `UnknownEventError`, `StoreError`."""
        return await self.book.data(self.book.event(event_id))

    def state(self, pipeline: str, trigger: str) -> TriggerState:
        """Whether it is paused, and by whom; raises `UnknownTriggerError`."""
        self.trigger(pipeline, trigger)
        return self.book.state(full_name(pipeline, trigger))

    def next_times(self, pipeline: str, trigger: str, count: int) -> Sequence[datetime]:
        """When it starts something; none if it is paused or no schedule. Raises `UnknownTriggerError`."""
        found = self.trigger(pipeline, trigger)
        state = self.book.state(full_name(pipeline, trigger))
        if found.schedule is None or state.paused or not found.enabled:
            return ()
        now = self._clock()
        name = full_name(pipeline, trigger)
        begin = max(now, (state.cursor or now) + moments.jitter_of(found.schedule, name))
        try:
            return moments.next_times(found.schedule, name, begin, count)
        except moments.MomentsError:
            return ()

    # --- the loop ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        unsubscribe = self._engine.changes.subscribe(self._look_at_definitions)
        failures = 0
        try:
            while True:
                seconds = LOOK_SECONDS
                try:
                    self._news.clear()
                    seconds = await self._turn()
                    failures = 0
                except StoreError:  # the journal tells of it
                    failures += 1
                except Exception:
                    log.exception("feed_error")
                    failures += 1
                if failures:
                    seconds = backoff(failures, self._rng).total_seconds()
                    await asyncio.sleep(min(seconds, LOOK_SECONDS))
                else:
                    await sleep_until_stopped(seconds, self._news)
        finally:
            unsubscribe()

    async def _turn(self) -> float:
        """Plan, claim, handle; the seconds until there is something to do again. Raises `StoreError`."""
        now = self._clock()
        if not self._engine.accepting:
            return LOOK_SECONDS
        following = self._scheduler.plan(now)
        self._forget(now)
        for claims in _batches(self._due(now)):
            claimed = [self._claimed(event) for event in claims]
            await self._journal.flushed()
            await self._handle_all(claimed)
        now = self._clock()
        waits = [*self._not_before.values(), *([following] if following else [])]
        seconds = min(((moment - now).total_seconds() for moment in waits), default=LOOK_SECONDS)
        return min(LOOK_SECONDS, max(0.0, seconds) + 0.001)

    def _due(self, now: datetime) -> Sequence[Event]:
        """Those that are to be handled before the next look."""
        due = [event for event in self.book.unended() if self._is_due(event, now)]
        deliveries = [event for event in due if event.is_delivery]
        if len(deliveries) > MOST_AT_ONCE:
            self._news.set()
        return [*(event for event in due if not event.is_delivery), *deliveries[:MOST_AT_ONCE]]

    async def _handle_all(self, claimed: Sequence[Event]) -> None:
        """Raises `StoreError`, once all others are handled."""
        reading = [self.book.text(event) for event in claimed]
        texts = await asyncio.gather(*reading, return_exceptions=True)
        wrong: list[StoreError] = []
        for event, text in zip(claimed, texts, strict=True):
            try:
                if isinstance(text, BaseException):
                    raise text
                self._handle(event, data_of(event, text))
            except StoreError as error:
                self.book.save(released(event, str(error), self._clock()))
                wrong.append(error)
            await asyncio.sleep(0)
        if wrong:
            raise wrong[0]

    def _handle(self, event: Event, payload: Any) -> None:
        if not self._engine.accepting or self.book.event(event.event_id) is not event:
            return  # the next start of the server has it
        after = self._handler.handle(event, payload, self._clock())
        self._not_before.pop(event.event_id, None)
        if not after.over:
            self._not_before[event.event_id] = self._clock() + backoff(after.attempts, self._rng)

    def _claimed(self, event: Event) -> Event:
        if event.state is EventState.NEW:
            event = attrs.evolve(event, state=EventState.CLAIMED, attempts=event.attempts + 1)
            self.book.save(event)
        return event

    def _is_due(self, event: Event, now: datetime) -> bool:
        moment = self._not_before.get(event.event_id)
        return moment is None or moment <= now

    def _forget(self, now: datetime) -> None:
        if self._forgotten is None or not timedelta() <= now - self._forgotten < _FORGET_EVERY:
            self._forgotten = now
            self.book.forget_old(now)

    def _look_at_definitions(self) -> None:
        """The engine tells of each change of a run, too."""
        if self._engine.definitions is not self._seen:
            self._seen = self._engine.definitions
            self._news.set()

    def _remembered(self, pipeline: str, trigger: str, **changes: Any) -> TriggerState:
        self.trigger(pipeline, trigger)
        state = attrs.evolve(self.book.state(full_name(pipeline, trigger)), **changes)
        self.book.remember(state)
        return state


def _batches(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """The new ones together; alone each that was claimed before: it may be what has killed the server."""
    if fresh := [event for event in events if not event.attempts]:
        yield fresh
    yield from ([event] for event in events if event.attempts)
