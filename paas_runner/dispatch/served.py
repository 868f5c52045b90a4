"""One `[[runners]]` section in service: whom to ask for jobs, and who provides their hosts."""

from datetime import timedelta

import attrs

from paas_runner.coordinator import Coordinator
from paas_runner.executor import Executor
from paas_runner.job.decision import Policy
from paas_runner.observe.counters import Counters


@attrs.frozen(kw_only=True, eq=False)
class Served:
    """`key` is the short token by which the runner is known: part of its records' keys and hosts' names."""

    key: str
    name: str
    coordinator: Coordinator
    executor: Executor
    policy: Policy
    check_interval: timedelta
    refusals_tolerated: int
    """How often in a row the coordinator may refuse the runner before it is asked more and more rarely."""

    longest_pause: timedelta
    repoll_immediately: bool = False
    """Whether the runner, when it got a job, asks before the others who wait."""

    counters: Counters
    basis: object = None
    """What it was made from: while that stays equal nothing has to be made anew."""

    async def aclose(self) -> None:
        """Close the connections to both sides."""
        await self.coordinator.aclose()
        await self.executor.aclose()
