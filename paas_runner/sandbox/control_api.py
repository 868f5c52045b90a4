"""The sandbox's own routes: submit a pipeline, look at jobs, cancel one.

To submit a pipeline is to run commands on this machine, and a web page may send simple requests to
loopback: so these routes want the administrator's token in a header, like the others of that kind.
"""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.gitlab_ci.includes import RepositoryFiles
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.pipelines.jobs import Job, Project
from paas_runner.pipelines.predefined import before_the_start
from paas_runner.server.api import create_app
from paas_runner.server.wire import is_admin, not_found, number, unauthorized


class ControlApi:
    """What a person, the demo or a test does from outside the process."""

    def __init__(self, coordinator: Coordinator, files: RepositoryFiles | None = None) -> None:
        self._coordinator = coordinator
        self._files = files

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/pipelines", self.submit, methods=["POST"]),
            Route("/sandbox/jobs", self.jobs, methods=["GET"]),
            Route("/sandbox/jobs/{job_id:int}", self.job, methods=["GET"]),
            Route("/sandbox/jobs/{job_id:int}/trace", self.trace, methods=["GET"]),
            Route("/sandbox/jobs/{job_id:int}/cancel", self.cancel, methods=["POST"]),
        ]

    async def submit(self, request: Request) -> Response:
        """Start the pipeline whose `.gitlab-ci.yml` is the body, in the project `?project=<full path>`."""
        self._authorize(request)
        path = request.query_params.get("project")
        project = Project(full_path=path) if path else None
        options = self._coordinator.options
        known = before_the_start(project or options.project)
        known |= {variable.key: variable.value for variable in options.variables}
        try:
            text = (await request.body()).decode(errors="replace")
            pipeline = load_pipeline(text, self._files, known)
        except PipelineError as error:
            warnings = [str(warning) for warning in error.warnings]
            return JSONResponse({"message": str(error), "line": error.line, "warnings": warnings}, 400)
        submitted = self._coordinator.submit(pipeline, project)
        return JSONResponse(
            {
                "pipeline": submitted.pipeline_id,
                "jobs": dict(submitted.jobs),
                "warnings": list(submitted.warnings),
            },
            201,
        )

    async def jobs(self, request: Request) -> Response:
        """All jobs, or those of `?pipeline=<id>`."""
        self._authorize(request)
        wanted = number(request.query_params, "pipeline")
        jobs = self._coordinator.jobs.values()
        return JSONResponse([ledger_json(job) for job in jobs if wanted in (None, job.pipeline_id)])

    async def job(self, request: Request) -> Response:
        job = self._job(request)
        trace = self._coordinator.trace(job.job_id).decode(errors="replace")
        return JSONResponse({**ledger_json(job), "trace": trace})

    async def trace(self, request: Request) -> Response:
        """What the job has printed, as it is."""
        return Response(self._coordinator.trace(self._job(request).job_id), media_type="text/plain")

    async def cancel(self, request: Request) -> Response:
        """Cancel a job as a user would."""
        return JSONResponse(ledger_json(self._coordinator.cancel(self._job(request).job_id)))

    def _authorize(self, request: Request) -> None:
        if not is_admin(request, self._coordinator.options.admin_token):
            raise unauthorized()

    def _job(self, request: Request) -> Job:
        self._authorize(request)
        job = self._coordinator.jobs.get(request.path_params["job_id"])
        if job is None:
            raise not_found("Job")
        return job


def ledger_json(job: Job) -> dict[str, Any]:
    """A job with everything that happened to it."""
    return {
        "id": job.job_id,
        "name": job.spec.name,
        "stage": job.spec.stage,
        "pipeline": job.pipeline_id,
        "project": job.project.full_path,
        "status": job.status,
        "failure_reason": job.failure_reason,
        "exit_code": job.exit_code,
        "retry_of": job.retry_of,
        "retried_as": job.retried_as,
        "trace_bytes": job.trace_bytes,
        "events": [
            {"at": entry.at.isoformat(), "what": entry.kind, "detail": entry.detail} for entry in job.ledger
        ],
    }


def create_coordinator_app(coordinator: Coordinator, files: RepositoryFiles | None = None) -> Starlette:
    """GitLab's routes, and under `/sandbox` ours; `files` are what submitted pipelines may include."""
    return create_app(coordinator, own_routes=ControlApi(coordinator, files).routes())
