"""What the hosts of one runner weigh: asked of its executor from time to time where there is a quota."""

import random
from datetime import timedelta

import structlog
from structlog.contextvars import bound_contextvars

from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.errors import RemoteError
from paas_runner.executor.optional import flavors_of
from paas_runner.job.capacity import Flavors, Load, jobs_that_fit
from paas_runner.loop.timing import pause, rest

log = structlog.stdlib.get_logger(__name__)

EVERY = timedelta(minutes=10)
LONGEST_PAUSE = timedelta(minutes=1)


class FlavorRefresh:
    """One runner's; until it has succeeded once, the runner asks for no job."""

    def __init__(self, served: ActiveRunner, *, registry: Registry, rng: random.Random) -> None:
        """Nothing is known yet."""
        self._served = served
        self._registry = registry
        self._rng = rng
        self._failures = 0
        self._known: Flavors | None = None

    @property
    def runner(self) -> str:
        """Whose hosts are weighed."""
        return self._served.name

    async def run(self) -> None:
        """For ever; a shutdown cancels it."""
        with bound_contextvars(runner=self.runner):
            while True:
                delay = await self._weigh()
                await rest(delay)

    async def _weigh(self) -> timedelta:
        try:
            flavors = await flavors_of(self._served.executor)
        except RemoteError as error:
            self._failures += 1
            log.warning("what hosts weigh cannot be read", reason=str(error), known=self._known is not None)
            return pause(self._failures, self._rng, longest=LONGEST_PAUSE, told=error.retry_after)
        self._failures = 0
        if flavors != self._known:
            self._known = flavors
            self._registry.offer(self._served.key, flavors)
            self._tell(flavors, self._registry.load)
        return EVERY

    def _tell(self, sizes: Flavors, load: Load) -> None:
        """What the quota means for this runner, in jobs of each size; once for each reading that differs."""
        allowed = load.allowance(self._served.key)
        if allowed is None:
            return
        log.info(
            "weight quota",
            quota=round(load.quota or 0.0, 1),
            runner_may_use=round(allowed, 1),
            jobs_that_fit=dict(jobs_that_fit(sizes.weights, allowed)),
        )
        heaviest = load.heaviest(self._served.key)
        too_heavy = [size for size, weight in sizes.weights.items() if heaviest < weight <= sizes.most_weight]
        if too_heavy:
            log.warning(
                "the quota is too small for some sizes: jobs that ask for one of them are failed",
                sizes=too_heavy,
                heaviest_allowed=round(heaviest, 1),
            )
