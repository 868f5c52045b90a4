"""The pages of what starts pipelines: triggers, which people pause and fire, and the history of events."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo

import attrs
from markupsafe import escape
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from paas_pipelines.access import resources
from paas_pipelines.access.statements import FIRE, PAUSE
from paas_pipelines.api import requests, trigger_routes
from paas_pipelines.api.payloads import shown
from paas_pipelines.api.requests import RefusedError
from paas_pipelines.api.rights import identity_of
from paas_pipelines.api.trigger_routes import feed_of, readable_events, readable_triggers
from paas_pipelines.definitions.automation import Trigger
from paas_pipelines.pages.framing import Frame
from paas_pipelines.pages.log_tail import plain
from paas_pipelines.triggers.event import Event, Outcome
from paas_pipelines.triggers.event_book import TriggerState
from paas_pipelines.triggers.moments import MomentsError, zone
from paas_runner.plain_text import exact_span

REFRESH_SECONDS = 10
NEXT_TIMES = 10
PER_PAGE = 50
_VERBS = ("pause", "resume", "fire")


@attrs.frozen(kw_only=True)
class Row:
    """A trigger as it is shown."""

    pipeline: str
    trigger: Trigger
    how: str
    times: Sequence[datetime]
    zone: ZoneInfo | None
    """Of its schedule, if that is not UTC."""

    state: TriggerState
    last: Event | None
    outcome: Outcome | None
    may_pause: bool
    may_fire: bool


class TriggerPages:
    """All of them."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._served = frame.served

    def routes(self) -> Sequence[Route]:
        guarded = self._frame.guarded
        return [
            Route("/automation", guarded(self.triggers), methods=["GET", "POST"]),
            Route("/history", guarded(self.events), methods=["GET"]),
            Route("/event", guarded(self.event), methods=["GET", "POST"]),
        ]

    async def triggers(self, request: Request) -> Response:
        """All of them; a POST pauses, resumes or fires one."""
        if request.method == "POST":
            await self._change(request)
            return RedirectResponse("automation", 303)
        last = self._last_outcomes(request)
        rows = [self._row(request, name, each, last) for name, each in self._readable(request)]
        token = self._frame.form_token(request)
        return self._frame.html("automation", refresh=REFRESH_SECONDS, rows=rows, token=token)

    async def events(self, request: Request) -> Response:
        """Newest first."""
        offset = requests.whole_number(request, "offset")
        found = readable_events(self._served, identity_of(request))
        return self._frame.html(
            "history",
            refresh=REFRESH_SECONDS,
            events=found[offset : offset + PER_PAGE],
            offset=offset,
            limit=PER_PAGE,
            total=len(found),
        )

    async def event(self, request: Request) -> Response:
        """One and what came with it; a POST tries a dead one again."""
        who, event_id = identity_of(request), requests.first(request, "id")
        if request.method == "POST":
            await self._frame.posted(request)
            await trigger_routes.retry(self._served, who, event_id)
            return RedirectResponse(f"event?id={event_id}", 303)
        found = trigger_routes.asked_event(self._served, who, event_id)
        data = shown(await feed_of(self._served).data(event_id))
        text = plain(json.dumps(data, ensure_ascii=False, indent=2))
        token = self._frame.form_token(request)
        return self._frame.html("event", event=found, data=escape(text), token=token)

    async def _change(self, request: Request) -> None:
        given = await self._frame.posted(request)
        who, verb = identity_of(request), given.get("verb", "")
        name, trigger = given.get("pipeline", ""), given.get("trigger", "")
        if verb not in _VERBS:
            raise RefusedError(400, "The form says nothing that could be done.")
        if verb == "fire":
            await trigger_routes.fire(self._served, who, name, trigger)
        else:
            await trigger_routes.change(self._served, who, name, trigger, verb)

    def _readable(self, request: Request) -> Sequence[tuple[str, Trigger]]:
        if self._served.feed is None:
            return []
        return list(readable_triggers(self._served, identity_of(request)))

    def _row(
        self,
        request: Request,
        pipeline: str,
        trigger: Trigger,
        last: dict[tuple[str, str], tuple[Event, Outcome]],
    ) -> Row:
        feed, may, who = feed_of(self._served), self._served.access.may, identity_of(request)
        resource = resources.trigger(pipeline, trigger.name)
        event, outcome = last.get((pipeline, trigger.name), (None, None))
        return Row(
            pipeline=pipeline,
            trigger=trigger,
            how=_how(trigger),
            times=feed.next_times(pipeline, trigger.name, NEXT_TIMES),
            zone=_zone(trigger),
            state=feed.state(pipeline, trigger.name),
            last=event,
            outcome=outcome,
            may_pause=may(who, PAUSE, resource).allowed,
            may_fire=may(who, FIRE, resource).allowed,
        )

    def _last_outcomes(self, request: Request) -> dict[tuple[str, str], tuple[Event, Outcome]]:
        found: dict[tuple[str, str], tuple[Event, Outcome]] = {}
        for event in readable_events(self._served, identity_of(request)):
            pipeline, _, name = event.identity.trigger.rpartition("/")
            dropped = [Outcome(pipeline=pipeline, trigger=name, refusal=event.reason)] if event.reason else []
            for outcome in (*event.outcomes, *dropped):
                found.setdefault((outcome.pipeline, outcome.trigger), (event, outcome))
        return found


def _zone(trigger: Trigger) -> ZoneInfo | None:
    if trigger.schedule is None or trigger.schedule.every or trigger.schedule.timezone == "UTC":
        return None
    with suppress(MomentsError):
        return zone(trigger.schedule.timezone)
    return None


def _how(trigger: Trigger) -> str:
    if webhook := trigger.webhook:
        events = f" of {', '.join(webhook.events)}" if webhook.events else ""
        return f"{webhook.provider} at /hooks/{webhook.path}{events}"
    if schedule := trigger.schedule:
        every = f"every {exact_span(schedule.every)}" if schedule.every else f"at {schedule.cron}"
        return every if schedule.every else f"{every} {schedule.timezone}"
    source = trigger.source
    return f"after {', '.join(source.pipelines)}" if source else str(trigger.type)
