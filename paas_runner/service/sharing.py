"""What this process knows of those with which it shares its store, for whoever shows or tells it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import attrs

from paas_runner.config import Config
from paas_runner.dispatch.view import DispatchView
from paas_runner.loop.timing import Clock
from paas_runner.status.sharing import Observed, SharingReport, sharing
from paas_runner.store import LeaseStore, StoreError

if TYPE_CHECKING:
    from paas_runner.leases.keeper import Standing

COUNT_EVERY_SECONDS = 15.0
COUNT_WITHIN_SECONDS = 10.0


class Sharing:
    """Makes a report whenever one is wanted; of jobs that others have it asks the store for their number."""

    def __init__(
        self,
        leases: LeaseStore | None,
        *,
        standing: "Callable[[], Standing | None]",
        view: Callable[[], DispatchView],
        config: Callable[[], Config],
        clock: Clock,
    ) -> None:
        self._leases = leases
        self._standing = standing
        self._view = view
        self._config = config
        self._clock = clock
        self._counts: Mapping[str, int] | None = None

    def report(self) -> SharingReport | None:
        """How it is now; None where the store is this process's alone."""
        standing = self._standing()
        if standing is None:
            return None
        view, config = self._view(), self._config()
        answered = bool(standing.tenancy.members)
        return sharing(
            Observed(
                now=self._clock(),
                store=str(config.store),
                holder=standing.holder,
                member=config.member,
                mode=config.mode,
                tenancy=standing.tenancy,
                answered_ago=standing.answered_ago if answered else None,
                stages=standing.stages,
                allotment=standing.allotment,
                trouble=standing.unreachable,
                silent_for=standing.silent_for,
                suspended=standing.suspended,
                names=view.names,
                own_jobs=Counter(job.key.runner for job in view.jobs if not job.on_standby),
                jobs_elsewhere=self._counts,
                counters=attrs.asdict(standing.churn),
            )
        )

    async def run(self) -> None:
        """Keep the numbers of jobs that others have, as long as they have any; a stop cancels it."""
        while self._leases:
            if self._view().elsewhere:
                await self._count(self._leases)
            await asyncio.sleep(COUNT_EVERY_SECONDS)

    async def _count(self, leases: LeaseStore) -> None:
        try:
            async with asyncio.timeout(COUNT_WITHIN_SECONDS):
                self._counts = await leases.job_counts()
        except (StoreError, TimeoutError):
            self._counts = None  # whoever looks is told that the store does not answer
