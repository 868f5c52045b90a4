"""What the hosts of one runner weigh: asked of its executor from time to time where there is a quota."""

import random
from datetime import timedelta

import structlog
from structlog.contextvars import bound_contextvars

from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.errors import RemoteError
from paas_runner.executor.optional import flavors_of
from paas_runner.job.capacity import Load
from paas_runner.job.limits import Flavors, jobs_at_once
from paas_runner.loop.timing import backoff, sleep

log = structlog.stdlib.get_logger(__name__)

EVERY = timedelta(minutes=10)
LONGEST_BACKOFF = timedelta(minutes=1)
"""A catalogue rarely changes: the flavors that are known go on to be used meanwhile."""


class FlavorRefresh:
    """One runner's; until it has succeeded once, the runner asks for no job."""

    def __init__(self, runner: ActiveRunner, *, registry: Registry, rng: random.Random) -> None:
        self._runner = runner
        self._registry = registry
        self._rng = rng
        self._failures = 0
        self._known: Flavors | None = None

    async def run(self) -> None:
        """For ever; a shutdown cancels it."""
        with bound_contextvars(runner=self._runner.name):
            while True:
                delay = await self._refresh()
                await sleep(delay)

    async def _refresh(self) -> timedelta:
        try:
            flavors = await flavors_of(self._runner.executor)
        except RemoteError as error:
            self._failures += 1
            log.warning("flavors_unreadable", reason=str(error), known=self._known is not None)
            return backoff(self._failures, self._rng, longest=LONGEST_BACKOFF, retry_after=error.retry_after)
        except Exception:
            # whatever an executor makes of a catalogue, the jobs and the other runners go on
            self._failures += 1
            log.exception("flavors_error", known=self._known is not None)
            self._runner.counters.count_unforeseen()
            return backoff(self._failures, self._rng, longest=LONGEST_BACKOFF)
        self._failures = 0
        if flavors != self._known:
            self._known = flavors
            self._registry.offer(self._runner.key, flavors)
            self._log(flavors, self._registry.load)
        return EVERY

    def _log(self, flavors: Flavors, load: Load) -> None:
        """What the quota means for this runner, in jobs of each flavor; once for each other reading."""
        key = self._runner.key
        allowed = load.allowance(key)
        if allowed is None:
            return
        log.info(
            "weight_quota",
            quota=round(load.quota or 0.0, 1),
            runner_may_use=round(allowed, 1),
            jobs_that_fit=dict(jobs_at_once(flavors, allowed)),
        )
        heaviest = load.heaviest(key)
        too_heavy = [
            name for name, weight in flavors.weights.items() if heaviest < weight <= flavors.most_weight
        ]
        if too_heavy:
            log.warning(
                "quota_too_small",
                sizes=too_heavy,
                heaviest_allowed=round(heaviest, 1),
            )
