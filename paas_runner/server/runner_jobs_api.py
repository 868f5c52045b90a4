"""What a user with a token sees of a runner: the jobs that it has, and what the token itself may do.

`GET /runners/:id/jobs` as GitLab has it (lib/api/ci/runners.rb): in pages, of one machine of the runner where
`system_id` says which; there the pages tell no total.
"""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.states import JobState
from paas_runner.server.job_api import job_json
from paas_runner.server.wire import Refused, is_admin, not_found, number, own_url, unauthorized

MOST_PER_PAGE = 100


class RunnerJobsApi:
    """What needs the administrator's `PRIVATE-TOKEN`, and changes nothing."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def routes(self) -> list[Route]:
        return [
            Route("/api/v4/runners/{runner_id:id}/jobs", self.jobs, methods=["GET"]),
            Route("/api/v4/personal_access_tokens/self", self.own_token, methods=["GET"]),
        ]

    async def jobs(self, request: Request) -> Response:
        """200, 400, 401, 404."""
        self._authorize(request)
        query = request.query_params
        status, system_id = query.get("status", ""), query.get("system_id", "")
        if status and status not in list(JobState):
            raise Refused(400, "status does not have a valid value")
        try:
            runner = self._coordinator.runners.get(request.path_params["runner_id"])
        except KeyError:
            raise not_found("Runner") from None
        found = self._coordinator.run_by(runner.runner_id, status, system_id)
        ordered = found if query.get("sort") == "asc" else found[::-1]
        return self._page(request, ordered, counts=not system_id)

    async def own_token(self, request: Request) -> Response:
        """The administrator's may do everything."""
        self._authorize(request)
        return JSONResponse(
            {"id": 1, "active": True, "revoked": False, "scopes": ["api"], "expires_at": None}
        )

    def _page(self, request: Request, jobs: Sequence[Job], *, counts: bool) -> Response:
        page = max(number(request.query_params, "page") or 1, 1)
        size = min(max(number(request.query_params, "per_page") or 20, 1), MOST_PER_PAGE)
        shown = jobs[(page - 1) * size : page * size]
        following = str(page + 1) if page * size < len(jobs) else ""
        headers = {"X-Page": str(page), "X-Per-Page": str(size), "X-Next-Page": following}
        if following:
            headers["Link"] = f'<{request.url.include_query_params(page=following)}>; rel="next"'
        if counts:
            headers["X-Total"] = str(len(jobs))
        return JSONResponse([self._shown(request, job) for job in shown], headers=headers)

    def _shown(self, request: Request, job: Job) -> dict[str, Any]:
        shown = job_json(job, own_url(request), {})
        del shown["artifacts"], shown["runner"]  # the runner is known, files are not listed
        project = {"id": job.project.project_id, "path_with_namespace": job.project.full_path}
        return {**shown, "project": project}

    def _authorize(self, request: Request) -> None:
        if not is_admin(request, self._coordinator.options.admin_token):
            raise unauthorized()
