"""What jobs used of their hosts: asked for right before a host goes, and no host stays because of it."""

import asyncio
from datetime import datetime, timedelta

import structlog

from paas_runner.dispatch.habits import Habits
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.errors import RemoteError
from paas_runner.executor.contract import ProvisionedHost
from paas_runner.executor.optional import use_of
from paas_runner.job.masks import masked
from paas_runner.job.tracked import Phase, TrackedJob
from paas_runner.job.use import Use

log = structlog.stdlib.get_logger(__name__)

ANSWER_SECONDS = 5.0
_SHORT = timedelta(minutes=1)


def is_worth_asking(job: TrackedJob, now: datetime, habits: Habits) -> bool:
    """Whether a host that goes may tell something, and that is worth a request.

    Short jobs cost little: of those of one name one in twenty is looked at. A failure of ours is no measure.
    """
    launched_at = job.entered.get(Phase.LAUNCHED)
    if job.host is None or job.failure or launched_at is None:
        return False
    return now - launched_at >= _SHORT or habits.is_sampled(f"{job.project}/{job.job_name}")


async def use_told(runner: ActiveRunner, provisioned: ProvisionedHost) -> Use | None:
    """What the host tells within a few seconds; None for whatever else comes of the question."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await use_of(runner.executor, provisioned)
    except (RemoteError, TimeoutError) as error:
        log.debug("use_unknown", reason=masked(str(error) or "no answer in time", provisioned.hidden))
    except Exception:
        log.exception("job_error")
        runner.counters.count_unforeseen()
    return None
