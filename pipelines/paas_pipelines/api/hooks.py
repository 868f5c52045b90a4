"""Where other systems deliver: `POST /hooks/<path>`, and `POST /github_webhook` as palvella has it.

No token is asked for: a delivery proves itself by its signature.
"""

import asyncio
from typing import Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from paas_pipelines.api.requests import RefusedError, json_answer
from paas_pipelines.api.shapes import encoded
from paas_pipelines.triggers.hooks import Answer, HookLimits
from paas_runner.server.wire import Refused, bounded_body


class Delivering(Protocol):
    """What of the feed the routes need."""

    @property
    def limits(self) -> HookLimits: ...

    @property
    def only_github_path(self) -> str: ...

    def has_hook(self, path: str) -> bool: ...

    async def deliver(self, path: str, headers: list[tuple[str, str]], body: bytes) -> Answer: ...


def routes(feed: Delivering) -> list[Route]:
    """Of one server."""

    async def hook(request: Request) -> Response:
        """202, 200 for a duplicate; 400, 401, 404, 408, 413, 415, 429, 503."""
        answer = await _delivered(request, feed, request.path_params["path"])
        return _response(answer)

    async def github_webhook(request: Request) -> Response:
        """204, also for a duplicate; 400 for one that is not genuine, as the seed has it."""
        answer = await _delivered(request, feed, feed.only_github_path)
        if answer.status in (200, 202):
            return Response(status_code=204)
        if answer.status == 401:
            return _response(Answer(status=400, body=answer.body))
        return _response(answer)

    return [
        Route("/hooks/{path:path}", hook, methods=["POST"]),
        Route("/github_webhook", github_webhook, methods=["POST"]),
    ]


async def _delivered(request: Request, feed: Delivering, path: str) -> Answer:
    if not feed.has_hook(path):
        raise RefusedError(404, "There is no such hook")
    most = feed.limits.body_bytes
    try:
        async with asyncio.timeout(feed.limits.read_seconds):
            body = await bounded_body(request, most)
    except Refused:
        raise RefusedError(413, f"Request body is larger than {most} bytes") from None
    except (ClientDisconnect, TimeoutError):
        raise RefusedError(408, "Request body did not come") from None
    return await feed.deliver(path, request.headers.items(), body)


def _response(answer: Answer) -> Response:
    response = json_answer(encoded(dict(answer.body)), answer.status)
    response.headers.update(answer.headers)
    return response
