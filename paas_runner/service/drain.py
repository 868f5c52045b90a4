"""Coming to an end with nothing left over, and the certificate that it is so.

No more jobs are asked for; those that are tracked run to their end, and their hosts go. Then the provider and
the store are asked what is left: nothing is taken for granted, least of all our own records.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

import attrs
import structlog

from paas_runner.dispatch import ActiveRunner
from paas_runner.dispatch.search import NotAsked, SearchedRunner, ask_tenants, tenants_of
from paas_runner.dispatch.view import DispatchView
from paas_runner.errors import RunnerError
from paas_runner.executor.optional import all_tenants_of, hosts_of_others
from paas_runner.job.tracked import Phase, SeenHost, TrackedJob
from paas_runner.loop.timing import Clock, sleep_until_stopped
from paas_runner.store import Store, StoreError

log = structlog.stdlib.get_logger(__name__)

INSPECTIONS = 3
"""How often leftovers are looked for: a provider's list may lag behind."""

BETWEEN_INSPECTIONS = timedelta(seconds=3)
PATIENCE = timedelta(minutes=10)
"""How long it is tried to report and to clean up after a job that is over; then the job is left and named."""

PROGRESS_EVERY_SECONDS = 1.0
ELSEWHERE_EVERY_SECONDS = 5.0
"""How often it is looked whether other processes with the same store have jobs left."""


@attrs.frozen(kw_only=True)
class LeftHost:
    """A host of ours that the provider still lists."""

    runner: str
    name: str
    host: str


@attrs.frozen(kw_only=True)
class ForeignHost(LeftHost):
    """One with another installation's label: a neighbour's, or ours from before the id was lost."""

    installation: str


@attrs.frozen(kw_only=True)
class Certificate:
    """What is left after a drain."""

    at: datetime
    jobs: Sequence[TrackedJob] = ()
    hosts: Sequence[LeftHost] = ()
    foreign: Sequence[ForeignHost] = ()
    """Of these nothing is known but whose label they carry: they are named, and not ours to remove."""

    unknown: Sequence[str] = ()
    """What could not be looked at, and why."""

    @property
    def clean(self) -> bool:
        """Whether nothing of this installation is left, for sure."""
        return not (self.jobs or self.hosts or self.unknown)

    @property
    def document(self) -> Mapping[str, Any]:
        """As JSON has it; the numbers are 0 and the lists empty where nothing is left."""
        return {
            "drained": self.clean,
            "at": self.at.isoformat(),
            "hosts": len(self.hosts),
            "open_intents": sum(job.host_intended for job in self.jobs),
            "unreported": sum(job.phase not in (Phase.DECOMMISSIONING, Phase.STANDBY) for job in self.jobs),
            "left_jobs": [_describe_job(job) for job in self.jobs],
            "left_hosts": [attrs.asdict(host) for host in self.hosts],
            "foreign_hosts": [attrs.asdict(host) for host in self.foreign],
            "unknown": list(self.unknown),
        }


def _describe_job(job: TrackedJob) -> Mapping[str, Any]:
    return {
        "runner": job.key.runner,
        "job": job.key.job_id,
        "phase": str(job.phase),
        "host": job.host.ref if job.host else job.host_name if job.host_intended else None,
        "why": job.trouble,
    }


class Drainable(Protocol):
    """What is brought to its end."""

    @property
    def running(self) -> asyncio.Event:
        """Set once every loop has been started."""

    @property
    def view(self) -> DispatchView: ...

    def drain(self) -> None:
        """Ask for no more jobs."""

    async def drained(self, *, patience: timedelta) -> None:
        """Wait for the last one, but for those that are over and stuck for so long."""

    def held(self) -> AbstractContextManager[Sequence[ActiveRunner]]:
        """The runners in service, not closed while they are held."""


class Drain:
    """Ends the service after its last job, once that is wanted."""

    def __init__(
        self,
        dispatcher: Drainable,
        *,
        store: Store,
        clock: Clock,
        stopping: asyncio.Event,
        jobs_elsewhere: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """`jobs_elsewhere` tells whether other processes have jobs left, which may yet become ours."""
        self._dispatcher = dispatcher
        self._store = store
        self._clock = clock
        self._stopping = stopping
        self._jobs_elsewhere = jobs_elsewhere
        self._awaits_others = False
        self._wanted = asyncio.Event()
        self._done = asyncio.Event()
        self.certificate: Certificate | None = None
        """What was left; None as long as that is not known."""

    def begin(self) -> None:
        """There is no way back; a second time changes nothing."""
        if not self._wanted.is_set():
            load = self._dispatcher.view.load
            log.info("draining", jobs=load.jobs, hosts_on_standby=load.hosts_on_standby)
        self._wanted.set()

    async def follow(self) -> None:
        """Another process was asked to: all of them end after the last job."""
        self.begin()

    async def _others_go_on(self) -> bool:
        """As long as the store cannot be asked that is taken for true."""
        try:
            return self._jobs_elsewhere is not None and await self._jobs_elsewhere()
        except StoreError:
            return True

    async def run(self) -> None:
        """Wait until it is wanted, see it through, and stop the service; a shutdown cancels it."""
        await self._dispatcher.running.wait()
        await self._wanted.wait()
        self._dispatcher.drain()
        await self._dispatcher.drained(patience=PATIENCE)
        while await self._others_go_on() and not self._stopping.is_set():
            self._awaits_others = True
            await sleep_until_stopped(ELSEWHERE_EVERY_SECONDS, self._stopping)
            await self._dispatcher.drained(patience=PATIENCE)
        if self._stopping.is_set():
            return
        self.certificate = await self._certified()
        if self.certificate.clean:
            log.info("drained", **self.certificate.document)
        else:
            log.error("drained_with_leftovers", **self.certificate.document)
        self._done.set()
        self._stopping.set()

    async def progress(self) -> AsyncIterator[Mapping[str, Any]]:
        """The jobs that are still there, by phase, whenever that has changed; in the end the certificate.

        `standby` counts the hosts without a job that are still to go, where there are any.

        `elsewhere` is there and true once only the jobs of other processes are waited for.

        Raises `RunnerError` when the service is stopped before.
        """
        last: Mapping[str, Any] = {}
        while not self._done.is_set():
            if self._stopping.is_set():
                raise RunnerError(
                    "the service was stopped before it was drained: it goes on at the next start"
                )
            phases = Counter(str(job.phase) for job in self._dispatcher.view.jobs)
            standby = phases.pop(str(Phase.STANDBY), 0)
            now: dict[str, Any] = {"jobs": phases.total(), "phases": dict(phases)}
            if standby:
                now["standby"] = standby
            if self._awaits_others:
                now["elsewhere"] = True
            if now != last:
                last = now
                yield {"progress": now}
            await sleep_until_stopped(PROGRESS_EVERY_SECONDS, self._done)
        if self.certificate:
            yield {"certificate": self.certificate.document}

    # --- what is left ------------------------------------------------------------------------------------

    async def _certified(self) -> Certificate:
        """The first that is clean, else the last, of a few inspections."""
        certificate = await self._inspect()
        for _ in range(INSPECTIONS - 1):
            if certificate.clean:
                break
            await sleep_until_stopped(BETWEEN_INSPECTIONS.total_seconds(), self._stopping)
            certificate = await self._inspect()
        return certificate

    async def _inspect(self) -> Certificate:
        unknown: list[str] = []
        jobs: Sequence[TrackedJob] = ()
        try:
            jobs = await self._store.jobs()
        except StoreError as error:
            unknown.append(str(error))
        with self._dispatcher.held() as runners:
            found = [host for runner in runners for host in await self._hosts(runner, unknown)]
        foreign = [host for host in found if isinstance(host, ForeignHost)]
        hosts = [host for host in found if not isinstance(host, ForeignHost)]
        return Certificate(at=self._clock(), jobs=jobs, hosts=hosts, foreign=foreign, unknown=unknown)

    async def _hosts(self, runner: ActiveRunner, unknown: list[str]) -> Sequence[LeftHost]:
        """All that the provider lists of ours, for every tenant that has ever paid.

        A tenant is on the disk before its first host. Where none is known a disk may have been lost: all who
        could pay are asked then.
        """

        async def listed(tenant: str) -> Sequence[SeenHost]:
            ours = await runner.executor.hosts(tenant)
            return [*ours, *await hosts_of_others(runner.executor, tenant)]

        searched = SearchedRunner.of(runner)
        others: Collection[str] = ()
        try:
            if not await tenants_of(searched, self._store):
                others = await all_tenants_of(runner.executor)
        except RunnerError as error:
            unknown.append(f"who may have paid for hosts of {runner.name}: {error}")
        answers = await ask_tenants(searched, self._store, listed, others=others)
        unknown += map(_describe_not_asked, answers.not_asked)
        return [_described(runner, host) for found in answers.by_tenant.values() for host in found]


def _described(runner: ActiveRunner, host: SeenHost) -> LeftHost:
    if not host.installation:
        return LeftHost(runner=runner.name, name=host.name, host=host.ref)
    return ForeignHost(runner=runner.name, name=host.name, host=host.ref, installation=host.installation)


def _describe_not_asked(tenant: NotAsked) -> str:
    payer = f" that {tenant.tenant} pays for" if tenant.tenant else ""
    return f"the hosts of {tenant.runner}{payer}: {tenant.why}"
