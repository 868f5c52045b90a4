"""Plays a plan by the machine alone: no loop, no store, time that jumps. The plugins are a function.

`play(plan, answer)` tells the machine one event after the other, in the order of time, and returns what the
plan has become and what happened. `answer(action, number)` says how the call with that number ends.
"""

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs
from paas_plans.machine import repaired, step
from paas_plans.machine.moves import AttemptEnded, Begun, Call, Due, Event, Resumed, StopAsked, WakeAt
from paas_plans.plan import Action, ActionError, Attempt, Path, Plan, Status

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
PAUSE = timedelta(seconds=1)
MOST_EVENTS = 100_000


@attrs.frozen(kw_only=True)
class Answer:
    """How a call ends, after how long."""

    error: ActionError | None = None
    takes: timedelta = timedelta(seconds=1)


OK = Answer()
FAILS = Answer(error=ActionError(message="it failed"))
FAILS_FOR_EVER = Answer(error=ActionError(message="it cannot work", permanent=True))

Answering = Callable[[Action, int], Answer]


@attrs.define
class Play:
    """One plan being played."""

    plan: Plan
    answer: Answering
    now: datetime = BEGINNING
    called: list[str] = attrs.field(factory=list)
    """The names of actions, in the order of their calls."""
    history: list[Plan] = attrs.field(factory=list)
    """The plan after each step, as a store would have it."""
    times: list[datetime] = attrs.field(factory=list)
    """Of each step."""
    most_at_once: int = 0
    in_flight: set[Path] = attrs.field(factory=set)
    _coming: list[tuple[datetime, int, Event]] = attrs.field(factory=list)
    _numbers: "itertools.count[int]" = attrs.field(factory=itertools.count)

    def at(self, when: datetime, event: Event) -> None:
        heapq.heappush(self._coming, (when, next(self._numbers), event))

    def tell(self, event: Event) -> None:
        if isinstance(event, AttemptEnded):
            self.in_flight.remove(event.path)
        self.plan, effects = step(self.plan, event, self.now)
        self.history.append(self.plan)
        self.times.append(self.now)
        for effect in effects:
            match effect:
                case Call(path=path):
                    self._call(path)
                case WakeAt(path=path, when=when):
                    self.at(when, Due(path))

    def go_on(self) -> Plan:
        for _ in range(MOST_EVENTS):
            if not self._coming or self.plan.state.status.is_terminal:
                return self.plan
            when, _, event = heapq.heappop(self._coming)
            self.now = max(self.now, when)
            self.tell(event)
        raise AssertionError("the plan does not end")

    def _call(self, path: Path) -> None:
        action = found(self.plan, path)
        assert isinstance(action, Action)
        assert action.state.status is Status.RUNNING
        assert path not in self.in_flight
        self.called.append(action.name)
        self.in_flight.add(path)
        self.most_at_once = max(self.most_at_once, len(self.in_flight))
        answer = self.answer(action, self.called.count(action.name))
        end = self.now + answer.takes
        attempt = Attempt(start=self.now, end=end, error=answer.error)
        self.at(end, AttemptEnded(path, attempt, PAUSE))


def found(plan: Plan, path: Path) -> object:
    item: object = plan
    for each in path:
        item = item[each] if isinstance(each, int) else getattr(item, each)
    return item


def play(
    plan: Plan, answer: Answering = lambda action, number: OK, *, stopped_after: float | None = None
) -> Play:
    playing = Play(plan, answer)
    if stopped_after is not None:
        playing.at(BEGINNING + timedelta(seconds=stopped_after), StopAsked())
    playing.tell(Begun())
    playing.go_on()
    return playing


def recovered(stored: Plan, answer: Answering, now: datetime, *, stop_asked: bool = False) -> Play:
    """Goes on with what was stored when the process ended, up to the plan's end."""
    playing = Play(repaired(stored, now), answer, now=now)
    playing.history.append(playing.plan)
    playing.times.append(now)
    playing.tell(Resumed(stop_asked=stop_asked))
    playing.go_on()
    return playing
