"""One runner at a time, as the service would use it: its token, its executor, its hosts.

Whatever asks somebody else has a deadline of its own, so that a look always comes to its end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import attrs

from paas_runner.assembly import Edges
from paas_runner.check_result import CheckResult, fault
from paas_runner.checking import coordinators, executors
from paas_runner.config import Runner
from paas_runner.executor import Executor
from paas_runner.job.capacity import NOTHING_KNOWN, Sizes

SECONDS = 20.0
"""How long all answers to one check may take."""


class Progress(Protocol):
    """Where it is shown what is being waited for."""

    def waiting(self, what: str) -> AbstractContextManager[None]:
        """`what` is waited for inside the block."""


@attrs.frozen(kw_only=True)
class Look:
    """What was found out about one runner; no sizes when they could not be had."""

    runner: Runner
    results: Sequence[CheckResult]
    sizes: Sizes = NOTHING_KNOWN


@attrs.frozen(kw_only=True)
class Looks:
    """How runners are looked at."""

    edges: Edges
    progress: Progress
    now: Callable[[], datetime]
    seconds: float = SECONDS
    installation: str = ""
    system_id: str | None = None
    offline: bool = False
    """Ask nobody over the network."""

    async def look(self, runner: Runner) -> Look:
        """The token and the executor, side by side."""
        executor, said = executors.built(runner, self.edges, self.installation)
        if self.offline or executor is None:
            if executor:
                await executor.aclose()
            known = [] if self.offline else await self._token(runner)
            return Look(runner=runner, results=[*known, said])
        try:
            known, hosts = await asyncio.gather(self._token(runner), self._examined(runner, executor))
            sizes = await self._sizes(runner, executor)  # read by now, usually
            return Look(runner=runner, results=[*known, said, *hosts], sizes=sizes)
        finally:
            await executor.aclose()

    async def sizes(self, runner: Runner) -> Sizes:
        """What hosts can be had, as far as that can be told; nothing else is looked at."""
        executor, _ = executors.built(runner, self.edges, self.installation)
        if executor is None:
            return NOTHING_KNOWN
        try:
            return NOTHING_KNOWN if self.offline else await self._sizes(runner, executor)
        finally:
            await executor.aclose()

    async def _token(self, runner: Runner) -> Sequence[CheckResult]:
        check = coordinators.token(runner, self.edges.connect, system_id=self.system_id, now=self.now())
        return await self._bounded(check, coordinators.SUBJECT, f"{runner.title}: coordinator")

    async def _examined(self, runner: Runner, executor: Executor) -> Sequence[CheckResult]:
        check = executors.examined(executor)
        return await self._bounded(check, executors.SUBJECT, f"{runner.title}: {runner.executor}")

    async def _sizes(self, runner: Runner, executor: Executor) -> Sizes:
        try:
            with self.progress.waiting(f"{runner.title}: sizes"):
                async with asyncio.timeout(self.seconds):
                    return await executors.sizes(executor)
        except TimeoutError:
            return NOTHING_KNOWN

    async def _bounded(
        self, check: Awaitable[Sequence[CheckResult]], subject: str, what: str
    ) -> Sequence[CheckResult]:
        try:
            with self.progress.waiting(what):
                async with asyncio.timeout(self.seconds):
                    return await check
        except TimeoutError:
            return [fault(subject, f"no complete answer within {self.seconds:g} s")]
