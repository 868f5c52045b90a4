"""The inner runner as a child of `paas-runner exec`: it learns of its job by its standard input alone.

With the parent's death it is asked to end, as by SIGTERM, and all that the job has goes with it. SIGINT
cancels the job as GitLab would, so that its after_script runs; SIGTERM ends all of it.
"""

import asyncio
import contextlib
import functools
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime

import structlog

from paas_runner.inner.guardian import guarded, prctl
from paas_runner.inner.runner import InnerRunner, deadlines_of, read_payload
from paas_runner.inner.settings import InnerRunnerError, Timings
from paas_runner.inner.shell import shell_for
from paas_runner.inner.stop import Stops

_PR_SET_PDEATHSIG = 1
_TIMINGS = Timings(interval=0.2, shortest_keep_alive=1.0, hurried_report_timeout=2.0)


def main() -> int:
    """The exit code of the inner runner; 2 when it could not do anything."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        return 2
    began, task = time.monotonic(), json.load(sys.stdin)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    deadlines = deadlines_of(read_payload(task["job"]), os.environ)
    return guarded(functools.partial(_run, task["runner"], task["job"]), deadlines, began=began)


def _run(runner_toml: str, job_json: str) -> int:
    try:
        return asyncio.run(_job(runner_toml, job_json))
    except InnerRunnerError as error:
        print(error, file=sys.stderr)
        return 2


async def _job(runner_toml: str, job_json: str) -> int:
    stops = Stops()
    runner = InnerRunner(
        clock=lambda: datetime.now(UTC),
        shell=shell_for,
        timings=_TIMINGS,
        trust_environment=True,
        say=lambda _line: None,
    )
    running = asyncio.ensure_future(runner.run(runner_toml, job_json, stops))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stops.cancel)
    loop.add_signal_handler(signal.SIGTERM, stops.abort, "terminated")
    with contextlib.suppress(asyncio.CancelledError):
        return await running
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
