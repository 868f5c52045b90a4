"""The routes by which runners get jobs and report on them (spec gitlab-runner-api.md §2 to §5)."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.payload import job_payload
from paas_runner.pipelines.reports import JobReport, Reply
from paas_runner.pipelines.runners import RunnerRecord, same
from paas_runner.server.runner_api import authenticated
from paas_runner.server.views import job_json
from paas_runner.server.wire import (
    Refused,
    bearer,
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
_RANGE = re.compile(r"([0-9]{1,15})-[0-9]+")


class JobApi:
    """What a runner calls while it works."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def routes(self) -> list[Route]:
        """The routes under `/api/v4/job` and `/api/v4/jobs`."""
        return [
            Route("/api/v4/jobs/request", self.request_job, methods=["POST"]),
            Route("/api/v4/jobs/{job_id:int}", self.update, methods=["PUT"]),
            Route("/api/v4/jobs/{job_id:int}/trace", self.append_trace, methods=["PATCH"]),
            Route("/api/v4/job", self.own_job, methods=["GET"]),
        ]

    async def request_job(self, request: Request) -> Response:
        """A job or none; held for a while when the runner has seen all there is (§2.3, §2.4)."""
        given = await parameters(request, most_bytes=_MOST_REQUEST_BYTES)
        runner = authenticated(self._coordinator, given)
        runner.seen(text(given, "system_id"), mapping(given, "info"))
        seen = text(given, "last_update")
        if seen == runner.queue.current:
            if is_json(request) and await self._ticked_while_held(request, runner):
                return Response(status_code=204, headers=self._polling())
            return self._nothing(seen)
        value = runner.queue.current
        job = self._coordinator.acquire(runner, features=_features(given), system_id=text(given, "system_id"))
        if job is None:
            return self._nothing(value)
        payload = job_payload(
            job,
            url=own_url(request),
            options=self._coordinator.options,
            dependencies=self._coordinator.dependencies(job),
        )
        return JSONResponse(payload, 201, {"X-GitLab-Last-Update": value, **self._polling()})

    async def update(self, request: Request) -> Response:
        """The state that a runner reports (§3.2)."""
        given = await parameters(request)
        job = authenticated_job(self._coordinator, request, given)
        report = JobReport(
            state=required(given, "state"),
            failure_reason=text(given, "failure_reason") or None,
            exit_code=number(given, "exit_code"),
            checksum=text(mapping(given, "output"), "checksum") or text(given, "checksum") or None,
        )
        verdict = self._coordinator.update(job, report)
        headers = _status_header(job, verdict)
        if verdict.status == 403:
            raise forbidden("Job is not processing on runner", headers)
        if verdict.status == 400:
            raise Refused(400, "400 Bad request - Unknown state", headers)
        if verdict.wait_seconds is not None:
            headers["X-GitLab-Trace-Update-Interval"] = str(verdict.wait_seconds)
        return JSONResponse(verdict.status, verdict.status, headers)

    async def append_trace(self, request: Request) -> Response:
        """A piece of the trace: 202, 400, 403, 404, 416 (§4.2)."""
        job = authenticated_job(self._coordinator, request, request.query_params)
        found = _RANGE.fullmatch(request.headers.get("content-range", ""))
        if found is None:
            raise Refused(400, "400 Bad request - Content-Range is missing or malformed")
        verdict = self._coordinator.append_trace(job, int(found[1]), await request.body())
        headers = _status_header(job, verdict)
        if verdict.status == 403:
            raise forbidden("Job is not processing on runner", headers)
        headers["Range"] = f"0-{job.trace_bytes}"
        interval = self._coordinator.options.trace_interval_seconds
        if verdict.status == 202 and interval > 0:
            headers["X-GitLab-Trace-Update-Interval"] = str(interval)
        return JSONResponse(headers["Range"], verdict.status, headers)

    async def own_job(self, request: Request) -> Response:
        """The job whose token this is, while it runs: 200, 401, 404 (§5)."""
        if is_admin(request, self._coordinator.options.admin_token):
            raise not_found("Job")
        token = request.headers.get("job-token") or request.query_params.get("job_token") or bearer(request)
        job = self._coordinator.running_job(token)
        if job is None:
            raise unauthorized()
        return JSONResponse(job_json(job, own_url(request)))

    async def _ticked_while_held(self, request: Request, runner: RunnerRecord) -> bool:
        """Whether the queue ticked before the client left or the hold was over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._coordinator.options.long_poll_seconds):
                return await _first(runner.queue.ticked(since=runner.queue.current), request.receive())
        return False

    def _nothing(self, value: str) -> Response:
        """No job up to `value`; a newer one would keep the runner from asking for what came since."""
        headers = {"X-GitLab-Last-Update": value, **self._polling()}
        return Response(status_code=204, headers=headers)

    def _polling(self) -> dict[str, str]:
        """How a client can tell that requests are held."""
        return {"Gitlab-Ci-Builds-Polling": "yes"} if self._coordinator.options.long_poll_seconds > 0 else {}


def authenticated_job(coordinator: Coordinator, request: Request, given: Mapping[str, Any]) -> Job:
    """The job of the path; raises `Refused` with 404, or 403 for a token that is not its own."""
    job = coordinator.jobs.get(request.path_params["job_id"])
    if job is None:
        raise not_found("Job")
    if not same(job.token, request.headers.get("job-token") or text(given, "token")):
        raise forbidden("invalid job token")
    return job


async def _first(wanted: Awaitable[object], other: Awaitable[object]) -> bool:
    """Whether `wanted` was done before `other`; neither goes on afterwards."""
    tasks = [asyncio.ensure_future(wanted), asyncio.ensure_future(other)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].done()
    finally:
        for task in tasks:
            task.cancel()


def _features(given: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name, has in mapping(mapping(given, "info"), "features").items() if has)


def _status_header(job: Job, verdict: Reply) -> dict[str, str]:
    return {"Job-Status": job.status} if verdict.tells_status else {}
