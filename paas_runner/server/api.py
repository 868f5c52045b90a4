"""The coordinator as an ASGI application: GitLab's routes, and whatever its owner adds."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.server.admin_api import AdminApi
from paas_runner.server.artifacts_api import ArtifactsApi
from paas_runner.server.job_api import JobApi
from paas_runner.server.runner_api import RunnerApi
from paas_runner.server.wire import Refused


def create_app(coordinator: Coordinator, *, more: Iterable[BaseRoute] = ()) -> Starlette:
    """The routes of spec gitlab-runner-api.md §12.1; and `more`; anything else is a 404 in JSON.

    The caller runs `Coordinator.keep_sweeping` beside it if silent jobs are to be failed.
    """
    kinds = (JobApi, ArtifactsApi, RunnerApi, AdminApi)
    return Starlette(
        routes=[*(route for kind in kinds for route in kind(coordinator).routes()), *more],
        exception_handlers={Refused: _refused, HTTPException: _no_route},
    )


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return error.response()


async def _no_route(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: "404 Not Found", 405: "405 Not Allowed"}
    return JSONResponse({"error": words.get(status, str(status))}, status)
