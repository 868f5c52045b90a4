"""The schedules of all pipelines, looked at: what has come becomes events, together with the cursors.

Event and cursor are put in one transaction: a moment that is on the disk is never planned again, and one that
is not will be.
"""

from collections.abc import Iterator
from datetime import datetime

import attrs
import structlog

from paas_pipelines.definitions.automation import CatchUp, Schedule, TriggerType
from paas_pipelines.runs.engine import Engine
from paas_pipelines.triggers import planning
from paas_pipelines.triggers.event import Event, EventState, Identity
from paas_pipelines.triggers.event_book import EventBook
from paas_pipelines.triggers.judging import full_name
from paas_pipelines.triggers.moments import MomentsError
from paas_runner.plain_text import rough_span

log = structlog.stdlib.get_logger(__name__)


class Scheduler:
    """One for a server."""

    def __init__(self, engine: Engine, book: EventBook) -> None:
        self._engine = engine
        self._book = book
        self._complained: dict[str, str] = {}

    def plan(self, now: datetime) -> datetime | None:
        """Make events of what is due; when the next one is. Without an await.

        A schedule that is new or another than before begins now; of those that are gone, or off for a while,
        no moment is caught up later.
        """
        following: list[datetime] = []
        known = set()
        for name, schedule in self._schedules():
            known.add(name)
            try:
                moment = self._planned(name, schedule, now)
            except MomentsError as error:
                if self._complained.get(name) != str(error):
                    self._complained[name] = str(error)
                    log.error("schedule_refused", trigger=name, reason=str(error))
                continue
            if moment is not None:
                following.append(moment)
        for state in self._book.states():
            if state.trigger not in known and state.cursor is not None:
                self._book.remember(attrs.evolve(state, cursor=None, schedule=""))
        return min(following, default=None)

    def _planned(self, name: str, schedule: Schedule, now: datetime) -> datetime | None:
        state, mark = self._book.state(name), planning.fingerprint(schedule)
        if state.cursor is None or state.schedule != mark:
            planning.next_due(schedule, name, now)  # whether it can be computed at all
            state = attrs.evolve(state, cursor=now, schedule=mark)
            self._book.remember(state)
        cursor = state.cursor or now
        plan = planning.planned(schedule, name, cursor, now)
        for planned in plan.starts:
            self._book.add(self._event(name, planned, now))
            cursor = planned
            self._book.remember(attrs.evolve(state, cursor=cursor))
        if plan.missed is not None:
            self._note_missed(name, schedule, plan.missed, now)
        if plan.cursor != cursor:
            cursor = plan.cursor
            self._book.remember(attrs.evolve(state, cursor=cursor))
        return planning.next_due(schedule, name, cursor)

    def _note_missed(self, name: str, schedule: Schedule, planned: datetime, now: datetime) -> None:
        """So that who looks for a run finds why there is none."""
        key = "catch_up" if schedule.catch_up is CatchUp.NONE else "catch_up_window"
        reason = f"missed {rough_span(now - planned)} ago, which is too long ago for its {key}"
        event = self._event(name, planned, now)
        self._book.save(attrs.evolve(event, state=EventState.DROPPED, reason=reason, ended=now))

    def _event(self, name: str, planned: datetime, now: datetime) -> Event:
        return Event(
            event_id=self._book.next_id(),
            identity=Identity(trigger=name, type=TriggerType.SCHEDULE),
            created=now,
            meta={"planned": planned.isoformat()},
        )

    def _schedules(self) -> Iterator[tuple[str, Schedule]]:
        """Those that are on: a pause lasts until `resume`, which begins anew."""
        for definition in self._engine.definitions.values():
            for trigger in definition.triggers.values():
                name = full_name(definition.name, trigger.name)
                if trigger.schedule is not None and trigger.enabled and not self._book.state(name).paused:
                    yield name, trigger.schedule
