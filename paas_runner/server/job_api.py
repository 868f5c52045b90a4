"""The routes by which runners get jobs and report on them (spec gitlab-runner-api.md §2 to §5)."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Entrusted, Job
from paas_runner.pipelines.payload import job_payload
from paas_runner.pipelines.predefined import BRANCH, commit_sha
from paas_runner.pipelines.reports import Artifact, Reply, StateReport
from paas_runner.pipelines.runners import Queue, same
from paas_runner.server.runner_api import authenticated
from paas_runner.server.waiting import ticked, watch_reservation
from paas_runner.server.wire import (
    Refused,
    bearer,
    bounded_body,
    forbidden,
    is_admin,
    is_json,
    mapping,
    not_found,
    number,
    own_url,
    parameters,
    required,
    text,
    unauthorized,
)

_MOST_REQUEST_BYTES = 32 * 1024
_MOST_PIECE_BYTES = 16 * 1024 * 1024
"""Of a trace, in one request; runners send at most 1 MiB (§4.1)."""

_RANGE = re.compile(r"([0-9]{1,15})-[0-9]+")


class JobApi:
    """What a runner calls while it works."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def routes(self) -> list[Route]:
        return [
            Route("/api/v4/jobs/request", self.request_job, methods=["POST"]),
            Route("/api/v4/jobs/{job_id:id}", self.update, methods=["PUT"]),
            Route("/api/v4/jobs/{job_id:id}/trace", self.append_trace, methods=["PATCH"]),
            Route("/api/v4/job", self.own_job, methods=["GET"]),
        ]

    async def request_job(self, request: Request) -> Response:
        """A job or none; held for a while when the runner has seen all there is (§2.3, §2.4).

        GitLab's proxy holds the request, and ends it itself: with a 204 that tells no last update, whatever
        has come meanwhile. Only the next request reaches the application, which hands out jobs.
        """
        given = await parameters(request, most_bytes=_MOST_REQUEST_BYTES)
        runner = authenticated(self._coordinator, given)
        system_id = text(given, "system_id")
        self._coordinator.runners.seen(runner.runner_id, system_id, mapping(given, "info"))
        queue = self._coordinator.runners.queue(runner.runner_id)
        seen, value = text(given, "last_update"), queue.value
        if seen == value:
            if not is_json(request) or not self._holds:
                return self._nothing(seen)
            await self._held(request, queue)
            return Response(status_code=204, headers=self._polling())
        job = self._coordinator.acquire(runner.runner_id, features=_features(given), system_id=system_id)
        if job is None:
            return self._nothing(value)
        watch_reservation(self._coordinator, job)
        entrusted = self._coordinator.entrusted(job) or Entrusted()
        payload = job_payload(
            job,
            url=own_url(request),
            options=self._coordinator.options,
            dependencies=self._coordinator.dependencies(job),
            root_namespace_id=self._coordinator.groups.id_of(job.project.root_namespace),
            entrusted=entrusted.variables,
            sources_url=entrusted.sources_url.reveal(),
        )
        return JSONResponse(payload, 201, {"X-GitLab-Last-Update": value, **self._polling()})

    async def update(self, request: Request) -> Response:
        """The state that a runner reports (§3.2)."""
        given = await parameters(request)
        job = authenticated_job(self._coordinator, request, given)
        report = StateReport(
            state=required(given, "state"),
            failure_reason=text(given, "failure_reason") or None,
            exit_code=number(given, "exit_code"),
            checksum=text(mapping(given, "output"), "checksum") or text(given, "checksum") or None,
        )
        reply = self._coordinator.update(job.job_id, report)
        watch_reservation(self._coordinator, self._coordinator.jobs[job.job_id])
        headers = _status_header(reply)
        if reply.status == 403:
            raise forbidden("Job is not processing on runner", headers)
        if reply.status == 400:
            raise Refused(400, "400 Bad request - Unknown state", headers)
        if reply.wait_seconds is not None:
            headers["X-GitLab-Trace-Update-Interval"] = str(reply.wait_seconds)
        return JSONResponse(reply.status, reply.status, headers)

    async def append_trace(self, request: Request) -> Response:
        """A piece of the trace: 202, 400, 403, 404, 416 (§4.2)."""
        job = authenticated_job(self._coordinator, request, request.query_params)
        found = _RANGE.fullmatch(request.headers.get("content-range", ""))
        if found is None:
            raise Refused(400, "400 Bad request - Content-Range is missing or malformed")
        piece = await bounded_body(request, _MOST_PIECE_BYTES)
        reply = self._coordinator.append_trace(job.job_id, int(found[1]), piece)
        headers = _status_header(reply)
        if reply.status == 403:
            raise forbidden("Job is not processing on runner", headers)
        headers["Range"] = f"0-{reply.trace_bytes}"
        interval = self._coordinator.options.trace_interval_seconds
        if reply.status == 202 and interval > 0:
            headers["X-GitLab-Trace-Update-Interval"] = str(interval)
        return JSONResponse(headers["Range"], reply.status, headers)

    async def own_job(self, request: Request) -> Response:
        """The job whose token this is, while it runs: 200, 401, 404 (§5)."""
        if is_admin(request, self._coordinator.options.admin_token):
            raise not_found("Job")
        token = request.headers.get("job-token") or request.query_params.get("job_token") or bearer(request)
        job = self._coordinator.running_job(token)
        if job is None:
            raise unauthorized()
        return JSONResponse(job_json(job, own_url(request), self._coordinator.artifacts(job.job_id)))

    async def _held(self, request: Request, queue: Queue) -> None:
        """Until the queue ticks, the client leaves or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._coordinator.options.long_poll_seconds):
                await _first(ticked(queue, since=queue.value), request.receive())

    def _nothing(self, value: str) -> Response:
        """No job up to `value`; a newer one would keep the runner from asking for what came since."""
        headers = {"X-GitLab-Last-Update": value, **self._polling()}
        return Response(status_code=204, headers=headers)

    def _polling(self) -> dict[str, str]:
        """How a client can tell that requests are held."""
        return {"Gitlab-Ci-Builds-Polling": "yes"} if self._holds else {}

    @property
    def _holds(self) -> bool:
        return self._coordinator.options.long_poll_seconds > 0


def authenticated_job(coordinator: Coordinator, request: Request, given: Mapping[str, Any]) -> Job:
    """The job of the path; raises `Refused` with 404, or 403 for a token that is not its own."""
    job = coordinator.jobs.get(request.path_params["job_id"])
    if job is None:
        raise not_found("Job")
    if not same(job.token, request.headers.get("job-token") or text(given, "token")):
        raise forbidden("invalid job token")
    return job


async def _first(*wanted: Awaitable[object]) -> None:
    """Until one of them is done; none goes on afterwards."""
    tasks = [asyncio.ensure_future(each) for each in wanted]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _features(given: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name, has in mapping(mapping(given, "info"), "features").items() if has)


def _status_header(reply: Reply) -> dict[str, str]:
    return {} if reply.job_status is None else {"Job-Status": reply.job_status}


def job_json(job: Job, url: str, artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    """A job as spec gitlab-runner-api.md §5 has it."""
    project_url = f"{url}/{job.project.full_path}"
    return {
        "id": job.job_id,
        "status": job.status,
        "stage": job.spec.stage,
        "name": job.spec.name,
        "ref": BRANCH,
        "tag": False,
        "allow_failure": job.spec.allow_failure,
        "created_at": _iso(job.created_at),
        "started_at": _iso(job.started_at),
        "finished_at": _iso(job.finished_at),
        "failure_reason": job.failure_reason,
        "tag_list": list(job.spec.tags),
        "web_url": f"{project_url}/-/jobs/{job.job_id}",
        "pipeline": {
            "id": job.pipeline_id,
            "project_id": job.project.project_id,
            "sha": commit_sha(job),
            "ref": BRANCH,
            "web_url": f"{project_url}/-/pipelines/{job.pipeline_id}",
        },
        "runner": _runner(job),
        "artifacts": [
            {
                "file_type": artifact.kind,
                "file_format": artifact.form,
                "filename": artifact.filename,
                "size": artifact.size,
            }
            for artifact in artifacts.values()
        ],
    }


def _runner(job: Job) -> dict[str, Any] | None:
    if job.runner is None:
        return None
    return {"id": job.runner.runner_id, "description": job.runner.description, "active": True}


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
