"""What starts pipelines without anybody, and what has: triggers, which people pause and fire, and events."""

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from paas_pipelines.access import resources
from paas_pipelines.access.actor import Way, actor_of
from paas_pipelines.access.identity import Identity
from paas_pipelines.access.statements import FIRE, PAUSE, READ
from paas_pipelines.api import requests, rights
from paas_pipelines.api.definition_shapes import trigger_shape
from paas_pipelines.api.payloads import shown
from paas_pipelines.api.requests import RefusedError, json_answer
from paas_pipelines.api.served import Served
from paas_pipelines.api.shapes import encoded, moment
from paas_pipelines.definitions.automation import Trigger
from paas_pipelines.triggers.event import Event, Outcome
from paas_pipelines.triggers.event_book import UnknownEventError
from paas_pipelines.triggers.feed import Feed, NotDeadError, UnknownTriggerError

NEXT_TIMES = 5
MOST_EVENTS = 200
NO_TRIGGER = "Trigger not found"
NO_EVENT = "Event not found"


class TriggerRoutes:
    """All of them."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def routes(self) -> list[Route]:
        one = "/triggers/{pipeline:path}/{trigger}"
        return [
            Route("/triggers", self.triggers, methods=["GET"]),
            Route(f"{one}/pause", self.pause, methods=["POST"]),
            Route(f"{one}/resume", self.resume, methods=["POST"]),
            Route(f"{one}/fire", self.fire, methods=["POST"]),
            Route("/events", self.events, methods=["GET"]),
            Route("/events/{event}", self.event, methods=["GET"]),
            Route("/events/{event}/retry", self.retry, methods=["POST"]),
        ]

    async def triggers(self, request: Request) -> Response:
        """Of all pipelines that whoever asks may see."""
        who = rights.identity_of(request)
        found = [
            {"pipeline": name, **trigger_shape(each), **state_shape(self._served, name, each)}
            for name, each in readable_triggers(self._served, who)
        ]
        await self._served.durable()
        return json_answer(encoded({"triggers": found}))

    async def pause(self, request: Request) -> Response:
        """What comes from now on starts nothing."""
        return await self._changed(request, "pause")

    async def resume(self, request: Request) -> Response:
        return await self._changed(request, "resume")

    async def fire(self, request: Request) -> Response:
        """Start it now: 202 with the event."""
        name, trigger = request.path_params["pipeline"], request.path_params["trigger"]
        event = await fire(self._served, rights.identity_of(request), name, trigger)
        return json_answer(encoded({"event": event.event_id}), 202)

    async def events(self, request: Request) -> Response:
        """Newest first."""
        served, who = self._served, rights.identity_of(request)
        offset = requests.whole_number(request, "offset")
        found = readable_events(served, who)
        await served.durable()
        some = [event_shape(each) for each in found[offset : offset + MOST_EVENTS]]
        return json_answer(encoded({"events": some, "total": len(found)}))

    async def event(self, request: Request) -> Response:
        """One, with what came with it, as far as that is shown."""
        found = asked_event(self._served, rights.identity_of(request), request.path_params["event"])
        data = await feed_of(self._served).data(found.event_id)
        await self._served.durable()
        return json_answer(encoded({**event_shape(found), "data": shown(data)}))

    async def retry(self, request: Request) -> Response:
        """202; 409 for one that is not dead."""
        found = await retry(self._served, rights.identity_of(request), request.path_params["event"])
        return json_answer(encoded(event_shape(found)), 202)

    async def _changed(self, request: Request, verb: str) -> Response:
        name, trigger = request.path_params["pipeline"], request.path_params["trigger"]
        await change(self._served, rights.identity_of(request), name, trigger, verb)
        definition = self._served.engine.definitions[name]
        found = definition.triggers[trigger]
        return json_answer(
            encoded({"pipeline": name, **trigger_shape(found), **state_shape(self._served, name, found)})
        )


def feed_of(served: Served) -> Feed:
    """Raises `RefusedError` where nothing starts anything."""
    if served.feed is None:
        raise RefusedError(404, NO_TRIGGER)
    return served.feed


def readable_triggers(served: Served, who: Identity) -> Iterator[tuple[str, Trigger]]:
    """By the names of their pipelines."""
    for name, definition in sorted(served.engine.definitions.items()):
        for each in definition.triggers.values():
            if served.access.may(who, READ, resources.trigger(name, each.name)).allowed:
                yield name, each


def state_shape(served: Served, pipeline: str, trigger: Trigger) -> Mapping[str, Any]:
    """Whether it is stopped, and when it starts something next."""
    if served.feed is None:
        return {"paused": False}
    try:
        state = served.feed.state(pipeline, trigger.name)
        times = served.feed.next_times(pipeline, trigger.name, NEXT_TIMES)
    except UnknownTriggerError:  # it went with a reload
        return {"paused": False}
    next_times = {"nextTimes": [moment(each) for each in times]} if trigger.schedule else {}
    return {
        "paused": state.paused,
        **({"pausedBy": state.paused_by} if state.paused_by else {}),
        **next_times,
    }


async def change(served: Served, who: Identity, pipeline: str, trigger: str, verb: str) -> None:
    """Pause or resume; raises `RefusedError`."""
    feed = _asked_feed(served, who, PAUSE, pipeline, trigger)
    if verb == "pause":
        feed.pause(pipeline, trigger, str(who))
    else:
        feed.resume(pipeline, trigger)
    served.audit.note(str(who), verb, resources.trigger(pipeline, trigger))
    await served.durable()


async def fire(served: Served, who: Identity, pipeline: str, trigger: str) -> Event:
    """Raises `RefusedError`."""
    feed = _asked_feed(served, who, FIRE, pipeline, trigger)
    event = feed.fire(pipeline, trigger, str(who), actor_of(who, Way.TRIGGER))
    served.audit.note(str(who), "fire", resources.trigger(pipeline, trigger), event=event.event_id)
    await served.durable()
    return event


async def retry(served: Served, who: Identity, event_id: str) -> Event:
    """Handle a dead event again; raises `RefusedError`."""
    found = asked_event(served, who, event_id)
    for each in _triggers_of(found):
        rights.require(served, who, FIRE, each, hidden=NO_EVENT)
    try:
        found = feed_of(served).retry(event_id)
    except NotDeadError:
        raise RefusedError(409, f"this event is {found.state}: only a dead one is tried again") from None
    served.audit.note(str(who), "retry", resources.SERVER, event=event_id)
    await served.durable()
    return found


def asked_event(served: Served, who: Identity, event_id: str) -> Event:
    """One that may be read; raises `RefusedError` with 404."""
    try:
        found = feed_of(served).event(event_id)
    except UnknownEventError:
        raise RefusedError(404, NO_EVENT) from None
    if not _may_read(served, who, found):
        raise RefusedError(404, NO_EVENT)
    return found


def readable_events(served: Served, who: Identity) -> list[Event]:
    """Newest first."""
    events = served.feed.events() if served.feed else ()
    return [each for each in events if _may_read(served, who, each)]


def event_shape(event: Event) -> Mapping[str, Any]:
    """All but what came with it."""
    return {
        "id": event.event_id,
        "trigger": event.identity.trigger,
        "type": event.identity.type,
        "created": moment(event.created),
        "state": event.state,
        "attempts": event.attempts,
        "meta": dict(event.meta),
        "outcomes": [_outcome_shape(each) for each in event.outcomes],
        **({"reason": event.reason} if event.reason else {}),
        **({"error": event.error} if event.error else {}),
        **({"ended": moment(event.ended)} if event.ended else {}),
    }


def _outcome_shape(outcome: Outcome) -> Mapping[str, Any]:
    return {
        "pipeline": outcome.pipeline,
        "trigger": outcome.trigger,
        **({"run": outcome.run_id} if outcome.run_id else {}),
        **({"refusal": outcome.refusal} if outcome.refusal else {}),
    }


def _asked_feed(served: Served, who: Identity, method: str, pipeline: str, trigger: str) -> Feed:
    feed = feed_of(served)
    try:
        feed.trigger(pipeline, trigger)
    except UnknownTriggerError:
        raise RefusedError(404, NO_TRIGGER) from None
    rights.require(served, who, method, resources.trigger(pipeline, trigger), hidden=NO_TRIGGER)
    return feed


def _may_read(served: Served, who: Identity, event: Event) -> bool:
    """Whoever may read a trigger that it is for; else whoever may read what is the server's."""
    asked = _triggers_of(event)
    return any(served.access.may(who, READ, each).allowed for each in asked)


def _triggers_of(event: Event) -> list[str]:
    """As resources: those that have made something of it, else the one it came by; else the server."""
    named = [(each.pipeline, each.trigger) for each in event.outcomes]
    if not named:
        pipeline, _, trigger = event.identity.trigger.rpartition("/")
        named = [(pipeline, trigger)] if pipeline else []
    return [resources.trigger(*each) for each in named] or [resources.SERVER]
