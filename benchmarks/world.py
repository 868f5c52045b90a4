"""A sandbox that counts requests, the configuration for a service on it, and the jobs that it gets."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import attrs
from starlette.types import ASGIApp, Receive, Scope, Send

from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.server import Sandbox, SandboxOptions
from paas_runner.server.listening import Listener
from paas_runner.server.waiting import settled

_HOSTS_AGENT = "python-httpx"
_CONFIG = """
concurrent = {concurrent}
check_interval = 1
job_progress_poll_interval = 1
state_file = "{state_file}"
paas_max_concurrent_provisioning = {concurrent}

[quota_computation]
  reference_runner = "benchmark"
  reference_flavor = "3XL"
  reference_jobs_count = 50

[[runners]]
  name = "benchmark"
  url = "{url}"
  token = "{token}"
  executor = "clever-docker"
  cc_api_url = "{cloud}"
  cc_orga_id = "{organisation}"
  cc_token = "{cloud_token}"
  cc_deployment_repo_wait_step = 0.2

  [runners.paas_job_trace_watch]
    token = "{admin_token}"
    poll_step = 0.5
    timeout_seconds = 60
"""


@attrs.define
class Requests:
    """How many were made by the service itself."""

    coordinator: int = 0
    cloud: int = 0


@attrs.frozen
class _Counting:
    """Counts what passes, unless it comes from a host."""

    app: ASGIApp
    requests: Requests
    side: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        agent = dict(scope.get("headers", ())).get(b"user-agent", b"").decode("latin-1")
        if scope["type"] == "http" and not agent.startswith(_HOSTS_AGENT):
            setattr(self.requests, self.side, getattr(self.requests, self.side) + 1)
        await self.app(scope, receive, send)


class CountingSandbox(Sandbox):
    """A sandbox that counts requests at both of its doors."""

    def __init__(self, options: SandboxOptions) -> None:
        super().__init__(options)
        self.requests = Requests()
        self._sides = iter(("coordinator", "cloud"))

    async def _listen(self, app: ASGIApp) -> Listener:
        return await super()._listen(_Counting(app, self.requests, next(self._sides)))


def sandbox_options() -> SandboxOptions:
    return SandboxOptions(coordinator=lambda options: attrs.evolve(options, trace_interval_seconds=1))


def configured(folder: Path, sandbox: Sandbox, concurrent: int) -> Path:
    config = folder / "config.toml"
    config.touch(mode=0o600)
    config.write_text(
        _CONFIG.format(
            concurrent=concurrent,
            state_file=folder / "state.json",
            url=sandbox.coordinator_url,
            token=sandbox.runner_token.reveal(),
            cloud=sandbox.cloud_api_url,
            organisation=sandbox.organisation_id,
            cloud_token=sandbox.cloud_token.reveal(),
            admin_token=sandbox.admin_token.reveal(),
        )
    )
    return config


async def work(sandbox: CountingSandbox, count: int) -> None:
    coordinator = sandbox.coordinator
    specs = (JobSpec(name=f"job {number}", script=("true",)) for number in range(count))
    job_ids = [coordinator.submit_job(spec).job_id for spec in specs]
    await settled(coordinator, job_ids)
    await until(lambda: not list(sandbox.cloud.ledger.alive))
    failed = [job_id for job_id in job_ids if coordinator.jobs[job_id].status != "success"]
    if failed:
        raise RuntimeError(f"jobs that did not succeed: {failed}")


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is looked at sends no news
        await asyncio.sleep(0.01)
