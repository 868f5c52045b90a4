"""The search for orphans: what the provider lists against what the records say, from time to time.

It trusts no single look. The records are read before and after the hosts are listed, so that a job which
begins or ends meanwhile is never mistaken, and once more right before each removal. Each tenant's hosts are
searched for themselves: one whose provider refuses us hides nobody else's.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog
from structlog.contextvars import bound_contextvars

from paas_runner.dispatch.counters import CounterName
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.errors import RemoteError
from paas_runner.executor.contract import Removal
from paas_runner.job.orphans import Kind, KnownJobs, Verdict, judge, merged, missing, strays
from paas_runner.job.tracked import Host, JobKey, SeenHost, TrackedJob
from paas_runner.loop.timing import Clock, rest
from paas_runner.store import Store, StoreError

log = structlog.stdlib.get_logger(__name__)

FIRST_AFTER = timedelta(seconds=15)
MOST_REMOVALS = 20  # of one look: whatever went wrong, there is time to see it


class Sweep:
    """One runner's searches; a provider that hangs delays no other runner's."""

    def __init__(
        self, served: ActiveRunner, *, every: timedelta, registry: Registry, store: Store, clock: Clock
    ) -> None:
        """Nothing has been seen yet, so that the first look removes nothing."""
        self._served = served
        self._every = every
        self._registry = registry
        self._store = store
        self._clock = clock
        self._searches: dict[str, Search] = {}

    @property
    def runner(self) -> str:
        """Whose hosts are looked at."""
        return self._served.name

    async def run(self) -> None:
        """For ever; a shutdown cancels it, even during a removal: the next start sees what became of it."""
        with bound_contextvars(runner=self.runner):
            await rest(min(FIRST_AFTER, self._every))
            while True:
                await self.look()
                await rest(self._every)

    async def look(self) -> None:
        """Compare once, all tenants side by side."""
        async with asyncio.TaskGroup() as looks:
            for tenant in await self._tenants():
                looks.create_task(self._look(tenant), name=f"search for {self.runner} {tenant}".rstrip())

    async def _look(self, tenant: str) -> None:
        if tenant not in self._searches:
            self._searches[tenant] = Search(
                self._served, tenant, registry=self._registry, store=self._store, clock=self._clock
            )
        try:
            await self._searches[tenant].look()
        except (RemoteError, StoreError) as error:
            log.warning("hosts and records could not be compared", tenant=tenant, reason=str(error))
        except Exception:
            # a bug in here must not end the service
            log.exception("unexpected error: hosts and records could not be compared", tenant=tenant)

    async def _tenants(self) -> Sequence[str]:
        """Everybody who was ever asked to pay for a host of this runner, as far as is remembered."""
        present = {job.tenant for job in self._registry.jobs if job.key.runner == self._served.key}
        try:
            remembered = await self._store.tenants(self._served.key)
        except StoreError as error:
            log.warning("the tenants of earlier jobs cannot be read", reason=str(error))
            remembered = frozenset()
        return sorted({""} | present | remembered | self._searches.keys())


class Search:
    """The hosts of one runner that one tenant pays for."""

    def __init__(
        self, served: ActiveRunner, tenant: str, *, registry: Registry, store: Store, clock: Clock
    ) -> None:
        """Nothing has been seen yet."""
        self._served = served
        self._tenant = tenant
        self._registry = registry
        self._store = store
        self._clock = clock
        self._strays: frozenset[str] = frozenset()
        self._listed: frozenset[str] = frozenset()
        self._told: frozenset[str] = frozenset()

    async def look(self) -> None:
        """Compare once, and remove what was a stray at the look before, too, and is old enough."""
        before = self._jobs
        hosts = await self._served.executor.hosts(self._tenant)
        ended = await self._store.ended()
        verdicts = self._judged(hosts, before, ended)
        self._tell_missing(before, hosts)
        self._tell_strays(verdicts)
        condemned = [verdict.host for verdict in verdicts if verdict.condemned]
        for host in condemned[:MOST_REMOVALS]:
            if self._judged([host], (), ended)[0].condemned:
                await self._remove(host)
        self._strays = strays(verdicts)
        self._listed = frozenset(host.ref for host in hosts)

    @property
    def _jobs(self) -> Sequence[TrackedJob]:
        return [job for job in self._registry.jobs if job.tenant == self._tenant]

    def _judged(
        self, hosts: Sequence[SeenHost], before: Sequence[TrackedJob], ended: frozenset[JobKey]
    ) -> Sequence[Verdict]:
        policy = self._served.policy
        books = KnownJobs(
            runner=self._served.key,
            jobs=merged(before, self._registry.jobs),
            ended=ended,
            strays=self._strays,
            keeping=policy.keep_finished or policy.keep_launch_failures,
        )
        return judge(hosts, books, self._clock())

    async def _remove(self, host: SeenHost) -> None:
        found = Removal(name=host.name, tenant=self._tenant, host=Host(ref=host.ref), search=False)
        try:
            await self._served.executor.decommission(found)
        except RemoteError as error:
            log.warning("an orphan cannot be removed yet", name=host.name, host=host.ref, reason=str(error))
        else:
            log.info("orphan removed", name=host.name, host=host.ref)

    def _tell_missing(self, before: Sequence[TrackedJob], hosts: Sequence[SeenHost]) -> None:
        """Hosts that were there at the last look, are not now, and were believed in all the time."""
        listed = {host.ref for host in hosts}
        still_recorded = {job.host.ref for job in self._registry.jobs if job.host}
        for host in missing(before, listed):
            if host.ref in still_recorded and host.ref in self._listed:
                self._served.counters.count(CounterName.DRIFT, "a job's host has disappeared", host=host.ref)

    def _tell_strays(self, verdicts: Sequence[Verdict]) -> None:
        """Each host once, as long as it is listed."""
        telling = [verdict for verdict in verdicts if verdict.condemned or verdict.kind is Kind.BUSY]
        for verdict in telling:
            if verdict.host.ref not in self._told:
                self._count(verdict)
        self._told = (self._told & strays(verdicts)) | strays(telling)

    def _count(self, verdict: Verdict) -> None:
        host = verdict.host
        age = self._clock() - host.created_at if host.created_at else None
        breach, happened = CounterName.ORPHANS_FOUND, "an orphan was found and is removed"
        if verdict.kind is Kind.BUSY:
            breach, happened = CounterName.DRIFT, "a host may run a job of which nothing is known"
        self._served.counters.count(
            breach,
            happened,
            name=host.name,
            host=host.ref,
            age_seconds=round(age.total_seconds()) if age is not None else None,
            reason=verdict.why,
        )
