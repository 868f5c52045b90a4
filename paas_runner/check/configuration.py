"""All checks of one configuration: the file, this machine, the runners side by side, what concerns them all.

The results about the file are in the words that the service would log. What concerns all runners is the
weight quota, whether it is known and which flavors fit into it; and our clock against those of the services
that have answered, because leases, tokens and signed addresses depend on it.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

from paas_runner.check.machine import check_listening, check_modes, check_receivers, check_state
from paas_runner.check.runners import ANSWER_SECONDS, CheckedRunner, RunnerCheck, WaitDisplay
from paas_runner.check.telemetry import check_telemetry
from paas_runner.config import Config, ConfigError, load
from paas_runner.config.sections import Executors
from paas_runner.coordinator.system_id import foreseen_system_id
from paas_runner.executor.checks import CheckResult, Grade, fault, fine, skipped, warning
from paas_runner.http import Exchange, Http
from paas_runner.job.capacity import Load
from paas_runner.job.limits import Flavors, jobs_at_once
from paas_runner.plain_text import exact_span
from paas_runner.service.assembly import Edges
from paas_runner.store.opening import open_store

_CONFIGURATION, _QUOTA, _CLOCK = "configuration", "quota", "clock"
"""The subjects of the results."""

TOLERATED_CLOCK_DIFFERENCE = timedelta(seconds=5)
_HALF_A_SECOND = timedelta(seconds=0.5)  # a Date header has whole seconds, cut off


def read_configuration(
    path: Path, *, environ: Mapping[str, str], executors: Executors
) -> tuple[Config | None, Sequence[CheckResult]]:
    """The configuration, if it can be used, and the results about the file."""
    try:
        config = load(path, environ=environ, executors=executors)
    except ConfigError as error:
        return None, [fault(_CONFIGURATION, str(complaint)) for complaint in error.complaints]
    runners = ", ".join(runner.title for runner in config.runners)
    fit = fine(_CONFIGURATION, f"{path}: runners: {runners}")
    return config, [fit, *(warning(_CONFIGURATION, text) for text in config.warnings)]


def worst(results: Iterable[CheckResult]) -> Grade:
    """The gravest of all grades; what was skipped does not count."""
    found = {result.grade for result in results}
    return next((grade for grade in (Grade.FAULT, Grade.WARNING) if grade in found), Grade.FINE)


class Clocks:
    """Compares the dates of answers with our own clock, `now`."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._ahead: dict[str, timedelta] = {}

    def compare(self, exchange: Exchange) -> None:
        """Keep the least difference of each service: an answer that was long on its way looks older."""
        if exchange.answer is None or exchange.answer.date is None:
            return
        ahead = self._now() - (exchange.answer.date + _HALF_A_SECOND)
        self._ahead[exchange.service] = min(ahead, self._ahead.get(exchange.service, ahead), key=abs)

    def results(self) -> Sequence[CheckResult]:
        """One for each clock that differs, one for those that agree; one at least."""
        agreeing = [
            service for service, ahead in self._ahead.items() if abs(ahead) <= TOLERATED_CLOCK_DIFFERENCE
        ]
        results = [
            warning(
                _CLOCK,
                f"ours is {_difference(ahead)} {service}'s",
                "synchronise this machine's clock (NTP), unless theirs is wrong",
            )
            for service, ahead in self._ahead.items()
            if service not in agreeing
        ]
        if agreeing:
            results.append(fine(_CLOCK, f"agrees with {', '.join(agreeing)}"))
        return results or [skipped(_CLOCK, "no answer had a date")]


def _difference(ahead: timedelta) -> str:
    length = exact_span(round(abs(ahead).total_seconds()))
    return f"{length} {'ahead of' if ahead > timedelta() else 'behind'}"


@attrs.frozen(kw_only=True)
class ConfigurationCheck:
    """Checks everything that a configuration needs, once."""

    config: Config
    executors: Executors
    progress: WaitDisplay
    offline: bool = False
    seconds: float = ANSWER_SECONDS
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def results(self) -> Sequence[CheckResult]:
        """In the order in which a reader wants them: this machine, the runners, what concerns all of them."""
        state = await asyncio.to_thread(check_state, self.config, self.now(), offline=self.offline)
        modes = await asyncio.to_thread(check_modes, self.config)
        clocks = Clocks(self.now)
        runner_check = self._runner_check(clocks)
        runner_check = attrs.evolve(
            runner_check,
            installation=state.installation,
            system_id=state.system_id or runner_check.system_id,
        )
        runners, telemetry = await asyncio.gather(
            asyncio.gather(*map(runner_check.check_whatever_happens, state.config.runners)),
            check_telemetry(state.config, offline=self.offline, seconds=self.seconds),
        )
        of_runners = [attrs.evolve(each, runner=one.runner.title) for one in runners for each in one.results]
        of_all = self._of_all(state.config, runners, clocks)
        watched = [*await check_listening(state.config), *check_receivers(state.config), *telemetry]
        return [*state.results, *modes, *watched, *of_runners, *of_all]

    async def flavors(self) -> Mapping[str, Flavors]:
        """What hosts are on offer, by short token, as far as that can be found out; no more is checked."""
        runner_check = self._runner_check(Clocks(self.now))
        flavors = await asyncio.gather(*map(runner_check.flavors, self.config.runners))
        return {runner.short_token: each for runner, each in zip(self.config.runners, flavors, strict=True)}

    def _runner_check(self, clocks: Clocks) -> RunnerCheck:
        folders = (self.config.path.parent, self.config.state_file.parent)
        edges = Edges(
            connect=Http(on_exchange=clocks.compare),
            open_store=open_store,
            executors=self.executors,
        )
        return RunnerCheck(
            edges=edges,
            progress=self.progress,
            now=self.now,
            seconds=self.seconds,
            system_id=foreseen_system_id(folders),
            offline=self.offline,
        )

    def _of_all(
        self, config: Config, runners: Sequence[CheckedRunner], clocks: Clocks
    ) -> Iterable[CheckResult]:
        if self.offline:
            return [skipped("network", "not asked, as wanted: tokens, accounts, sizes, quota, clock")]
        known = {each.runner.short_token: each.flavors for each in runners if each.flavors.weights}
        return [*_quota_fits(config, Load(limits=config.limits, flavors=known)), *clocks.results()]


def _quota_fits(config: Config, load: Load) -> Iterator[CheckResult]:
    """What the quota means for each runner whose flavors are known; `load` has no job."""
    for runner in config.runners:
        if runner.short_token in load.flavors:
            for result in _quota_of_runner(runner.short_token, load):
                yield attrs.evolve(result, runner=runner.title)


def _quota_of_runner(key: str, load: Load) -> Iterator[CheckResult]:
    rule = load.limits.quota
    if rule is None or rule.reference_runner not in load.flavors:
        return
    if obstacle := load.obstacle(key):
        yield fault(_QUOTA, obstacle.text, "this runner would never ask for a job")
        return
    allowed, heaviest = load.allowance(key) or 0.0, load.heaviest(key)
    granted = load.flavors[key].granted
    counts = jobs_at_once(load.flavors[key], allowed)
    fitting = ", ".join(f"{flavor} {count}" for flavor, count in counts.items() if count)
    yield fine(_QUOTA, f"may use {allowed:.1f} of {load.quota or 0.0:.1f}; jobs at once: {fitting}")
    too_heavy = [flavor for flavor, weight in granted.items() if weight > heaviest]
    if too_heavy:
        text = f"too small for {', '.join(too_heavy)}: jobs that ask for one of them are failed"
        yield warning(_QUOTA, text, "raise the quota, or set the largest size that a job may ask for")
