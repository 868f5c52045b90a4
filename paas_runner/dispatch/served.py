"""What is in service: each `[[runners]]` section with both its sides, and all of them as one value.

A reload exchanges that value as a whole, so that half of a change is never seen, and does not touch what has
begun. The `Generation` of a runner that is replaced is retired: it asks for no further job, and goes on
serving the jobs that it has, with the settings that they were started with, until the last of them is gone;
only the credentials that reach their hosts follow. Its successor asks from the same moment on.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

import attrs
import structlog

from paas_runner.coordinator.protocol import Auditor, CoordinatorClient
from paas_runner.dispatch.counters import Counters
from paas_runner.dispatch.habits import Habits
from paas_runner.dispatch.pace import Rhythm
from paas_runner.executor.contract import Executor, HostTrace
from paas_runner.job.decision import Policy
from paas_runner.job.limits import Limits
from paas_runner.job.tracked import TrackedJob
from paas_runner.loop.timing import Stop

log = structlog.stdlib.get_logger(__name__)


@attrs.frozen(kw_only=True, eq=False)
class ActiveRunner:
    """One section: the coordinator to ask for jobs, and the executor that provides their hosts."""

    key: str
    """The short token by which the runner is known: part of its records' keys and hosts' names."""

    name: str
    coordinator: CoordinatorClient
    coordinator_url: str = ""
    """What tells one coordinator from another: runners of the same one share its budget of looks."""

    executor: Executor
    policy: Policy
    rhythm: Rhythm
    repoll_immediately: bool = False
    """Whether the runner, when it got a job, asks before the others that wait."""

    auditor: Auditor | None = None
    """What is asked which jobs the coordinator believes to run here; None where there is no token for it."""

    audit_every: timedelta = timedelta(minutes=5)
    counters: Counters
    trace_of: Callable[[TrackedJob], HostTrace | None] = lambda _: None
    """What a job's host gets of the job's trace."""

    habits: Habits = attrs.field(factory=Habits)
    """How long its hosts and jobs took lately."""

    basis: object = None
    """What it was made from: while that stays equal nothing has to be made anew."""

    async def aclose(self) -> None:
        """Close all connections; whatever goes wrong then is only logged."""
        sides = [self.coordinator.aclose, self.executor.aclose]
        if self.auditor:
            sides.append(self.auditor.aclose)
        for close in sides:
            try:
                await close()
            except Exception:
                log.exception("close_error", runner=self.name)
                self.counters.count_unforeseen()


@attrs.frozen(kw_only=True)
class ServedConfig:
    """What the dispatcher serves, and within which bounds."""

    runners: Mapping[str, ActiveRunner]
    """Every runner in service by its key."""

    limits: Limits
    sweep_every: timedelta = timedelta()
    """How often orphans are searched for; 0 or less is never."""

    looks_a_minute: int = 2000
    """At the jobs of one coordinator and their hosts, before they become rarer."""

    log_statistics: bool = True

    @property
    def names(self) -> Mapping[str, str]:
        """The runners' names by their keys."""
        return {key: runner.name for key, runner in self.runners.items()}

    def pausing(self, paused: Iterable[str]) -> "ServedConfig":
        """The same, with exactly these runners (keys) paused."""
        return attrs.evolve(self, limits=attrs.evolve(self.limits, paused=frozenset(paused)))


class Account:
    """What is told of an account; nobody listens."""

    def refused(self, reason: str) -> None:
        """The provider refused its credentials for a job."""

    def accepted(self) -> None:
        """A host was made with them."""

    async def run(self) -> None:
        """Until canceled."""


class Generation:
    """An `ActiveRunner` from the first task that needs it to the last."""

    def __init__(self, runner: ActiveRunner) -> None:
        self.runner = runner
        self.account = Account()
        self.ending = asyncio.Event()
        """Set when the runner is to ask for no further job under this setting."""
        self.leaving = Stop()
        """Set when its jobs are to be left as they are."""

        self._work: set[asyncio.Future[None]] = set()
        self._asking: set[asyncio.Future[None]] = set()
        self._periodic: set[asyncio.Task[None]] = set()

    @property
    def work(self) -> Sequence[asyncio.Future[None]]:
        """What must come to its own end: the request for a job, and each job."""
        return list(self._work)

    def add(self, work: asyncio.Future[None]) -> None:
        self._work.add(work)
        work.add_done_callback(self._work.discard)

    @property
    def asking(self) -> Sequence[asyncio.Future[None]]:
        """What of the work may bring another job."""
        return list(self._asking)

    def add_asking(self, work: asyncio.Future[None]) -> None:
        self._asking.add(work)
        work.add_done_callback(self._asking.discard)
        self.add(work)

    def add_periodic(self, task: asyncio.Task[None]) -> None:
        """A task that may be cut off at any time."""
        self._periodic.add(task)
        task.add_done_callback(self._periodic.discard)

    @contextmanager
    def held(self) -> Iterator[ActiveRunner]:
        """Inside, the runner is needed."""
        self.add(need := asyncio.get_running_loop().create_future())
        try:
            yield self.runner
        finally:
            need.set_result(None)

    def cancel_periodic(self) -> None:
        for task in self._periodic:
            task.cancel()

    def retire(self) -> None:
        """Out of service: only what has begun goes on."""
        self.ending.set()
        self.cancel_periodic()

    def cut_off(self) -> None:
        """Nothing of it goes on, wherever it stands, but what may bring a job: nobody else would hear of it.

        Whoever holds it for a look is waited for.
        """
        for each in [*(self._work - self._asking), *self._periodic]:
            if isinstance(each, asyncio.Task):
                each.cancel()

    async def cared(self) -> None:
        """Wait until nothing needs it any more but what may bring a job."""
        while tasks := (self._work - self._asking) | self._periodic:
            await asyncio.wait(tasks)

    async def finished(self) -> None:
        """Wait until no task needs it any more."""
        while tasks := self._work | self._periodic:
            await asyncio.wait(tasks)
