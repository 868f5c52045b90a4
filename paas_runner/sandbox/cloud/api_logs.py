"""Application logs as server-sent events (spec clever-cloud-api.md §5.1)."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from paas_runner.sandbox.cloud.application import Application, LogLine
from paas_runner.sandbox.cloud.auth import requested_application
from paas_runner.sandbox.cloud.errors import invalid_value, wrong_kind_of_token
from paas_runner.sandbox.cloud.model import Cloud

HEARTBEAT_SECONDS = 2.0


@attrs.frozen(kw_only=True)
class _Query:
    """Which lines are wanted, and when the stream ends by itself."""

    after: str
    since: datetime | None
    until: datetime | None
    limit: int | None
    deployment: str | None
    text: str

    def wants(self, line: LogLine) -> bool:
        return (
            (self.since is None or line.at >= self.since)
            and (self.until is None or line.at <= self.until)
            and (self.deployment is None or line.deployment == self.deployment)
            and self.text in line.message
        )


class LogRoutes:
    """The stream of one application's log."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def routes(self) -> list[Route]:
        path = "/v4/logs/organisations/{organisation}/applications/{application}/logs"
        return [Route(path, self.logs, methods=["GET"])]

    async def logs(self, request: Request) -> Response:
        _, app = requested_application(request, self._cloud)
        if self._cloud.options.logs_refused:
            raise wrong_kind_of_token()
        stream = self._events(app, _query(request))
        return StreamingResponse(stream, media_type="text/event-stream")

    async def _events(self, app: Application, query: _Query) -> AsyncIterator[str]:
        last, left = query.after, query.limit
        while True:
            now = self._cloud.clock()
            for line in app.log.after(last):
                last = line.id
                if query.wants(line):
                    yield _event("APPLICATION_LOG", _line(line, app), line.id)
                    left = None if left is None else left - 1
                    if left == 0:
                        yield _event("END_OF_STREAM", {"endedBy": "LIMIT_REACHED"})
                        return
            if query.until is not None and now >= query.until:
                yield _event("END_OF_STREAM", {"endedBy": "UNTIL_REACHED"})
                return
            yield _event("HEARTBEAT", {})
            remaining = (query.until - now).total_seconds() if query.until else HEARTBEAT_SECONDS
            await app.log.more(min(HEARTBEAT_SECONDS, remaining))


def _event(kind: str, data: Mapping[str, Any], event_id: str | None = None) -> str:
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {kind}\ndata: {json.dumps(data)}\n\n"


def _line(line: LogLine, app: Application) -> dict[str, Any]:
    return {
        "id": line.id,
        "date": line.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "applicationId": app.id,
        "deploymentId": line.deployment,
        "commitId": line.commit,
        "instanceId": line.instance,
        "message": line.message,
        "service": "sandbox.service",
        "severity": "info",
        "facility": "user",
        "pid": 1,
        "priority": 6,
        "version": 1,
        "zone": app.definition.fields["zone"],
    }


def _query(request: Request) -> _Query:
    given = request.query_params
    limit = given.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdigit() and int(limit) > 0):
        raise invalid_value("limit", "a positive number was expected")
    return _Query(
        after=request.headers.get("last-event-id", ""),
        since=_moment(given.get("since"), "since"),
        until=_moment(given.get("until"), "until"),
        limit=None if limit is None else int(limit),
        deployment=given.get("deploymentId"),
        text=given.get("filter", ""),
    )


def _moment(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid_value(name, "an ISO date was expected") from None
    if moment.tzinfo is None:
        raise invalid_value(name, "an ISO date with its offset was expected")
    return moment
