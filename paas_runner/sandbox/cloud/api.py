"""The simulated cloud's HTTP face: `create_app` puts API, logs, git remote and the way to
hosts on one Starlette application.

Errors, content types and the `Sozu-Id` header are those of spec clever-cloud-api.md §1.3. The routes that
tell what is on offer are here, too: no other part of the API is open to everyone (§2.2).
"""

from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paas_runner.sandbox.cloud import render
from paas_runner.sandbox.cloud.accounts import Identifiers
from paas_runner.sandbox.cloud.api_accounts import AccountRoutes
from paas_runner.sandbox.cloud.api_applications import ApplicationRoutes
from paas_runner.sandbox.cloud.api_logs import LogRoutes
from paas_runner.sandbox.cloud.application import Application
from paas_runner.sandbox.cloud.errors import CloudRefusedError, MalformedError
from paas_runner.sandbox.cloud.git_remote import GitRemote
from paas_runner.sandbox.cloud.ledger import CloudLedger
from paas_runner.sandbox.cloud.model import Cloud
from paas_runner.sandbox.cloud.routing import LoadBalancer


def create_app(cloud: Cloud, *, remote: GitRemote | None = None, base_url: str | None = None) -> Starlette:
    """The cloud's web application, without git when no remote is given.

    Git URLs begin with `base_url`, by default with the address under which the API itself was asked.
    """

    def git_url(request: Request, app: Application) -> str:
        return f"{base_url or str(request.base_url).rstrip('/')}/git/{app.id}.git"

    routes = [
        *CatalogueRoutes(cloud).routes(),
        *AccountRoutes(cloud).routes(),
        *ApplicationRoutes(cloud, git_url).routes(),
        *LogRoutes(cloud).routes(),
        *([] if remote is None else remote.routes()),
        LoadBalancer(cloud).mount(),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Gateway, identifiers=cloud.identifiers, ledger=cloud.ledger)],
        exception_handlers={
            CloudRefusedError: _refused,
            MalformedError: _malformed,
            HTTPException: _unknown_to_the_router,
        },
    )
    app.router.redirect_slashes = False
    return app


class CatalogueRoutes:
    """Instance types, flavors and zones, as they are at the time of the request."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def routes(self) -> list[Route]:
        return [
            Route("/v2/products/instances", self.instance_types, methods=["GET"]),
            Route("/v2/products/flavors", self.flavors, methods=["GET"]),
            Route("/v2/products/zones", self.zone_names, methods=["GET"]),
            Route("/v4/products/zones", self.zones, methods=["GET"]),
            Route("/v4/products/zones/{zone}", self.zone, methods=["GET"]),
        ]

    async def instance_types(self, _: Request) -> Response:
        return JSONResponse([render.instance_type(each) for each in self._cloud.catalogue.instance_types])

    async def flavors(self, request: Request) -> Response:
        """The flavors of a context, unavailable ones included."""
        flavors = self._cloud.catalogue.flavors(request.query_params.get("context"))
        return JSONResponse([render.flavor(each) for each in flavors])

    async def zone_names(self, _: Request) -> Response:
        return JSONResponse([render.zone_name(each) for each in self._cloud.catalogue.zones])

    async def zones(self, _: Request) -> Response:
        return JSONResponse([render.zone(each) for each in self._cloud.catalogue.zones])

    async def zone(self, request: Request) -> Response:
        found = self._cloud.catalogue.zone(request.path_params["zone"])
        if found is None:
            raise HTTPException(404)
        return JSONResponse(render.zone(found))


class Gateway:
    """Counts requests by route, and gives every answer an id of its request."""

    def __init__(self, app: ASGIApp, *, identifiers: Identifiers, ledger: CloudLedger) -> None:
        self._app = app
        self._identifiers = identifiers
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sozu_id = self._identifiers.new().encode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"sozu-id", sozu_id)]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_with_id)
        route = scope.get("route")
        path = route.path if isinstance(route, Route) else "unknown"
        self._ledger.requests[f"{scope.get('method')} {path}"] += 1


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, CloudRefusedError):
        raise error
    content: dict[str, Any]
    if request.url.path.startswith("/v4/"):
        code = HTTPStatus(error.status).phrase.lower().replace(" ", "-")
        content = {"code": f"clever.core.{code}", "error": error.message, "context": {}}
    else:
        content = {"id": error.number, "message": error.message, "type": "error"}
    if error.fields:
        content["fields"] = dict(error.fields)
    return JSONResponse(content, status_code=error.status)


async def _malformed(_: Request, error: Exception) -> Response:
    if not isinstance(error, MalformedError):
        raise error
    content = {path: [{"msg": [problem], "args": []}] for path, problem in error.problems.items()}
    return JSONResponse(content, status_code=400)


async def _unknown_to_the_router(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    phrase = HTTPStatus(error.status_code).phrase
    page = f"<!DOCTYPE html><html><head><title>{phrase}</title></head><body><h1>{phrase}</h1></body></html>"
    return HTMLResponse(page, status_code=error.status_code, headers=error.headers)
