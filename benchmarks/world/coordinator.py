"""GitLab's runner API, as far as a service asks it while it works.

A request that tells the last update is held, and a held request never brings a job: it ends with 204,
without `X-GitLab-Last-Update`, when there is something new or at the time-out; the next one, which tells the
old value still, is answered in earnest.

Left out: two-phase acquisition, cancellation, artifacts, refusals of any kind but those for a job that is
over or a token that is unknown.
"""

import asyncio
import itertools
import json
import time
from collections import deque
from collections.abc import Awaitable, Sequence

import attrs

from benchmarks.world.books import Books, Job
from benchmarks.world.http import Answer, Request, json_answer
from benchmarks.world.payloads import JobPayloads


@attrs.define
class _Queue:
    """Of one runner."""

    waiting: deque[Job] = attrs.field(factory=deque)
    value: int = 1
    changed: asyncio.Event = attrs.field(factory=asyncio.Event)

    def tick(self) -> None:
        self.value += 1
        self.changed.set()
        self.changed = asyncio.Event()


class Coordinator:
    """The jobs of all runners; `long_poll_seconds` 0 holds nothing."""

    def __init__(self, books: Books, tokens: Sequence[str], *, admin_token: str, long_poll_seconds: float):
        self._books = books
        self._admin_token = admin_token
        self._long_poll_seconds = long_poll_seconds
        self._queues = {token: _Queue() for token in tokens}
        self._ids = itertools.count(1000)
        self._payloads = JobPayloads()
        self.url = ""

    def submit(self, token: str, *, first_byte_seconds: float, run_seconds: float) -> int:
        job_id = next(self._ids)
        job = Job(
            job_id=job_id,
            token=f"glcbt-64_{job_id:020}",
            runner=token,
            first_byte_seconds=first_byte_seconds,
            run_seconds=run_seconds,
            queued=time.monotonic(),
        )
        self._books.add(job)
        self._queues[token].waiting.append(job)
        self._queues[token].tick()
        return job_id

    def answer(self, request: Request) -> Answer | Awaitable[Answer]:
        parts = request.path.removeprefix("/api/v4/").split("/")
        match request.method, parts:
            case "POST", ["jobs", "request"]:
                return self._request_job(request)
            case "GET", ["job"]:
                return self._own_job(request)
            case "PUT", ["jobs", job_id]:
                return self._update(request, self._books.jobs.get(int(job_id)))
            case "PATCH", ["jobs", job_id, "trace"]:
                return self._append(request, self._books.jobs.get(int(job_id)))
            case "GET", ["projects", _, "jobs", job_id, "trace"]:
                return self._trace(request, self._books.jobs.get(int(job_id)))
            case "POST", ["runners", "verify"]:
                self._count("verify a runner")
                return json_answer({"id": 1, "token": request.json().get("token"), "token_expires_at": None})
            case _:
                self._count(f"{request.method} {request.path}")
                return json_answer({"error": "404 Not Found"}, 404)

    def _count(self, operation: str) -> None:
        self._books.count("coordinator", operation)

    def _request_job(self, request: Request) -> Answer | Awaitable[Answer]:
        self._count("request a job")
        given = request.json()
        queue = self._queues.get(str(given.get("token")))
        if queue is None:
            return json_answer({"message": "403 Forbidden - invalid token supplied"}, 403)
        seen, value = given.get("last_update"), f"{queue.value:032x}"
        polling = {"gitlab-ci-builds-polling": "yes"} if self._long_poll_seconds > 0 else {}
        if seen == value:
            if polling:
                return self._held(queue, polling)
            return Answer(204, headers={"x-gitlab-last-update": value})
        headers = {"x-gitlab-last-update": value, **polling}
        if not queue.waiting:
            return Answer(204, headers=headers)
        job = queue.waiting.popleft()
        queue.value += 1  # there may be another: the next request is answered in earnest
        self._books.note(job, "acquired")
        return Answer(201, self._payloads.of(job.job_id, job.token, self.url), headers)

    async def _held(self, queue: _Queue, polling: dict[str, str]) -> Answer:
        self._count("of these held")
        try:
            async with asyncio.timeout(self._long_poll_seconds):
                await queue.changed.wait()
        except TimeoutError:
            pass
        return Answer(204, headers=polling)

    def _own_job(self, request: Request) -> Answer:
        self._count("look at a job")
        token = request.headers.get("job-token") or request.query.removeprefix("job_token=")
        job = self._books.by_token.get(token)
        if job is not None:
            self._books.unseen.discard(job.job_id)
        if job is None or not job.runs(time.monotonic()):
            if job is not None:
                self._books.note(job, "found")
            return json_answer({"message": "401 Unauthorized"}, 401)
        return Answer(200, self._payloads.seen(job.job_id, self.url))

    def _update(self, request: Request, job: Job | None) -> Answer:
        self._count("update a job")
        if job is None:
            return json_answer({"message": "404 Job Not Found"}, 404)
        if not job.runs(time.monotonic()):
            return self._over(job)
        self._books.unseen.discard(job.job_id)
        if json.loads(request.body).get("state") == "failed":
            self._books.note(job, "failed")
            return json_answer(200, 200, {"job-status": "failed"})
        return json_answer(200, 200, {"job-status": "running"})

    def _append(self, request: Request, job: Job | None) -> Answer:
        self._count("append to a trace")
        if job is None:
            return json_answer({"message": "404 Job Not Found"}, 404)
        now = time.monotonic()
        if not job.runs(now):
            return self._over(job)
        self._books.unseen.discard(job.job_id)
        size = job.trace_bytes(now)
        start = int(request.headers["content-range"].partition("-")[0])
        headers = {"job-status": "running", "range": f"0-{size}"}
        if start != size:
            return json_answer(headers["range"], 416, headers)
        headers |= {"range": f"0-{size + len(request.body)}", "x-gitlab-trace-update-interval": "3"}
        return json_answer(headers["range"], 202, headers)

    def _trace(self, request: Request, job: Job | None) -> Answer:
        self._count("read a trace")
        if job is None or request.headers.get("private-token") != self._admin_token:
            return json_answer({"message": "404 Not Found"}, 404)
        return Answer(200, b"x" * job.trace_bytes(time.monotonic()), content_type="text/plain")

    def _over(self, job: Job) -> Answer:
        self._books.note(job, "found")
        status = "success" if job.failed is None else "failed"
        message = {"message": "403 Forbidden - Job is not processing on runner"}
        return json_answer(message, 403, {"job-status": status})
