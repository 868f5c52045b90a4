"""The way from outside to what runs for an application: `https://app-….cleverapps.io` (§4.5).

Where there are no such names, a path stands for them: `/hosts/app-….cleverapps.io/…`.
"""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from paas_runner.sandbox.cloud.application import DOMAIN
from paas_runner.sandbox.cloud.model import Cloud

PREFIX = "/hosts"


class LoadBalancer:
    """Hands each request to the machine of the application that its domain names; 404 where none is up."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def mount(self) -> Mount:
        """All domains by their paths."""
        return Mount(f"{PREFIX}/{{domain}}", app=self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        domain = scope.get("path_params", {}).get("domain")
        if domain is None:
            domain = Headers(scope=scope).get("host", "").partition(":")[0]
        else:
            scope = _below(scope)
        await (self._machine(domain) or _nothing(HTTPStatus.NOT_FOUND))(scope, receive, send)

    def _machine(self, domain: str) -> ASGIApp | None:
        if not domain.endswith(f".{DOMAIN}"):
            return None
        port = self._cloud.port_of(domain)
        return (port.app or _nothing(HTTPStatus.SERVICE_UNAVAILABLE)) if port else None


def _below(scope: Scope) -> Scope:
    """The request as the machine sees it, without the path that stands for the domain."""
    root = scope.get("root_path", "")
    path = scope["path"].removeprefix(root)
    raw = scope.get("raw_path")
    below = raw[len(root.encode()) :] if raw else path.encode()
    return {**scope, "root_path": "", "path": path, "raw_path": below, "path_params": {}}


def _nothing(status: HTTPStatus) -> ASGIApp:
    return HTMLResponse(f"<!DOCTYPE html><h1>{status.value} {status.phrase}</h1>", status_code=status)
