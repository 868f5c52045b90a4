"""The verbs over HTTP/1, as 1.1.1 asks for them (rows H137 to H140): routes, statuses, bodies."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from paas_runner.helper import protocol
from paas_runner.helper.access import Access
from paas_runner.helper.service import Reason, RefusedError

ReadBody = Callable[[int], Awaitable[bytes | None]]
"""All of a request's body, or None for one of more than that many bytes."""

_LOOKING = ("GET", "HEAD")
_STATUS = {
    Reason.UNUSABLE: 400,
    Reason.UNKNOWN: 404,
    Reason.OTHER_INSTANCE: 409,
    Reason.BEFORE: 409,
    Reason.BROKEN: 500,
    Reason.NOT_NOW: 503,
}


@attrs.frozen(kw_only=True)
class Request:
    """The head of a request; names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Answer:
    """One answer, whole."""

    status: int
    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict)
    content_type: str = "application/json"


def answer_of(status: int, value: Any, **headers: str) -> Answer:
    """One in JSON."""
    return Answer(status=status, body=json.dumps(value).encode(), headers=headers)


def complaint(status: int, text: str, **headers: str) -> Answer:
    """One that says why not."""
    return answer_of(status, {"error": text}, **headers)


@attrs.frozen
class Http1Verbs:
    """From requests to answers."""

    access: Access

    async def answer(self, request: Request, body: ReadBody) -> Answer:
        """The body is not read of who has not shown the token, and where none is wanted."""
        if request.path == "/" and request.method in _LOOKING:
            return Answer(status=200, body=b"", content_type="text/plain")  # platforms look who answers
        if not self.access.admits(request.headers.get("authorization")):
            headers = {"WWW-Authenticate": "Bearer"}
            return complaint(401, "the helper service's token is needed", **headers)
        try:
            found = await self._admitted(request, body)
        except RefusedError as error:
            later = (
                {"Retry-After": str(protocol.RETRY_AFTER_SECONDS)} if error.reason is Reason.NOT_NOW else {}
            )
            found = complaint(_STATUS[error.reason], str(error), **later)
        return attrs.evolve(found, headers={**found.headers, **self.access.told()})

    async def _admitted(self, request: Request, body: ReadBody) -> Answer:
        service, job = self.access.service, protocol.job_at(request.path)
        match request.method, request.path:
            case "GET", protocol.CAN_TAKE_JOB_PATH:
                return answer_of(200, await service.can_take_job())
            case "POST", protocol.LAUNCH_JOB_PATH:
                return await self._launch(request, body)
            case _, protocol.CAN_TAKE_JOB_PATH:
                return complaint(405, "it is asked for by GET", Allow="GET")
            case _, protocol.LAUNCH_JOB_PATH:
                return complaint(405, "it is asked for by POST", Allow="POST")
            case "GET", _ if job:
                return answer_of(200, service.status(job).as_json())
            case "DELETE", _ if job:
                forgotten = await service.forget(job)
                return answer_of(200 if forgotten.done else 202, {"was_known": forgotten.was_known})
            case _ if job:
                return complaint(
                    405, "a job is asked about by GET, and forgotten by DELETE", Allow="GET, DELETE"
                )
        return complaint(404, "there is nothing of that name")

    async def _launch(self, request: Request, body: ReadBody) -> Answer:
        most = protocol.MOST_REQUEST_BYTES
        too_long = int(request.headers.get("content-length", 0)) > most
        found = None if too_long else await body(most)
        if found is None:
            mebibytes = most // 1024 // 1024
            return complaint(413, f"a request of more than {mebibytes} MiB")
        try:
            wanted = protocol.LaunchRequest.from_json(found)
        except ValueError as error:
            return complaint(400, f"the body is no job to launch: {error}")
        instance = request.headers.get(protocol.INSTANCE_HEADER.lower())
        await self.access.service.launch(wanted, instance)
        return answer_of(201, {})
