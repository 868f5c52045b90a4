"""The parts of plans and blocks: actions, actions in a row (sequences and batches), and checks.

`begin_…` starts a part, `told` takes in what happened inside of one. What they ask for is collected by the
`Turn`.
"""

from datetime import datetime, timedelta
from typing import Any, TypeVar

import attrs

from paas_plans.machine.moves import AttemptEnded, Call, Due, Effect, Event, Resumed, WakeAt
from paas_plans.machine.tally import Tallied
from paas_plans.plan import CHILDREN, Action, Checks, DeferredBatch, Path, Plan, Sequence, State, Status
from paas_plans.walk import Kind

Row = TypeVar("Row", Sequence, DeferredBatch)

DEFERRED = ("deferred_actions", "deferred_checks")


@attrs.define(kw_only=True)
class Turn:
    """One step of the machine: its time, what happened, and what it has come to ask for."""

    now: datetime
    event: Event
    stopping: bool = False
    """Whether nothing further may be launched; never true for what is deferred."""
    effects: list[Effect] = attrs.field(factory=list)

    @property
    def of_deferred(self) -> "Turn":
        return attrs.evolve(self, stopping=False) if self.stopping else self


def ended(item: Kind, status: Status, turn: Turn, **others: Any) -> Kind:
    state = State(status=status, start=item.state.start, end=turn.now)
    return attrs.evolve(item, state=state, **others)


def without_wait(item: Kind) -> Kind:
    return attrs.evolve(item, state=attrs.evolve(item.state, until=None)) if item.state.until else item


def waiting(item: Kind, path: Path, delay: timedelta, turn: Turn) -> Kind | None:
    """The part in a wait, which begins now unless it has begun before; None once the wait is over.

    Timers are lost with their process, and one may ring too early, by a clock that is set back meanwhile.
    """
    until = item.state.until or turn.now + delay
    if until <= turn.now:
        return None
    if item.state.until is None or isinstance(turn.event, Resumed) or turn.event == Due(path):
        turn.effects.append(WakeAt(path, until))
    return item if item.state.until else attrs.evolve(item, state=attrs.evolve(item.state, until=until))


def exchanged(items: Any, index: int, item: Any) -> Any:
    if items[index] is item:
        return items
    if isinstance(items, Tallied):
        return items.exchanged(index, item)
    return (*items[:index], item, *items[index + 1 :])


def with_part(item: Kind, field: str, part: object) -> Kind:
    changed: dict[str, Any] = {field: part}
    return item if getattr(item, field) is part else attrs.evolve(item, **changed)


def is_(item: Kind | None, status: Status) -> bool:
    """What is not there has no status."""
    return item is not None and item.state.status is status


def told(plan: Plan, turn: Turn) -> Plan:
    """What the event says about actions: the one on its path, or all that run. Not yet what follows."""
    after: Plan = _told(plan, (), turn)
    return after


def _told(item: Any, path: Path, turn: Turn) -> Any:
    if item.state.status is not Status.RUNNING:
        return item
    if isinstance(item, Action):
        return _action_told(item, path, turn)
    way: Path = getattr(turn.event, "path", ())[len(path) :]
    for field in map(str, way[:1] or CHILDREN[type(item)]):
        part = getattr(item, field)
        inner = turn.of_deferred if field in DEFERRED else turn
        if isinstance(part, tuple):
            for index in map(int, way[1:2] or range(len(part))):
                part = exchanged(part, index, _told(part[index], (*path, field, index), inner))
        elif part is not None:
            part = _told(part, (*path, field), inner)
        item = with_part(item, field, part)
    if isinstance(item, Checks):
        return _checks_onwards(item, turn)
    is_row = isinstance(item, Sequence | DeferredBatch)
    return _row_onwards(item, path, turn) if is_row else item


# --- one action ------------------------------------------------------------------------------------------


def _begin_action(action: Action, path: Path, turn: Turn) -> Action:
    turn.effects.append(Call(path))
    return attrs.evolve(action, attempts=(), state=State(status=Status.RUNNING, start=turn.now))


def _action_told(action: Action, path: Path, turn: Turn) -> Action:
    event, is_in_flight = turn.event, action.state.until is None
    if isinstance(event, AttemptEnded):
        return _attempted(action, event, path, turn) if is_in_flight else action
    if is_in_flight and not isinstance(event, Resumed):
        return action
    return _tried_again(action, timedelta(0), path, turn)


def _attempted(action: Action, event: AttemptEnded, path: Path, turn: Turn) -> Action:
    attempts, error = (*action.attempts, event.attempt), event.attempt.error
    if error is None:
        return ended(action, Status.COMPLETED, turn, attempts=attempts)
    if error.permanent or len(attempts) > action.retries:
        return ended(action, Status.FAILED, turn, attempts=attempts)
    return _tried_again(attrs.evolve(action, attempts=attempts), event.pause, path, turn)


def _tried_again(action: Action, pause: timedelta, path: Path, turn: Turn) -> Action:
    if turn.stopping:
        return ended(action, Status.STOPPED, turn)
    if waits := waiting(action, path, pause, turn):
        return waits
    turn.effects.append(Call(path))
    return without_wait(action)


# --- actions in a row ------------------------------------------------------------------------------------


def begin_row(row: Row, path: Path, turn: Turn) -> Row:
    row = attrs.evolve(row, state=State(status=Status.RUNNING, start=turn.now))
    return _row_onwards(row, path, turn)


def _row_onwards(row: Row, path: Path, turn: Turn) -> Row:
    for index, action in enumerate(row.actions):
        match action.state.status:
            case Status.COMPLETED:
                continue
            case Status.FAILED | Status.STOPPED as status:
                return ended(row, status, turn)
            case Status.NOT_STARTED if turn.stopping:
                return ended(row, Status.STOPPED, turn)
            case Status.NOT_STARTED:
                begun = _begin_action(action, (*path, "actions", index), turn)
                return attrs.evolve(row, actions=exchanged(row.actions, index, begun))
            case Status.RUNNING:
                return row
    return ended(row, Status.COMPLETED, turn)


# --- checks ----------------------------------------------------------------------------------------------


def begin_checks(checks: Checks, path: Path, turn: Turn) -> Checks:
    """One run, from the start: attempts of an earlier one are not kept."""
    actions = tuple(
        _begin_action(action, (*path, "actions", index), turn) for index, action in enumerate(checks.actions)
    )
    return attrs.evolve(checks, actions=actions, state=State(status=Status.RUNNING, start=turn.now))


def _checks_onwards(checks: Checks, turn: Turn) -> Checks:
    statuses = {action.state.status for action in checks.actions}
    if not all(status.is_terminal for status in statuses):
        return checks
    return ended(checks, worst(statuses), turn)


def worst(statuses: set[Status]) -> Status:
    """Of what has ended: failed before stopped before completed."""
    found = [each for each in (Status.FAILED, Status.STOPPED) if each in statuses]
    return found[0] if found else Status.COMPLETED
