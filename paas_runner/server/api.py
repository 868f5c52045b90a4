"""The coordinator as an ASGI application: GitLab's routes, and those that its owner has beside them."""

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
from paas_runner.server.runner_jobs_api import RunnerJobsApi
from paas_runner.server.wire import Refused


def create_app(coordinator: Coordinator, *, own_routes: Iterable[BaseRoute] = ()) -> Starlette:
    """The routes of spec gitlab-runner-api.md §12.1, then the owner's; anything else is a 404 in JSON.

    What the owner's handlers refuse with `Refused` is answered as GitLab answers it, too. The caller runs
    `waiting.keep_sweeping` beside the application if silent jobs are to be failed.
    """
    kinds = (JobApi, ArtifactsApi, RunnerApi, RunnerJobsApi, AdminApi)
    return Starlette(
        routes=[*(route for kind in kinds for route in kind(coordinator).routes()), *own_routes],
        exception_handlers={Refused: _refused, HTTPException: _no_route},
    )


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        raise error
    return error.response()


async def _no_route(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    messages = {404: "404 Not Found", 405: "405 Not Allowed"}
    return JSONResponse({"error": messages.get(status, str(status))}, status)
