"""One event made into runs: what it starts, and that it is done, is put between two awaits.

So both are one transaction, and a server that is killed has handled it wholly, or not at all.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import attrs
import structlog

from paas_pipelines.access.actor import Way, actor_of_trigger
from paas_pipelines.definitions.automation import Overlap, Trigger, TriggerType
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.runs.approving import starters
from paas_pipelines.runs.engine import Engine, ScheduleRefusedError
from paas_pipelines.runs.run import UNTRUSTED, Origin, Run, TaskStatus
from paas_pipelines.store.codec import as_json
from paas_pipelines.triggers.event import Event, EventState, Identity, Outcome
from paas_pipelines.triggers.event_book import EventBook, released
from paas_pipelines.triggers.judging import RefusedError, Start, UnwantedError, candidates, full_name, judged

log = structlog.stdlib.get_logger(__name__)

SKIPPED_OVERLAP = "skipped: overlap"
_MOST_TOLD = 10


class Handler:
    """Handles events one by one, and notes the ends of runs as new ones."""

    def __init__(self, engine: Engine, book: EventBook) -> None:
        self._engine = engine
        self._book = book

    def handle(self, event: Event, payload: Any, now: datetime) -> Event:
        """The event as it is then. What cannot be foreseen is noted, and tried again.

        A pipeline that has its outcome keeps it, whatever becomes of the others.
        """
        outcomes, unwanted = list(event.outcomes), dict[str, str]()
        try:
            for definition, triggers in candidates(event, self._engine.definitions):
                if all(outcome.pipeline != definition.name for outcome in outcomes):
                    outcomes += self._outcome(definition, triggers, event, payload, unwanted)
        except Exception as error:
            log.exception("event_failed", trigger_event=event.event_id, trigger=event.identity.trigger)
            event = released(event, f"unexpected error: {type(error).__name__}", now, outcomes)
        else:
            state = EventState.DONE if outcomes else EventState.DROPPED
            reason = "" if outcomes else _told(unwanted)
            event = attrs.evolve(
                event, state=state, outcomes=tuple(outcomes), reason=reason, error="", ended=now
            )
            log.info(
                "event_handled",
                trigger_event=event.event_id,
                trigger=event.identity.trigger,
                state=str(state),
                runs=[outcome.run_id for outcome in outcomes if outcome.run_id],
                refusals=[outcome.refusal for outcome in outcomes if outcome.refusal],
                **({"reason": reason} if reason else {}),
            )
        self._book.save(event)
        return event

    def _outcome(
        self,
        definition: Definition,
        triggers: Sequence[Trigger],
        event: Event,
        payload: Any,
        unwanted: dict[str, str],
    ) -> list[Outcome]:
        """Of one pipeline: the first of its triggers that wants the event has it; none where none does.

        Why a trigger does not want it is noted in `unwanted`.
        """
        refused: list[Outcome] = []
        for trigger in triggers:
            name = full_name(definition.name, trigger.name)
            try:
                paused = self._book.state(name).paused
                start = judged(definition, trigger, event, payload, paused=paused)
                run = self._started(definition, trigger, event, start)
            except UnwantedError as error:
                unwanted[name] = str(error)
            except (RefusedError, ScheduleRefusedError) as error:
                refused.append(Outcome(pipeline=definition.name, trigger=trigger.name, refusal=str(error)))
            else:
                return [Outcome(pipeline=definition.name, trigger=trigger.name, run_id=run.run_id)]
        return refused[:1]

    def _started(self, definition: Definition, trigger: Trigger, event: Event, start: Start) -> Run:
        """Raises `RefusedError`, `ScheduleRefusedError`.

        What is replaced is canceled when the new run is certain; but the place on a full wait list is given
        up before.
        """
        name = full_name(definition.name, trigger.name)
        replaced = self._overlapping(definition.name, trigger, name)
        waiting = [run for run in replaced if run.waiting]
        try:
            run = self._scheduled(definition.name, name, event, start)
        except ScheduleRefusedError:
            if not waiting:
                raise
            for old in waiting:
                self._engine.cancel(old.run_id)
            run = self._scheduled(definition.name, name, event, start)
        for old in replaced:
            self._engine.cancel(old.run_id)
        return run

    def _scheduled(self, pipeline: str, trigger: str, event: Event, start: Start) -> Run:
        """Raises `ScheduleRefusedError`."""
        way = Way.SCHEDULE if event.identity.type is TriggerType.SCHEDULE else Way.TRIGGER
        return self._engine.schedule(
            pipeline,
            variables=start.variables,
            user=start.user,
            partition=start.partition,
            origin=Origin(
                trigger=trigger,
                event_id=event.event_id,
                root_user=event.meta.get("root_user", ""),
                root=event.root,
                chain=int(event.meta.get("chain", 0)),
                held=start.held,
            ),
            actor=event.actor or actor_of_trigger(trigger, way, start.causes),
        )

    def _overlapping(self, pipeline: str, trigger: Trigger, name: str) -> Sequence[Run]:
        """The runs that a new one replaces; raises `RefusedError` where it is skipped for them."""
        if trigger.schedule is None or trigger.schedule.overlap is Overlap.QUEUE:
            return ()
        book = self._engine.book
        unended = [*book.waiting(pipeline), *book.active(pipeline)]
        found = [run for run in unended if run.origin.trigger == name]
        if found and trigger.schedule.overlap is Overlap.SKIP:
            raise RefusedError(SKIPPED_OVERLAP)
        return [run for run in found if not run.canceled]

    def run_saved(self, before: Run | None, after: Run) -> None:
        """An observer of the book of runs: an end that some trigger listens to is an event, at once."""
        if not after.ended or (before is not None and before.ended):
            return
        result = result_of(after)
        if not any(
            trigger.source is not None
            and after.pipeline in trigger.source.pipelines
            and result in trigger.source.results
            for definition in self._engine.definitions.values()
            for trigger in definition.triggers.values()
        ):
            return
        meta = {"run": after.run_id, "result": result, "chain": str(after.origin.chain + 1)}
        if root := after.origin.root_user or after.user:
            meta["root_user"] = root
        if after.origin.held and not _is_approved(after):
            meta["held"] = "true"
        told = {"pipeline": after.pipeline, "run": after.run_id, "result": result}
        data = as_json({**told, "outputs": dict(after.outputs), "params": dict(after.variables)})
        event = Event(
            event_id=self._book.next_id(),
            identity=Identity(trigger=after.pipeline, type=TriggerType.PIPELINE),
            created=after.end or after.created,
            meta=meta,
            root=starters(after),
        )
        self._book.add(event, data)


def _told(unwanted: Mapping[str, str]) -> str:
    """Why nobody has wanted it."""
    told = [f"{name}: {reason}" for name, reason in islice(unwanted.items(), _MOST_TOLD)]
    more = [f"{len(unwanted) - len(told)} more triggers"] if len(unwanted) > len(told) else []
    return "; ".join(told + more) or "no trigger listens to it any more"


def result_of(run: Run) -> str:
    """Of one that has ended: success, failed or canceled."""
    if run.canceled or not run.completed:
        return "canceled"
    return "failed" if run.errored or run.first_failed else "success"


def _is_approved(run: Run) -> bool:
    return any(task.name == UNTRUSTED and task.status is TaskStatus.DONE for task in run.tasks)
