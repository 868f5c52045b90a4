"""All events of a server, with the keys by which a repetition is known, and what each trigger remembers.

What is put between two awaits is one transaction with the runs that are saved meanwhile (`store.journal`).
Data and keys are on the disk alone, the data for thirty days. Deliveries are refused where too many wait.
What is our own, a moment or the end of a run, never is: there is as much as there are
schedules and runs.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
import structlog

from paas_pipelines.store.codec import parsed, records, to_text
from paas_pipelines.store.journal import Journal
from paas_pipelines.store.keys import Keys
from paas_pipelines.triggers.event import (
    DATA_KEPT,
    KEYS_KEPT,
    MOST_ATTEMPTS,
    Event,
    EventState,
    Outcome,
    event_ids,
)

log = structlog.stdlib.get_logger(__name__)

EVENT, DATA, KEY, TRIGGER = "event", "event_data", "event_key", "trigger"
"""The kinds of the journal."""

MOST_WAITING_BYTES = 64 * 1024 * 1024
MOST_WAITING = 10_000
"""Of deliveries."""

MOST_KEPT = 10_000
"""Of those that are over: a schedule of every minute would fill the memory within its thirty days."""


class UnknownEventError(LookupError):
    """There is no event with that id, or no more."""


class TooManyWaitError(Exception):
    """What others deliver is not handled as fast as it comes."""


@attrs.frozen(kw_only=True)
class TriggerState:
    """What is remembered of one trigger."""

    trigger: str
    """`<pipeline>/<trigger>`."""

    paused: bool = False
    paused_by: str = ""
    schedule: str = ""
    """What its moments were computed from: another one begins now."""

    cursor: datetime | None = None
    """The last planned moment that is done with."""


class EventBook:
    """Made by `opened`; `changed` is called after each event that is new."""

    def __init__(self, journal: Journal, *, new_id: Callable[[], str]) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._journal = journal
        self._new_id = new_id
        self._events: dict[str, Event] = {}
        self._unended: dict[str, Event] = {}
        self._over: deque[str] = deque()
        self._deliveries: dict[str, int] = {}
        """Of those that wait, the bytes of each."""

        self._bytes = 0
        self._keys = Keys(journal, KEY, KEYS_KEPT)
        self._states: dict[str, TriggerState] = {}

    @classmethod
    async def opened(
        cls, journal: Journal, *, new_id: Callable[[str], Callable[[], str]] = event_ids
    ) -> "EventBook":
        """With what an earlier life has left: its claims are void. Raises `StoreError`."""
        stored = sorted(records(await journal.stored(EVENT), Event, EVENT), key=lambda event: event.event_id)
        book = cls(journal, new_id=new_id(stored[-1].event_id if stored else ""))
        for state in records(await journal.stored(TRIGGER), TriggerState, TRIGGER):
            book._states[state.trigger] = state
        for event in stored:
            book._keep(event)
        for event in list(book._unended.values()):
            if event.state is EventState.CLAIMED:
                book.save(released(event, "the server died while it was handled", event.created))
        return book

    # --- events ----------------------------------------------------------------------------------------

    def next_id(self) -> str:
        """For an event that is to be added now."""
        return self._new_id()

    def add(self, event: Event, data: str = "", keys: Iterable[str] = ()) -> None:
        """A new one, with its data as JSON; raises `TooManyWaitError` for a delivery."""
        if event.is_delivery and (
            len(self._deliveries) >= MOST_WAITING or self._bytes + len(data) > MOST_WAITING_BYTES
        ):
            raise TooManyWaitError
        if data:
            self._journal.put(DATA, event.event_id, data)
            event = attrs.evolve(event, size=len(data), has_data=True)
        for key in keys:
            self._keys.put(key, f"{event.event_id} {event.created.isoformat()}", event.created)
        self.save(event)
        self.changed()

    def save(self, event: Event) -> None:
        self._journal.put(EVENT, event.event_id, to_text(event))
        self._keep(event)

    def event(self, event_id: str) -> Event:
        """Raises `UnknownEventError`."""
        try:
            return self._events[event_id]
        except KeyError:
            raise UnknownEventError(event_id) from None

    def events(self) -> Sequence[Event]:
        """Newest first."""
        return list(reversed(self._events.values()))

    def unended(self) -> Sequence[Event]:
        """Those that are still to be handled, in the order of their ids."""
        return list(self._unended.values())

    def counts(self) -> Counter[EventState]:
        """How many there are of each state."""
        return Counter(event.state for event in self._events.values())

    async def data(self, event: Event) -> Any:
        """What came with it, None where that was nothing or is forgotten; raises `StoreError`."""
        return data_of(event, await self.text(event))

    async def text(self, event: Event) -> str | None:
        """The same, as JSON; raises `StoreError`."""
        return await self._journal.text(DATA, event.event_id) if event.has_data else None

    def _keep(self, event: Event) -> None:
        before = self._events.get(event.event_id)
        was_over = before is not None and before.over
        self._events[event.event_id] = event
        if not event.over:
            self._unended[event.event_id] = event
            if event.is_delivery and event.event_id not in self._deliveries:
                self._deliveries[event.event_id] = event.size
                self._bytes += event.size
            if was_over:
                self._over.remove(event.event_id)
        elif not was_over:
            self._unended.pop(event.event_id, None)
            self._over.append(event.event_id)
            self._bytes -= self._deliveries.pop(event.event_id, 0)

    # --- keys and triggers -------------------------------------------------------------------------------

    async def seen(self, keys: Iterable[str]) -> Mapping[str, str]:
        """The events that have come with some of these keys, as `Keys.found`; raises `StoreError`."""
        return {key: text.partition(" ")[0] for key, text in (await self._keys.found(keys)).items()}

    def state(self, trigger: str) -> TriggerState:
        return self._states.get(trigger) or TriggerState(trigger=trigger)

    def states(self) -> Sequence[TriggerState]:
        """Of all of which there is something to remember."""
        return list(self._states.values())

    def remember(self, state: TriggerState) -> None:
        """With all that is put before the next await; a state that says nothing is forgotten."""
        if state == TriggerState(trigger=state.trigger):
            if self._states.pop(state.trigger, None):
                self._journal.put(TRIGGER, state.trigger, None)
        elif state != self._states.get(state.trigger):
            self._states[state.trigger] = state
            self._journal.put(TRIGGER, state.trigger, to_text(state))

    # --- retention ---------------------------------------------------------------------------------------

    def forget_old(self, now: datetime) -> None:
        """Events that are over after thirty days, or beyond the number that is kept; keys after ninety."""
        while self._over and self._is_old(self._events[self._over[0]], now):
            event_id = self._over.popleft()
            event = self._events.pop(event_id)
            self._journal.put(EVENT, event_id, None)
            if event.has_data:
                self._journal.put(DATA, event_id, None)
        self._keys.forget_old(now)

    def _is_old(self, event: Event, now: datetime) -> bool:
        return len(self._over) > MOST_KEPT or now - event.created > DATA_KEPT


def data_of(event: Event, text: str | None) -> Any:
    """What is in the text of an event's data; raises `StoreError`."""
    return None if text is None else parsed(text, f"{DATA} {event.event_id}")


def released(event: Event, error: str, now: datetime, outcomes: Sequence[Outcome] = ()) -> Event:
    """An event that could not be handled: for another attempt, or dead."""
    state = EventState.DEAD if event.attempts >= MOST_ATTEMPTS else EventState.NEW
    if state is EventState.DEAD:
        log.error("event_dead", trigger_event=event.event_id, trigger=event.identity.trigger, reason=error)
    return attrs.evolve(
        event,
        state=state,
        error=error,
        outcomes=tuple(outcomes) or event.outcomes,
        ended=now if state is EventState.DEAD else None,
    )
