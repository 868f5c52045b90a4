"""What becomes of a job that was acquired, but is on no disk when the service ends.

A stop came while the store refused its first record, and the state file could not be written, either. No
later start will know of it, and nothing of it has begun: so its coordinator and its author are told.
"""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from paas_runner import __version__
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.errors import RemoteError
from paas_runner.job.failure import Failure, FailureReason, as_trace
from paas_runner.job.tracked import TrackedJob

log = structlog.stdlib.get_logger(__name__)

LONGEST_SECONDS = 20.0
_FAILURE = Failure(
    reason=FailureReason.SYSTEM,
    text="The runner was stopped while its disk took no record of this job, so it was not run. Please retry.",
)


async def give_back(jobs: Sequence[TrackedJob], runners: Mapping[str, ActiveRunner]) -> None:
    """Report them as failed, once, and not for long; what does not work is logged."""
    await asyncio.gather(
        *(_report(job, runners[job.key.runner]) for job in jobs if job.key.runner in runners)
    )


async def _report(job: TrackedJob, runner: ActiveRunner) -> None:
    job_id, coordinator = job.key.job_id, runner.coordinator
    text = as_trace(_FAILURE, runner=runner.name, version=__version__)
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            await coordinator.append_trace(job_id, job.token, text, begun=False)
            await coordinator.report_failed(job_id, job.token, _FAILURE)
    except (RemoteError, TimeoutError) as error:
        log.error("job_not_given_back", runner=runner.name, job=job_id, reason=str(error) or "no answer")
    else:
        log.warning("job_given_back", runner=runner.name, job=job_id)
