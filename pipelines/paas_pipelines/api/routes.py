"""The routes of spec §7 and ours beside, as an ASGI application that others add theirs to."""

from collections.abc import AsyncIterator, Iterable
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from paas_pipelines.access import resources
from paas_pipelines.access.actor import actor_of
from paas_pipelines.access.statements import CANCEL, START
from paas_pipelines.api import requests
from paas_pipelines.api.access import Guarded
from paas_pipelines.api.administration import AdministrationRoutes
from paas_pipelines.api.requests import JSON, RefusedError, json_answer
from paas_pipelines.api.rights import Rights, identity_of, way_of
from paas_pipelines.api.run_events import RunEvents
from paas_pipelines.api.run_routes import RunRoutes
from paas_pipelines.api.served import Served
from paas_pipelines.api.shapes import PIECE_BYTES, Shapes, encoded, pieces
from paas_pipelines.api.start_keys import KeyUsedError
from paas_pipelines.api.streaming import EVENT_STREAM, Streams
from paas_pipelines.api.task_logs import TaskLogs, places_of
from paas_pipelines.api.trigger_routes import TriggerRoutes
from paas_pipelines.runs.engine import AlreadyCompletedError, ScheduleRefusedError, ShuttingDownError
from paas_pipelines.store.logs import Stream
from paas_runner.server.connections import Bounds
from paas_runner.store.protocol import StoreError

BOUNDS = Bounds(connections=256, head_seconds=10.0, answer_seconds=120.0, idle_seconds=30)
"""What clients of the whole server may take; long answers keep to bounds of their own."""

_DOCUMENT = files("paas_pipelines.api").joinpath("openapi.json").read_bytes()


def create_app(
    served: Served, *, own_routes: Iterable[BaseRoute] = (), streams: Streams | None = None
) -> Starlette:
    """The API, then the owner's routes; anything else is a 404.

    All that tells or changes anything needs a token; the owner's routes see to theirs by a `Gate`. Another
    application is added as `Route("/api/v4/{rest:path}", app)`. `state.warm` is for once, at the start.
    """
    api = PipelinesApi(served, streams or Streams())
    app = Starlette(
        routes=[
            *api.routes(),
            *RunRoutes(served).routes(),
            *AdministrationRoutes(served).routes(),
            *TriggerRoutes(served).routes(),
            *(served.login.routes() if served.login else ()),
            *own_routes,
        ],
        middleware=[Middleware(Guarded, gate=served.gate)],
        exception_handlers={RefusedError: _refused, StoreError: _not_stored, HTTPException: _no_route},
    )
    app.router.redirect_slashes = False
    app.state.warm = api.warm
    return app


class PipelinesApi:
    """Pipelines, their runs (here: jobs), and the logs of tasks."""

    def __init__(self, served: Served, streams: Streams) -> None:
        self._served = served
        self._engine = served.engine
        self._shapes = Shapes(served.engine)
        self._rights = Rights(served)
        self._events = RunEvents(served, self._shapes)
        self._streams = streams

    def routes(self) -> list[Route]:
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/pipelines", self.pipelines, methods=["GET"]),
            Route("/pipelines/", self.pipelines, methods=["GET"]),
            Route("/pipelines/jobs", self.jobs, methods=["GET"]),
            Route("/pipelines/schedule", self.schedule, methods=["POST"]),
            Route("/job/detail", self.detail, methods=["GET"]),
            Route("/job/logs", self.logs, methods=["GET"]),
            Route("/job/cancel", self.cancel, methods=["POST"]),
            Route("/runs/stream", self.stream, methods=["GET"]),
            Route("/openapi.json", self.document, methods=["GET"]),
        ]

    async def warm(self) -> None:
        """Encode what is stored, so that the first who asks for all of it does not wait for that."""
        await self._shapes.everything()

    async def health(self, _request: Request) -> Response:
        """The server answers; more it does not say to everybody."""
        return json_answer(encoded({"alive": True}))

    async def pipelines(self, request: Request) -> Response:
        body = b'{"pipelines":' + self._shapes.pipelines(self._rights.reads(request)) + b"}"
        await self._served.durable()
        return json_answer(body)

    async def jobs(self, request: Request) -> Response:
        """Everything: 10,000 runs are some megabytes, so that they go in pieces."""
        parts = await self._shapes.everything(self._rights.reads(request))
        await self._served.durable()
        length = sum(map(len, parts)) + 1
        if length <= PIECE_BYTES:
            return json_answer(b"".join(parts))

        async def content() -> AsyncIterator[bytes]:
            for piece in pieces([*parts, b"\n"]):
                yield piece

        return StreamingResponse(content(), media_type=JSON, headers={"Content-Length": str(length)})

    async def schedule(self, request: Request) -> Response:
        """A new run, or that of the same Idempotency-Key: 202, 400, 403, 413, 422, 503."""
        asked = await requests.schedule_request(request)
        unknown = f'Error scheduling pipeline: pipeline "{asked.pipeline}" is not defined'
        wanted = resources.pipeline(asked.pipeline)
        who = self._rights.require(request, START, wanted, hidden=unknown, status=400)
        try:
            run_id = await self._served.start(
                asked.pipeline,
                variables=asked.variables,
                actor=actor_of(who, way_of(request)),
                partition=asked.partition,
                key=requests.idempotency_key(request),
                digest=asked.digest,
            )
        except KeyUsedError as error:
            raise RefusedError(422, str(error)) from None
        except ShuttingDownError:
            raise RefusedError(503, "Server is shutting down") from None
        except ScheduleRefusedError as refused:
            raise RefusedError(400, f"Error scheduling pipeline: {refused}") from None
        return json_answer(encoded({"jobId": run_id}), 202)

    async def detail(self, request: Request) -> Response:
        body = self._shapes.job(self._rights.run(request))
        await self._served.durable()
        return json_answer(body)

    async def logs(self, request: Request) -> Response:
        """What a task has written so far; ours are `stream` for raw text, and `follow` for events."""
        run, task = self._rights.task(request)
        found = TaskLogs(self._served, run.run_id, task.name)
        stream, offset = requests.one_of(request, "stream", Stream), requests.whole_number(request, "offset")
        asked = resources.pipeline(run.pipeline), resources.log(run.pipeline, task.name)
        still = self._rights.lasting(request, *asked)
        if requests.one_of(request, "follow", ("0", "1")) == "1":
            begin = {Stream(stream): offset} if stream else dict.fromkeys(Stream, 0)
            last = request.headers.get("last-event-id") or requests.first(request, "lastEventId")
            places = places_of(last, begin)
            return self._streams.answer(found.followed(places), EVENT_STREAM, still)
        if stream:
            return self._streams.answer(found.raw(Stream(stream), offset), "text/plain", still)
        short = found.short()
        return self._streams.answer(found.as_json(), JSON, still) if short is None else json_answer(short)

    async def cancel(self, request: Request) -> Response:
        """200 as soon as it is wanted, also again; 400, 403, 404; 500 for one that has completed."""
        run = self._rights.run(request, CANCEL)
        try:
            await self._served.cancel(run.run_id, request.state.user)
        except AlreadyCompletedError:
            raise RefusedError(500, "Error canceling job") from None
        return json_answer(encoded(True))

    async def stream(self, request: Request) -> Response:
        """What happens to runs, as it happens."""
        last = request.headers.get("last-event-id", "")
        events = self._events.since(last, identity_of(request))
        return self._streams.answer(events, EVENT_STREAM, self._rights.lasting(request))

    async def document(self, _request: Request) -> Response:
        """The tables of §7 for programs: OpenAPI 3.1."""
        return json_answer(_DOCUMENT.rstrip())


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    return error.response()


async def _not_stored(_: Request, error: Exception) -> Response:
    return RefusedError(503, f"The store cannot be written: {error}").response()


async def _no_route(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    texts = {404: "404 page not found\n", 405: "405 method not allowed\n"}
    return PlainTextResponse(
        texts.get(error.status_code, f"{error.detail}\n"), error.status_code, error.headers
    )
