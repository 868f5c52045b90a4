"""What one program needs, measured while it idles and while it works; and two programs beside each other."""

import asyncio
import signal
import tempfile
import time
from pathlib import Path

import attrs

from benchmarks.programs import CountedProcesses, Process, running
from benchmarks.world import CountingSandbox, Requests, configured, sandbox_options, until, work
from paas_runner.sandbox.cloud import CloudOptions

_IDLE_SECONDS = 15.0
_TIMEOUT_SECONDS = 300.0


@attrs.frozen(kw_only=True)
class Figures:
    """Of one program."""

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


async def measure(program: Path, *, jobs: int, concurrent: int) -> Figures:
    """Let one program idle, then run the jobs; raises `TimeoutError` when it does not come to an end."""
    with tempfile.TemporaryDirectory(prefix="paas-runner-benchmark-") as name:
        folder = Path(name)
        async with CountingSandbox(sandbox_options()) as sandbox, asyncio.timeout(_TIMEOUT_SECONDS):
            sandbox.cloud.options = CloudOptions(anonymous_push_token=sandbox.cloud_token)
            config = configured(folder, sandbox, concurrent)
            git = CountedProcesses(folder, "git")
            began = time.monotonic()
            async with running(git.counted(program, config), config) as started_process:
                process = Process(started_process.pid)
                await until(lambda: sandbox.requests.coordinator > 0)
                started = time.monotonic()
                idle = await _idle(process, sandbox.requests)
                before = attrs.evolve(sandbox.requests)
                cpu_before = process.cpu_seconds
                submitted = time.monotonic()
                await work(sandbox, jobs)
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
                started_process.send_signal(signal.SIGTERM)
                await started_process.wait()
                return attrs.evolve(figures, stop_seconds=time.monotonic() - stopping)


async def _idle(process: Process, requests: Requests) -> tuple[float, float, float]:
    await asyncio.sleep(2)
    before = requests.coordinator + requests.cloud, process.wake_ups, process.cpu_seconds
    await asyncio.sleep(_IDLE_SECONDS)
    after = requests.coordinator + requests.cloud, process.wake_ups, process.cpu_seconds
    return after[0] - before[0], after[1] - before[1], after[2] - before[2]


def table(ours: Figures, peer: Figures) -> str:
    rows = [f"{'':32}{'paas-runner':>12}{'1.1.1':>12}{'ratio':>9}"]
    theirs = attrs.asdict(peer)
    for name, value in attrs.asdict(ours).items():
        cells = [f"{value:>12.2f}", f"{theirs[name]:>12.2f}"] if value is not None else [f"{'-':>12}"] * 2
        ratio = f"{value / theirs[name]:.2f}" if theirs[name] else "-"
        rows.append(f"{name.replace('_', ' '):32}{''.join(cells)}{ratio:>9}")
    return "\n".join(rows)
