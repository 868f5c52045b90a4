"""The search for orphans: what a provider lists of a runner's hosts, against what the records say.

No single comparison is trusted. The records are read before and after the hosts are listed, so that a job
which begins or ends meanwhile is never mistaken, and once more right before each removal.

Each tenant is asked for itself, side by side with the others, and only if the executor really has it: one
whose provider refuses us hides no other tenant's hosts, and is named. The service searches from time to time
(`sweep`), the command `orphans` on demand; a drain lists what is left.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Generic, Protocol, Self, TypeVar

import attrs
import structlog

from paas_runner.dispatch.served import ActiveRunner
from paas_runner.errors import RunnerError
from paas_runner.executor.contract import Executor, Removal
from paas_runner.executor.optional import all_tenants_of, hosts_of_others, tenants_among
from paas_runner.job.decision import Policy
from paas_runner.job.orphans import HostVerdict, KnownJobs, judge, merged, unknown_hosts
from paas_runner.job.tracked import Host, JobKey, SeenHost, TrackedJob
from paas_runner.loop.timing import Clock

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")


class KnownRecords(Protocol):
    """The records as they are at each call, for reading; a store has them."""

    async def jobs(self) -> Sequence[TrackedJob]:
        """All tracked jobs; raises `RunnerError`."""

    async def ended(self) -> frozenset[JobKey]:
        """Jobs of which the coordinator said that they are over; raises `RunnerError`."""

    async def tenants(self, runner: str) -> frozenset[str]:
        """Every tenant known to have paid for hosts of a runner (its short token); raises `RunnerError`."""


@attrs.frozen(kw_only=True)
class SearchedRunner:
    """One `[[runners]]` section whose hosts are looked for."""

    key: str
    name: str
    executor: Executor
    policy: Policy

    @classmethod
    def of(cls, runner: ActiveRunner) -> Self:
        """A runner in service."""
        return cls(key=runner.key, name=runner.name, executor=runner.executor, policy=runner.policy)

    @property
    def keeps_hosts(self) -> bool:
        """Whether the configuration leaves hosts in place after their jobs."""
        return self.policy.keep_finished or self.policy.keep_launch_failures


@attrs.frozen(kw_only=True)
class NotAsked:
    """A tenant whose hosts could not be listed: "" where all pay alike, None where none is known yet."""

    runner: str
    """Its name."""

    tenant: str | None
    why: str

    def __str__(self) -> str:
        tenant = f", tenant {self.tenant}" if self.tenant else ""
        return f"runner {self.runner}{tenant}: {self.why}"


@attrs.frozen(kw_only=True)
class Answers(Generic[T]):
    """What came of asking all tenants of a runner; both are empty when no tenant is known yet."""

    by_tenant: Mapping[str, T]
    not_asked: Sequence[NotAsked]


async def ask_tenants(
    runner: SearchedRunner,
    records: KnownRecords,
    ask: Callable[[str], Awaitable[T]],
    *,
    others: Collection[str] = (),
) -> Answers[T]:
    """Call `ask` with each tenant of the runner, all at once; what goes wrong is an answer, too.

    `others` are tenants of which the records may not know.
    """

    async def answer(tenant: str) -> T | NotAsked:
        try:
            return await ask(tenant)
        except RunnerError as error:
            return NotAsked(runner=runner.name, tenant=tenant, why=str(error))
        except Exception as error:
            # whatever an executor does wrong, the others are asked, and the service goes on
            log.exception("sweep_error", tenant=tenant)
            why = f"unexpected error ({type(error).__name__})"
            return NotAsked(runner=runner.name, tenant=tenant, why=why)

    try:
        tenants = await tenants_of(runner, records, others=others)
    except RunnerError as error:
        return Answers(by_tenant={}, not_asked=[NotAsked(runner=runner.name, tenant="", why=str(error))])
    async with asyncio.TaskGroup() as calls:
        tasks = {
            tenant: calls.create_task(answer(tenant), name=f"search for {runner.name} {tenant}".rstrip())
            for tenant in tenants
        }
    found = {tenant: task.result() for tenant, task in tasks.items()}
    return Answers(
        by_tenant={tenant: each for tenant, each in found.items() if not isinstance(each, NotAsked)},
        not_asked=[each for each in found.values() if isinstance(each, NotAsked)],
    )


async def tenants_of(
    runner: SearchedRunner, records: KnownRecords, *, others: Collection[str] = ()
) -> Sequence[str]:
    """Every tenant that was ever asked to pay for a host of this runner, as far as the executor has it."""
    present = {job.tenant for job in await records.jobs() if job.key.runner == runner.key}
    known = present | await records.tenants(runner.key) | {*others}
    return tenants_among(runner.executor, known)


class Search:
    """The hosts of one runner that one tenant pays for; the first comparison finds nothing that is to go."""

    def __init__(
        self,
        runner: SearchedRunner,
        tenant: str,
        *,
        records: KnownRecords,
        clock: Clock,
        with_others: bool = False,
    ) -> None:
        """Look for hosts of this installation; `with_others` for those of others, too, to show them."""
        self._runner = runner
        self._tenant = tenant
        self._records = records
        self._clock = clock
        self._with_others = with_others
        self._known: KnownJobs | None = None
        self.verdicts: Sequence[HostVerdict] = ()
        """Of the last comparison that could be made."""

    async def compare(self) -> Sequence[HostVerdict]:
        """Compare once; raises `RunnerError`, after which nothing has changed."""
        before = await self._records.jobs()
        hosts = list(await self._runner.executor.hosts(self._tenant))
        if self._with_others:
            hosts += await hosts_of_others(self._runner.executor, self._tenant)
        ended = await self._records.ended()
        self._known = KnownJobs(
            runner=self._runner.key,
            jobs=merged(before, await self._records.jobs()),
            ended=ended,
            unknown_before=unknown_hosts(self.verdicts),
            keeping=self._runner.keeps_hosts,
        )
        self.verdicts = judge(hosts, self._known, self._clock())
        self._known = attrs.evolve(self._known, jobs={})  # whoever removes a host reads them again
        return self.verdicts

    async def remove(self, host: SeenHost, *, whatever_is_known: bool = False) -> bool:
        """Remove a host that is to go, unless the records say otherwise by now; raises `RunnerError`.

        `whatever_is_known` of it: the operator wants it gone.
        """
        if whatever_is_known:
            await self._remove(host)
            return True
        if self._known is None:
            return False
        now_known = attrs.evolve(self._known, jobs=merged(await self._records.jobs()))
        [verdict] = judge([host], now_known, self._clock())
        if verdict.to_delete:
            await self._remove(host)
        return verdict.to_delete

    async def _remove(self, host: SeenHost) -> None:
        found = Removal(name=host.name, tenant=self._tenant, host=Host(ref=host.ref), search=False)
        await self._runner.executor.decommission(found)


class RunnerSearch:
    """All hosts of one runner: each of its tenants has a search, those too of which no record knows."""

    def __init__(
        self, runner: SearchedRunner, *, records: KnownRecords, clock: Clock, with_others: bool = False
    ) -> None:
        self.runner = runner
        self._records = records
        self._clock = clock
        self._with_others = with_others
        self._of_tenant: dict[str, Search] = {}
        self._not_asked: dict[str | None, NotAsked] = {}
        self.listed = False
        """Whether the hosts of any tenant could be listed."""

    async def compare(self) -> None:
        """Compare once, all tenants side by side."""
        answers = await ask_tenants(
            self.runner, self._records, self._compare, others=await self._all_tenants()
        )
        self.listed = self.listed or bool(answers.by_tenant)
        self._not_asked |= {each.tenant: each for each in answers.not_asked}

    async def _all_tenants(self) -> Collection[str]:
        try:
            return await all_tenants_of(self.runner.executor)
        except RunnerError as error:
            why = f"tenants of which no record knows were not looked for: {error}"
            self._not_asked[None] = NotAsked(runner=self.runner.name, tenant=None, why=why)
            return ()

    async def _compare(self, tenant: str) -> Sequence[HostVerdict]:
        if tenant not in self._of_tenant:
            self._of_tenant[tenant] = Search(
                self.runner,
                tenant,
                records=self._records,
                clock=self._clock,
                with_others=self._with_others,
            )
        return await self._of_tenant[tenant].compare()

    @property
    def verdicts(self) -> Sequence[tuple[Search, HostVerdict]]:
        """Of the last comparisons, by the names of the hosts."""
        found = [(search, verdict) for search in self._of_tenant.values() for verdict in search.verdicts]
        return sorted(found, key=lambda each: each[1].host.name)

    @property
    def not_asked(self) -> Sequence[NotAsked]:
        """Each tenant that could not be asked at any of the comparisons."""
        if self.listed or self._not_asked:
            return list(self._not_asked.values())
        why = "no tenant is known yet: nothing was asked"
        return [NotAsked(runner=self.runner.name, tenant=None, why=why)]
