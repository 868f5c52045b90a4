"""What the service costs beside heptapod-paas-runner 1.1.1, both on the same sandbox in the same run.

    make benchmark
    .venv/bin/python -m benchmarks.against_the_peer --peer PATH/bin/heptapod-paas-runner [--jobs 20] [--json]

Counted exactly: requests to the coordinator and to the cloud (those of the hosts left out), and, where root
runs it, git processes: another git takes the place of the first, as 1.1.1 finds git whatever $PATH says.
Read from /proc: processor time with that of children, wake-ups (voluntary context switches), peak memory.
Seconds depend on the machine: only their ratio says something.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
from starlette.types import ASGIApp, Receive, Scope, Send

from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.server import Sandbox, SandboxOptions
from paas_runner.server.listening import Listener
from paas_runner.server.waiting import settled

_IDLE_SECONDS = 15.0
_PATIENCE_SECONDS = 300.0
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


@attrs.frozen(kw_only=True)
class Figures:
    """What one program needed."""

    start_seconds: float
    """From the start of the program to its first request for a job."""

    idle_requests: float
    idle_wake_ups: int
    idle_cpu_seconds: float
    jobs_seconds: float
    """From the submission of all jobs until all have ended and no host is left."""

    coordinator_requests_per_job: float
    cloud_requests_per_job: float
    git_processes_per_job: float | None
    """None where it cannot be counted."""

    cpu_seconds_per_job: float
    peak_memory_mib: float
    stop_seconds: float


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


@attrs.frozen
class Process:
    """One run of a program, as /proc tells it."""

    pid: int

    @property
    def cpu_seconds(self) -> float:
        """In user and system mode, with children that have ended."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    @property
    def wake_ups(self) -> int:
        """Of all its threads."""
        return sum(
            self._status(task, "voluntary_ctxt_switches") for task in Path(f"/proc/{self.pid}/task").iterdir()
        )

    @property
    def peak_memory_mib(self) -> float:
        """The largest resident size so far."""
        return self._status(Path(f"/proc/{self.pid}"), "VmHWM") / 1024

    @staticmethod
    def _status(folder: Path, name: str) -> int:
        lines = (folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


async def measure(program: Path, *, jobs: int, concurrent: int) -> Figures:
    """Let one program idle, then run the jobs; raises `TimeoutError` when it does not come to an end."""
    with tempfile.TemporaryDirectory(prefix="paas-runner-benchmark-") as name:
        folder = Path(name)
        async with CountingSandbox(_options()) as sandbox, asyncio.timeout(_PATIENCE_SECONDS):
            sandbox.cloud.options = CloudOptions(anonymous_push_token=sandbox.cloud_token)
            config = _configured(folder, sandbox, concurrent)
            git = _CountedProcesses(folder, "git")
            began = time.monotonic()
            async with _running(git.counted(program, config), config) as running:
                process = Process(running.pid)
                await _until(lambda: sandbox.requests.coordinator > 0)
                started = time.monotonic()
                idle = await _idle(process, sandbox.requests)
                before = attrs.evolve(sandbox.requests)
                cpu_before = process.cpu_seconds
                submitted = time.monotonic()
                await _work(sandbox, jobs)
                done = time.monotonic()
                figures = Figures(
                    start_seconds=started - began,
                    idle_requests=idle[0],
                    idle_wake_ups=int(idle[1]),
                    idle_cpu_seconds=idle[2],
                    jobs_seconds=done - submitted,
                    coordinator_requests_per_job=(sandbox.requests.coordinator - before.coordinator) / jobs,
                    cloud_requests_per_job=(sandbox.requests.cloud - before.cloud) / jobs,
                    git_processes_per_job=None if git.count is None else git.count / jobs,
                    cpu_seconds_per_job=(process.cpu_seconds - cpu_before) / jobs,
                    peak_memory_mib=process.peak_memory_mib,
                    stop_seconds=0.0,
                )
                stopping = time.monotonic()
                running.send_signal(signal.SIGTERM)
                await running.wait()
                return attrs.evolve(figures, stop_seconds=time.monotonic() - stopping)


async def _idle(process: Process, requests: Requests) -> tuple[float, float, float]:
    await asyncio.sleep(2)
    before = requests.coordinator + requests.cloud, process.wake_ups, process.cpu_seconds
    await asyncio.sleep(_IDLE_SECONDS)
    after = requests.coordinator + requests.cloud, process.wake_ups, process.cpu_seconds
    return after[0] - before[0], after[1] - before[1], after[2] - before[2]


async def _work(sandbox: CountingSandbox, count: int) -> None:
    coordinator = sandbox.coordinator
    specs = (JobSpec(name=f"job {number}", script=("true",)) for number in range(count))
    job_ids = [coordinator.submit_job(spec).job_id for spec in specs]
    await settled(coordinator, job_ids)
    await _until(lambda: not list(sandbox.cloud.ledger.alive))
    failed = [job_id for job_id in job_ids if coordinator.jobs[job_id].status != "success"]
    if failed:
        raise RuntimeError(f"jobs that did not succeed: {failed}")


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a look at books that tell nobody
        await asyncio.sleep(0.01)


@asynccontextmanager
async def _running(command: Sequence[str | Path], config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with config.with_name("service.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, cwd=config.parent)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _options() -> SandboxOptions:
    return SandboxOptions(
        coordinator=lambda options: attrs.evolve(options, long_poll_seconds=0.5, trace_interval_seconds=1)
    )


def _configured(folder: Path, sandbox: Sandbox, concurrent: int) -> Path:
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


class _CountedProcesses:
    """How often a program starts another, which is replaced for it in a mount namespace."""

    def __init__(self, folder: Path, name: str) -> None:
        self._original = Path(shutil.which(name) or name).resolve()
        self._log = folder / f"{name}.log"
        self._counting = folder / f"counting-{name}"
        copied = folder / name
        shutil.copy(self._original, copied)
        self._counting.write_text(f'#!/bin/sh\necho >> "{self._log}"\nexec "{copied}" "$@"\n')
        self._counting.chmod(0o755)
        if self._possible:
            self._log.touch()

    @property
    def _possible(self) -> bool:
        return os.geteuid() == 0 and shutil.which("unshare") is not None

    def counted(self, *command: str | Path) -> Sequence[str | Path]:
        """The command to run instead."""
        if not self._possible:
            return command
        script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", self._counting, self._original, *command]

    @property
    def count(self) -> int | None:
        """So far; None where it cannot be known."""
        return self._log.read_text().count("\n") if self._possible else None


def _table(ours: Figures, peer: Figures) -> str:
    rows = [f"{'':32}{'paas-runner':>12}{'1.1.1':>12}{'ratio':>9}"]
    theirs = attrs.asdict(peer)
    for name, value in attrs.asdict(ours).items():
        cells = [f"{value:>12.2f}", f"{theirs[name]:>12.2f}"] if value is not None else [f"{'-':>12}"] * 2
        ratio = f"{value / theirs[name]:.2f}" if theirs[name] else "-"
        rows.append(f"{name.replace('_', ' '):32}{''.join(cells)}{ratio:>9}")
    return "\n".join(rows)


def main() -> None:
    """Both programs, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", type=Path, required=True, help="the program heptapod-paas-runner of 1.1.1")
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--concurrent", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    arguments = parser.parse_args()
    own = Path(sys.executable).with_name("heptapod-paas-runner")
    ours, peer = (
        asyncio.run(measure(program, jobs=arguments.jobs, concurrent=arguments.concurrent))
        for program in (own, arguments.peer.resolve())
    )
    if arguments.json:
        print(json.dumps({"paas-runner": attrs.asdict(ours), "1.1.1": attrs.asdict(peer)}, indent=2))
    else:
        print(_table(ours, peer))


if __name__ == "__main__":
    main()
