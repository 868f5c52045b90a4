"""One runner at a time, as the service would use it: its token, its executor, its hosts.

The token is shown to its coordinator. The executor is built as the service would build it, and then examines
itself. Whatever asks over the network has a deadline of its own, so that a check always comes to its end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

import attrs

from paas_runner.config import Runner
from paas_runner.coordinator.runner_records import RunnerRecords, Verified
from paas_runner.errors import Rejected, RemoteError, RunnerError
from paas_runner.executor.checks import CheckResult, fault, fine, warning
from paas_runner.executor.contract import Executor
from paas_runner.executor.optional import examination_of, flavors_of
from paas_runner.http import Connect
from paas_runner.job.capacity import NOTHING_KNOWN, Flavors
from paas_runner.service.assembly import Edges, built_executor

_EXECUTOR = "executor"


def _built(runner: Runner, edges: Edges, installation: str) -> tuple[Executor | None, CheckResult]:
    """The executor of a section, as the service would build it."""
    try:
        executor = built_executor(runner, edges, installation)
    except (RunnerError, OSError) as error:
        return None, fault(_EXECUTOR, f"{runner.executor} cannot be used on this machine: {error}")
    return executor, fine(_EXECUTOR, runner.executor)


async def _examined(executor: Executor) -> Sequence[CheckResult]:
    """What the executor finds out about itself; of one that does not examine itself, what hosts it has."""
    try:
        return await examination_of(executor)
    except RunnerError as error:
        return [fault(_EXECUTOR, str(error))]


async def _flavors(executor: Executor) -> Flavors:
    """What hosts are on offer, as far as that can be found out; the examination says what is wrong."""
    try:
        return await flavors_of(executor)
    except RunnerError:
        return NOTHING_KNOWN


_TOKEN = "token"  # noqa: S105 - a word
SOON = timedelta(days=7)


async def _check_token(
    runner: Runner, connect: Connect, *, system_id: str | None, now: datetime
) -> Sequence[CheckResult]:
    """Whether the coordinator is there and knows the runner."""
    try:
        records = RunnerRecords(url=runner.url, connect=connect, tls=runner.tls)
        verified = await records.verify(runner.token, system_id=system_id)
    except RemoteError as error:
        return [fault(_TOKEN, str(error), _advice(error))]
    except OSError as error:
        return [fault("certificates", f"the tls-… files cannot be used: {error}")]
    number = f" as number {verified.runner_id}" if verified.runner_id else ""
    return [fine(_TOKEN, f"{runner.url} knows the runner{number}"), *_expiry(verified, now)]


def _advice(error: RemoteError) -> str:
    if isinstance(error, Rejected):
        return error.advice
    return "is `url` right, and does the coordinator run?"


def _expiry(verified: Verified, now: datetime) -> Sequence[CheckResult]:
    expiry = verified.expires_at
    if expiry is None or expiry - now > SOON:
        return []
    return [warning(_TOKEN, f"expires at {expiry:%Y-%m-%d %H:%M} UTC", "rotate it before then")]


SECONDS = 20.0
"""How long all answers to one check may take."""


class WaitDisplay(Protocol):
    """Where it is shown what is being waited for."""

    def waiting(self, what: str) -> AbstractContextManager[None]:
        """`what` is waited for inside the block."""


@attrs.frozen(kw_only=True)
class CheckedRunner:
    """What was found out about one runner; no flavors when they could not be found out."""

    runner: Runner
    results: Sequence[CheckResult]
    flavors: Flavors = NOTHING_KNOWN


@attrs.frozen(kw_only=True)
class RunnerCheck:
    """Checks runners."""

    edges: Edges
    progress: WaitDisplay
    now: Callable[[], datetime]
    seconds: float = SECONDS
    installation: str = ""
    system_id: str | None = None
    offline: bool = False
    """Ask nothing over the network."""

    async def check(self, runner: Runner) -> CheckedRunner:
        """The token and the executor, side by side."""
        executor, built = _built(runner, self.edges, self.installation)
        if self.offline or executor is None:
            if executor:
                await executor.aclose()
            token = [] if self.offline else await self._token(runner)
            return CheckedRunner(runner=runner, results=[*token, built])
        try:
            token, hosts = await asyncio.gather(self._token(runner), self._examined(runner, executor))
            flavors = await self._flavors(runner, executor)  # read by now, usually
            return CheckedRunner(runner=runner, results=[*token, built, *hosts], flavors=flavors)
        finally:
            await executor.aclose()

    async def flavors(self, runner: Runner) -> Flavors:
        """What hosts are on offer, as far as that can be found out; nothing else is checked."""
        executor, _ = _built(runner, self.edges, self.installation)
        if executor is None:
            return NOTHING_KNOWN
        try:
            return NOTHING_KNOWN if self.offline else await self._flavors(runner, executor)
        finally:
            await executor.aclose()

    async def _token(self, runner: Runner) -> Sequence[CheckResult]:
        check = _check_token(runner, self.edges.connect, system_id=self.system_id, now=self.now())
        return await self._bounded(check, _TOKEN, f"{runner.title}: coordinator")

    async def _examined(self, runner: Runner, executor: Executor) -> Sequence[CheckResult]:
        check = _examined(executor)
        return await self._bounded(check, _EXECUTOR, f"{runner.title}: {runner.executor}")

    async def _flavors(self, runner: Runner, executor: Executor) -> Flavors:
        try:
            with self.progress.waiting(f"{runner.title}: flavors"):
                async with asyncio.timeout(self.seconds):
                    return await _flavors(executor)
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
