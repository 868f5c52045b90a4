from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import httpx

from paas_runner.job.variables import Variable
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.secret import Secret
from tests.support.live_records import LiveRunner

FEATURES = {"return_exit_code": True, "cancelable": True, "refspecs": True}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@attrs.define
class World:
    """A coordinator with one runner, and a client that speaks to its routes."""

    clock: Clock
    coordinator: Coordinator
    runner: LiveRunner
    http: httpx.AsyncClient
    admin: dict[str, str]

    async def poll(self, *, features: dict[str, bool] | None = None, **more: Any) -> httpx.Response:
        info = {"features": FEATURES | (features or {})}
        body = {"token": self.runner.token.reveal(), "info": info, "system_id": "s_123456789abc", **more}
        return await self.http.post("/api/v4/jobs/request", json=body)

    async def put(self, job: dict[str, Any], state: str, **more: Any) -> httpx.Response:
        return await self.http.put(
            f"/api/v4/jobs/{job['id']}", json={"token": job["token"], "state": state, **more}
        )

    async def patch(self, job: dict[str, Any], span: str, data: bytes) -> httpx.Response:
        headers = {"JOB-TOKEN": job["token"], "Content-Range": span, "Content-Type": "text/plain"}
        return await self.http.patch(f"/api/v4/jobs/{job['id']}/trace", headers=headers, content=data)

    async def own(self, job: dict[str, Any]) -> httpx.Response:
        return await self.http.get("/api/v4/job", headers={"JOB-TOKEN": job["token"]})


OPTIONS = CoordinatorOptions(
    registration_token=Secret("GR1348941-register"),
    admin_token=Secret("glpat-admin"),
    long_poll_seconds=0.1,
    variables=(Variable(key="DEPLOY_KEY", value="hush-hush", masked=True, file=True),),
    groups={"sandbox": {}, "grp/sub": {"cc_orga_id": "orga_1"}},
)
