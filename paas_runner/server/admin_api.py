"""The administrator's routes: attributes of groups, jobs of projects (spec gitlab-runner-api.md §7)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Job
from paas_runner.server.job_api import job_json
from paas_runner.server.wire import (
    flag,
    forbidden,
    is_admin,
    not_found,
    own_url,
    parameters,
    required,
    segments,
    unauthorized,
)


class AdminApi:
    """What needs the administrator's `PRIVATE-TOKEN`.

    Groups and projects are named by number or by their full path with encoded slashes; the routes match the
    decoded path, so each handler looks at the path as it was sent.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def routes(self) -> list[Route]:
        group, project = "/api/v4/groups/{path:path}", "/api/v4/projects/{path:path}"
        return [
            Route("/api/v4/groups", self.groups, methods=["GET"]),
            Route(f"{group}/custom_attributes", self.attributes, methods=["GET"]),
            Route(f"{group}/custom_attributes/{{key}}", self.attribute, methods=["GET", "PUT", "DELETE"]),
            Route(group, self.group, methods=["GET"]),
            Route(f"{project}/jobs/{{job_id:id}}", self.job, methods=["GET"]),
            Route(f"{project}/jobs/{{job_id:id}}/trace", self.trace, methods=["GET"]),
            Route(f"{project}/jobs/{{job_id:id}}/cancel", self.cancel, methods=["POST"]),
            Route(f"{project}/jobs/{{job_id:id}}/retry", self.retry, methods=["POST"]),
        ]

    async def groups(self, request: Request) -> Response:
        """The top-level groups in pages, of those with `search` in their path, whatever else is asked for."""
        self._authorize(request)
        query = request.query_params
        page, size = (int(query.get(key, one)) for key, one in (("page", 1), ("per_page", 20)))
        wanted = query.get("search", "").lower()
        known = [path for path in self._coordinator.groups.top_level() if wanted in path.lower()]
        shown = [self._group(path, request) for path in known[(page - 1) * size : page * size]]
        following = str(page + 1) if page * size < len(known) else ""
        return JSONResponse(shown, headers={"X-Next-Page": following})

    async def group(self, request: Request) -> Response:
        """One group, by its id or its path."""
        self._authorize(request)
        path = segments(request)
        try:
            found = self._coordinator.groups.path_of(path[1] if len(path) == 2 else "")
        except KeyError:
            raise not_found("Group") from None
        return JSONResponse(self._group(found, request))

    async def attributes(self, request: Request) -> Response:
        known = self._attributes(request, length=3)
        return JSONResponse([{"key": key, "value": value} for key, value in known.items()])

    async def attribute(self, request: Request) -> Response:
        known = self._attributes(request, length=4)
        key = segments(request)[3]
        if request.method == "PUT":
            known[key] = required(await parameters(request), "value")
        elif key not in known:
            raise not_found("Custom attribute")
        elif request.method == "DELETE":
            del known[key]
            return Response(status_code=204)
        return JSONResponse({"key": key, "value": known[key]})

    async def job(self, request: Request) -> Response:
        return JSONResponse(self._shown(request, self._job(request)))

    async def trace(self, request: Request) -> Response:
        """Empty when there is none."""
        return PlainTextResponse(self._coordinator.trace(self._job(request).job_id))

    async def cancel(self, request: Request) -> Response:
        """Cancel a job; one that cannot be canceled is answered unchanged."""
        job = self._job(request)
        canceled = self._coordinator.cancel(job.job_id, force=flag(await parameters(request), "force"))
        return JSONResponse(self._shown(request, canceled), 201)

    async def retry(self, request: Request) -> Response:
        """The job that takes its place: 201; 403 where there is none, or one already."""
        again = self._coordinator.retry(self._job(request).job_id)
        if again is None:
            raise forbidden("Job is not retryable")
        return JSONResponse(self._shown(request, again), 201)

    def _authorize(self, request: Request) -> None:
        if not is_admin(request, self._coordinator.options.admin_token):
            raise unauthorized()

    def _shown(self, request: Request, job: Job) -> dict[str, Any]:
        return job_json(job, own_url(request), self._coordinator.artifacts(job.job_id))

    def _group(self, path: str, request: Request) -> dict[str, Any]:
        groups = self._coordinator.groups
        shown: dict[str, Any] = {"id": groups.id_of(path), "path": path.rpartition("/")[2], "full_path": path}
        if request.query_params.get("with_custom_attributes") == "true":
            attributes = groups.attributes(str(shown["id"]))
            shown["custom_attributes"] = [{"key": key, "value": value} for key, value in attributes.items()]
        return shown

    def _attributes(self, request: Request, *, length: int) -> dict[str, str]:
        self._authorize(request)
        path = segments(request)
        try:
            return self._coordinator.groups.attributes(path[1] if len(path) == length else "")
        except KeyError:
            raise not_found("Group") from None

    def _job(self, request: Request) -> Job:
        self._authorize(request)
        job = self._coordinator.jobs.get(request.path_params["job_id"])
        project = segments(request)[1]
        if job is None or project not in (str(job.project.project_id), job.project.full_path):
            raise not_found("Job")
        return job
