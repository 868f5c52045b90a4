"""A coordinator with one runner, and inner runners that are given its jobs."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs
import httpx

from paas_runner.inner import InnerRunner, Timings
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.payload import job_payload
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.control_api import create_coordinator_app
from paas_runner.secret import Secret
from tests.support.live_records import LiveJob, LiveRunner, added, submitted

URL = "http://gitlab.test"
RUNNER_TOML = f'[[runners]]\nname = "demo"\nurl = "{URL}"\ntoken = "abcdefghi"\nexecutor = "docker"\n'
QUICK = Timings(
    interval=0.05, keep_alive=0.1, first_backoff=0.02, grace=0.2, hurried_grace=0.2, stage_backoff=0.01
)
GRACEFUL = frozenset({"return_exit_code", "cancel_gracefully"})
OPTIONS = CoordinatorOptions(
    registration_token=Secret("GR1348941-register"),
    admin_token=Secret("glpat-admin"),
    trace_interval_seconds=0,
)


def now() -> datetime:
    return datetime.now(UTC)


@attrs.define
class Recorder(httpx.AsyncBaseTransport):
    """Passes requests on and keeps them; `answers` come first."""

    inner: httpx.AsyncBaseTransport
    requests: list[httpx.Request] = attrs.field(factory=list)
    answers: list[httpx.Response | httpx.TransportError] = attrs.field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return await self.inner.handle_async_request(request)

    def patches(self) -> list[httpx.Request]:
        return [request for request in self.requests if request.method == "PATCH"]

    def puts(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests if request.method == "PUT"]

    def final_puts(self) -> list[dict[str, Any]]:
        return [put for put in self.puts() if put["state"] != "running"]


@attrs.define
class Hosts:
    coordinator: Coordinator
    runner: LiveRunner
    wire: Recorder

    def handed_out(self, spec: JobSpec, features: frozenset[str] = GRACEFUL) -> tuple[LiveJob, str]:
        """A job that is running now, and its `job.json`."""
        job = submitted(self.coordinator, spec)
        assert self.coordinator.acquire(self.runner.runner_id, features=features) == job
        return job, json.dumps(job_payload(job, url=URL, options=self.coordinator.options))

    def inner(self, kind: type[InnerRunner] = InnerRunner, **settings: Any) -> InnerRunner:
        return kind(**{"clock": now, "transport": lambda url: self.wire, "timings": QUICK, **settings})

    async def ran(self, spec: JobSpec, **settings: Any) -> LiveJob:
        """A job that an inner runner has brought to its end."""
        job, job_json = self.handed_out(spec)
        await self.inner(**settings).run(RUNNER_TOML, job_json)
        return job


def hosts(clock: Callable[[], datetime] = now, **options: Any) -> Hosts:
    coordinator = Coordinator(clock, attrs.evolve(OPTIONS, **options), random.Random(3))
    wire = Recorder(httpx.ASGITransport(create_coordinator_app(coordinator)))
    return Hosts(coordinator, added(coordinator), wire)


def script(*lines: str, **more: Any) -> JobSpec:
    return JobSpec(name="j", script=lines, **more)
