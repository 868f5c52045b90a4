"""The service's search for orphans, from time to time: what it finds is counted, what is to go is removed."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars

from paas_runner.dispatch.counters import CounterName
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.search import KnownRecords, Search, SearchedRunner, ask_tenants
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.dispatch.tenure import SOLE, Tenure
from paas_runner.dispatch.view import Observer
from paas_runner.errors import RemoteError, RunnerError
from paas_runner.job.orphans import HostKind, HostVerdict, SearchResult, missing, unknown_hosts
from paas_runner.job.tracked import JobKey, SeenHost, TrackedJob
from paas_runner.loop.timing import Clock, sleep
from paas_runner.store import Store, StoreError

log = structlog.stdlib.get_logger(__name__)

FIRST_AFTER = timedelta(seconds=15)
MOST_REMOVALS = 20  # of one comparison: whatever went wrong, there is time to see it


class LiveRecords:
    """The present records of the running service, and the memory of its store."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self._store = store
        self._tenants: frozenset[str] = frozenset()

    async def jobs(self) -> Sequence[TrackedJob]:
        return self._registry.jobs

    async def ended(self) -> frozenset[JobKey]:
        return await self._store.ended()

    async def tenants(self, runner: str) -> frozenset[str]:
        """Those of present jobs and of earlier searches, too: a store that cannot be read hides none."""
        self._tenants |= {job.tenant for job in self._registry.jobs if job.key.runner == runner}
        try:
            self._tenants |= await self._store.tenants(runner)
        except StoreError as error:
            log.warning("tenants_unreadable", reason=str(error))
        return self._tenants


class Sweep:
    """One runner's searches; a provider that hangs delays no other runner's."""

    def __init__(
        self,
        runner: ActiveRunner,
        *,
        every: timedelta,
        registry: Registry,
        store: Store,
        clock: Clock,
        observer: Observer,
        tenure: Tenure = SOLE,
    ) -> None:
        self._runner = runner
        self._tenure = tenure
        self._every = every
        self._records = LiveRecords(registry, store)
        self._clock = clock
        self._observer = observer
        self._of_tenant: dict[str, TenantSweep] = {}

    async def run(self) -> None:
        """For ever; a shutdown cancels it, even during a removal: the next start sees what became of it."""
        with bound_contextvars(runner=self._runner.name):
            await sleep(min(FIRST_AFTER, self._every))
            while True:
                try:
                    await self.compare()
                except Exception:
                    # the next search may go better; jobs and other runners do not depend on it
                    log.exception("sweep_error")
                    self._runner.counters.count_unforeseen()
                await sleep(self._every)

    async def compare(self) -> None:
        """Compare once, all tenants side by side."""
        for each in (
            await ask_tenants(SearchedRunner.of(self._runner), self._records, self._compare)
        ).not_asked:
            log.warning("sweep_failed", tenant=each.tenant, reason=each.why)
            self._tell(each.tenant or "", not_asked=each.why)

    async def _compare(self, tenant: str) -> None:
        if tenant not in self._of_tenant:
            self._of_tenant[tenant] = TenantSweep(
                self._runner, tenant, records=self._records, clock=self._clock, tenure=self._tenure
            )
        try:
            verdicts, removed = await self._of_tenant[tenant].compare()
        except RunnerError:
            raise
        except Exception:
            self._runner.counters.count_unforeseen()  # logged where the other tenants are waited for
            raise
        self._tell(tenant, verdicts=verdicts, removed=removed)

    def _tell(self, tenant: str, **found: Any) -> None:
        """Those that watch; `found` as the fields of `SearchResult`."""
        result = SearchResult(runner=self._runner.key, tenant=tenant, at=self._clock(), **found)
        self._observer.searched(result)


class TenantSweep:
    """The searches among the hosts that one tenant pays for."""

    def __init__(
        self,
        runner: ActiveRunner,
        tenant: str,
        *,
        records: KnownRecords,
        clock: Clock,
        tenure: Tenure = SOLE,
    ) -> None:
        self._tenure = tenure
        self._key = runner.key
        self._counters = runner.counters
        self._records = records
        self._clock = clock
        self._search = Search(SearchedRunner.of(runner), tenant, records=records, clock=clock)
        self._listed: frozenset[str] = frozenset()
        self._counted: frozenset[str] = frozenset()

    async def compare(self) -> tuple[Sequence[HostVerdict], frozenset[str]]:
        """Compare once, and remove what was unknown at the comparison before, too, and is old enough.

        Returns the verdicts, and the provider's ids of the hosts that are gone now.
        """
        before = await self._records.jobs()
        verdicts = await self._search.compare()
        listed = frozenset(verdict.host.ref for verdict in verdicts)
        await self._count_missing(before, listed)
        self._count_unknown(verdicts)
        to_delete = [verdict.host for verdict in verdicts if verdict.to_delete]
        removed = [host.ref for host in to_delete[:MOST_REMOVALS] if await self._remove(host)]
        self._listed = listed
        return verdicts, frozenset(removed)

    async def _remove(self, host: SeenHost) -> bool:
        try:
            await self._tenure.confirm(self._key)  # no record precedes it that could be refused
            removed = await self._search.remove(host)
        except (RemoteError, StoreError) as error:
            log.warning("orphan_not_removed", name=host.name, host=host.ref, reason=str(error))
            return False
        if removed:
            log.info("orphan_removed", name=host.name, host=host.ref)
        return removed

    async def _count_missing(self, before: Sequence[TrackedJob], listed: frozenset[str]) -> None:
        """Hosts that were listed at the last comparison, are not now, and were believed in all the time."""
        still_recorded = {job.host.ref for job in await self._records.jobs() if job.host}
        for host in missing(before, listed):
            if host.ref in still_recorded and host.ref in self._listed:
                self._counters.count(CounterName.DRIFT, "host_disappeared", host=host.ref)

    def _count_unknown(self, verdicts: Sequence[HostVerdict]) -> None:
        """Each host once, as long as it is listed."""
        counting = [verdict for verdict in verdicts if verdict.to_delete or verdict.kind is HostKind.BUSY]
        for verdict in counting:
            if verdict.host.ref not in self._counted:
                self._count(verdict)
        self._counted = (self._counted & unknown_hosts(verdicts)) | unknown_hosts(counting)

    def _count(self, verdict: HostVerdict) -> None:
        host = verdict.host
        age = self._clock() - host.created_at if host.created_at else None
        facts = {
            "name": host.name,
            "host": host.ref,
            "age_seconds": round(age.total_seconds()) if age is not None else None,
            "reason": verdict.why,
        }
        if verdict.kind is HostKind.BUSY:
            self._counters.count(CounterName.DRIFT, "unknown_host_busy", **facts)
        else:
            self._counters.count(CounterName.ORPHANS_FOUND, "orphan_found", **facts)
