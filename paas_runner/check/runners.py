"""One runner at a time, as the service would use it: its token, its executor, its hosts.

The token is shown to its coordinator. The executor is built as the service would build it, and then examines
itself. Whatever asks over the network has a deadline of its own, so that a check always comes to its end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

import attrs

from paas_runner.check.acquisition_audit import audit_check
from paas_runner.config import Config, Runner
from paas_runner.coordinator.runner_records import RunnerRecords, Verified
from paas_runner.errors import Rejected, RemoteError, RunnerError
from paas_runner.executor.checks import CheckResult, Grade, fault, fine, skipped, warning
from paas_runner.executor.contract import Executor
from paas_runner.executor.optional import Staying, examination_of, flavors_of, sizes_of
from paas_runner.job.job_tags import SINCE, TAGS_VARIABLE, tells_tags
from paas_runner.job.known_runner import TokenLife
from paas_runner.job.limits import NOTHING_KNOWN, Flavors
from paas_runner.job.tracked import TrackedJob
from paas_runner.plain_text import exact_span
from paas_runner.service.assembly import Edges, built_executor

_AUTHENTICATION, _EXECUTOR, _TAGS, _STANDBY = "token", "executor", "tags", "standby"
"""The subjects of the results."""

_WITHOUT_TAGS = f"GitLab {SINCE} and later send {TAGS_VARIABLE}; until then jobs get what the section says"

ANSWER_SECONDS = 20.0
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
    seconds: float = ANSWER_SECONDS
    installation: str = ""
    system_id: str | None = None
    offline: bool = False
    """Ask nothing over the network."""

    async def check(self, runner: Runner) -> CheckedRunner:
        """The token and the executor, side by side."""
        executor, built = self._built(runner)
        if self.offline or executor is None:
            if executor:
                await executor.aclose()
            token = _expiry(runner, None, self.now()) if self.offline else await self._token(runner)
            return CheckedRunner(runner=runner, results=[*token, built])
        try:
            token, hosts = await asyncio.gather(self._token(runner), self._examined(runner, executor))
            flavors = await self._flavors(runner, executor)  # read by now, usually
            standby = await self._standby(runner, executor)
            results = [*token, built, *hosts, *standby]
            return CheckedRunner(runner=runner, results=results, flavors=flavors)
        finally:
            await executor.aclose()

    async def check_whatever_happens(self, runner: Runner) -> CheckedRunner:
        """The same; what nobody foresaw is a fault of this runner, and in no other's way."""
        try:
            return await self.check(runner)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            text = f"the check itself failed: {type(error).__name__}: {error}"
            return CheckedRunner(runner=runner, results=[fault(_EXECUTOR, text)])

    async def flavors(self, runner: Runner) -> Flavors:
        """What hosts are on offer, as far as that can be found out; nothing else is checked."""
        executor, _ = self._built(runner)
        if executor is None:
            return NOTHING_KNOWN
        try:
            return NOTHING_KNOWN if self.offline else await self._flavors(runner, executor)
        finally:
            await executor.aclose()

    async def _token(self, runner: Runner) -> Sequence[CheckResult]:
        token = await self._bounded(self._verified(runner), _AUTHENTICATION, f"{runner.title}: coordinator")
        if any(each.grade is Grade.FAULT for each in token) or runner.paas_acquisition_audit.token is None:
            return token
        audit = audit_check(runner, self.edges.connect, self.system_id or "")
        return [*token, *await self._bounded(audit, "acquisition audit", f"{runner.title}: audit")]

    async def _verified(self, runner: Runner) -> Sequence[CheckResult]:
        """Whether the coordinator is there and knows the runner."""
        try:
            records = RunnerRecords(url=runner.url, connect=self.edges.connect, tls=runner.tls)
            verified = await records.verify(runner.token, system_id=self.system_id)
        except RemoteError as error:
            return [fault(_AUTHENTICATION, str(error), _advice(error))]
        except OSError as error:
            return [fault("certificates", f"the tls-… files cannot be used: {error}")]
        number = f" as number {verified.runner_id}" if verified.runner_id else ""
        return [
            fine(_AUTHENTICATION, f"{runner.url} knows the runner{number}"),
            *_expiry(runner, verified, self.now()),
        ]

    def _built(self, runner: Runner) -> tuple[Executor | None, CheckResult]:
        """The executor of a section, as the service would build it."""
        try:
            executor = built_executor(runner, self.edges, self.installation)
        except (RunnerError, OSError) as error:
            return None, fault(_EXECUTOR, f"{runner.executor} cannot be used on this machine: {error}")
        return executor, fine(_EXECUTOR, runner.executor)

    async def _examined(self, runner: Runner, executor: Executor) -> Sequence[CheckResult]:
        """What the executor finds out about itself; of one that does not examine itself its flavors."""
        try:
            what = f"{runner.title}: {runner.executor}"
            return await self._bounded(examination_of(executor), _EXECUTOR, what)
        except RunnerError as error:
            return [fault(_EXECUTOR, str(error))]

    async def _flavors(self, runner: Runner, executor: Executor) -> Flavors:
        """As far as they can be found out; the examination says what is wrong."""
        try:
            with self.progress.waiting(f"{runner.title}: flavors"):
                async with asyncio.timeout(self.seconds):
                    return await flavors_of(executor)
        except (RunnerError, TimeoutError):
            return NOTHING_KNOWN

    async def _standby(self, runner: Runner, executor: Executor) -> Sequence[CheckResult]:
        """How long a host waits for another job, and what that costs; nothing where hosts are not kept."""
        kept = runner.paas_keep_resources_for_reuse_seconds
        if not isinstance(executor, Staying):
            return []
        if not kept:
            return [fine(_STANDBY, "off: each host goes with its job")]
        try:
            async with asyncio.timeout(self.seconds):
                sizes = await sizes_of(executor)
        except (RunnerError, TimeoutError):
            sizes = ()
        prices = {size.name: size.price for size in sizes if size.price is not None}
        return [fine(_STANDBY, standby_sentence(kept, runner.paas_keep_resources_for_reuse_cost, prices))]

    async def _bounded(
        self, check: Awaitable[Sequence[CheckResult]], subject: str, what: str
    ) -> Sequence[CheckResult]:
        try:
            with self.progress.waiting(what):
                async with asyncio.timeout(self.seconds):
                    return await check
        except TimeoutError:
            return [fault(subject, f"no complete answer within {self.seconds:g} s")]


def _advice(error: RemoteError) -> str:
    if isinstance(error, Rejected):
        return error.advice
    return "is `url` right, and does the coordinator run?"


def _expiry(runner: Runner, verified: Verified | None, now: datetime) -> Sequence[CheckResult]:
    """What the coordinator says counts; without it, what the section says."""
    life = runner.token_life
    if verified and verified.expires_at:
        life = TokenLife(expires_at=verified.expires_at, obtained_at=runner.token_obtained_at)
    notice = life.notice(now) if life else ""
    advice = "reset it at the coordinator, put the new one into the section, and reload"
    return [warning(_AUTHENTICATION, notice, advice)] if notice else []


def standby_sentence(kept: timedelta, most: float | None, prices: Mapping[str, float]) -> str:
    """What hosts cost that wait in vain; `prices` are those of an hour, `most` is the operator's bound."""
    costs = {flavor: price * (kept / timedelta(hours=1)) for flavor, price in prices.items()}
    told = ", ".join(
        f"{flavor} {min(cost, cost if most is None else most):.2g}" for flavor, cost in costs.items()
    )
    bound = "" if most is None else f", or as long as that costs {most:g}"
    price = f"; of each flavor, in the provider's unit: {told}" if told else "; what that costs is not known"
    return f"a host waits {exact_span(kept)} for another job at most{bound}{price}"


def check_tags(config: Config, jobs: Iterable[TrackedJob]) -> Iterator[CheckResult]:
    """Whether jobs come with their tags, for each section with tables `[runners.tags.NAME]`.

    Any executor may have such. A coordinator tells its version to people alone, and a job's definition is
    kept until its host has it.
    """
    kept = [(job.key.runner, tells_tags(job.payload)) for job in jobs if job.payload]
    for runner in config.runners:
        if getattr(runner.settings, "tags", None):
            seen = {told for key, told in kept if key == runner.short_token}
            yield attrs.evolve(_of_tags(seen), runner=runner.title)


def _of_tags(seen: set[bool]) -> CheckResult:
    if not seen:
        text = f"whether jobs come with them is not known before one is here; from GitLab {SINCE} on they do"
        return skipped(_TAGS, text)
    if seen == {False}:
        return warning(_TAGS, "jobs have come without them: [runners.tags] decides nothing", _WITHOUT_TAGS)
    return fine(_TAGS, "jobs come with them")
