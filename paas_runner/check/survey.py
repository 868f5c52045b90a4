"""All checks of one configuration: this machine first, then all runners side by side.

The configuration file: everything that the service would say about it, in the same words.

The weight quota: whether it is known, and which sizes fit into it.

Our clock against those of the services that answer: leases, tokens and signed addresses depend on it.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

from paas_runner.check.machine import git_program, look_at_state, modes
from paas_runner.check.runners import SECONDS, Look, Looks, Progress
from paas_runner.config import Config, ConfigError, load
from paas_runner.config.sections import Executors
from paas_runner.coordinator.system_id import foreseen_system_id
from paas_runner.executor.checks import CheckResult, fault, fine, skipped, warning
from paas_runner.http import Http, Response
from paas_runner.job.capacity import Flavors, Load, jobs_that_fit
from paas_runner.service.assembly import Edges
from paas_runner.store.sqlite import SqliteStore

_CLOCK = "clock"
TOLERATED_CLOCK_DIFFERENCE = timedelta(seconds=5)
_HALF_A_SECOND = timedelta(seconds=0.5)  # a Date header has whole seconds, cut off


class Clocks:
    """Hears answers, and compares."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """`now` is our own clock."""
        self._now = now
        self._ahead: dict[str, timedelta] = {}

    def hear(self, service: str, answer: Response) -> None:
        """Keep the least difference of each service: an answer that was long on its way looks older."""
        if answer.date is None:
            return
        ahead = self._now() - (answer.date + _HALF_A_SECOND)
        self._ahead[service] = min(ahead, self._ahead.get(service, ahead), key=abs)

    def results(self) -> Sequence[CheckResult]:
        """One for each clock that differs, one for those that agree; one at least."""
        agreeing = [
            service for service, ahead in self._ahead.items() if abs(ahead) <= TOLERATED_CLOCK_DIFFERENCE
        ]
        results = [
            warning(
                _CLOCK,
                f"ours is {_seconds(ahead)} {service}'s",
                "synchronise this machine's clock (NTP), unless theirs is wrong",
            )
            for service, ahead in self._ahead.items()
            if service not in agreeing
        ]
        if agreeing:
            results.append(fine(_CLOCK, f"agrees with {', '.join(agreeing)}"))
        return results or [skipped(_CLOCK, "nobody told the time")]


def _seconds(ahead: timedelta) -> str:
    seconds = ahead.total_seconds()
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"


_QUOTA = "quota"


def _quota_fits(config: Config, load: Load) -> Iterator[CheckResult]:
    """What the quota means for each runner whose sizes are known; `load` has no job, and no empty sizes."""
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
    sizes = load.flavors[key]
    counts = jobs_that_fit(sizes.granted, allowed)
    fitting = ", ".join(f"{size} {count}" for size, count in counts.items() if count)
    yield fine(_QUOTA, f"may use {allowed:.1f} of {load.quota or 0.0:.1f}; jobs at once: {fitting}")
    too_heavy = [size for size, weight in sizes.granted.items() if weight > heaviest]
    if too_heavy:
        said = f"too small for {', '.join(too_heavy)}: jobs that ask for one of them are failed"
        yield warning(_QUOTA, said, "raise the quota, or set the largest size that a job may ask for")


@attrs.frozen(kw_only=True)
class Survey:
    """One look at everything that a configuration needs."""

    config: Config
    executors: Executors
    progress: Progress
    offline: bool = False
    seconds: float = SECONDS
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def results(self) -> Sequence[CheckResult]:
        """In the order in which a reader wants them: this machine, the runners, what concerns all of them."""
        found = await asyncio.to_thread(look_at_state, self.config, self.now())
        files = await asyncio.to_thread(modes, self.config)
        git = await asyncio.to_thread(git_program)
        clocks = Clocks(self.now)
        looks = attrs.evolve(self._looks(clocks), installation=found.installation)
        runners = await asyncio.gather(*map(looks.look, found.config.runners))
        told = [attrs.evolve(each, runner=one.runner.title) for one in runners for each in one.results]
        return [*found.results, *files, git, *told, *self._of_all(found.config, runners, clocks)]

    async def sizes(self) -> Mapping[str, Flavors]:
        """By short token what hosts can be had, as far as that can be told; nothing else is looked at."""
        looks = self._looks(Clocks(self.now))
        sizes = await asyncio.gather(*map(looks.sizes, self.config.runners))
        return {runner.short_token: each for runner, each in zip(self.config.runners, sizes, strict=True)}

    def _looks(self, clocks: Clocks) -> Looks:
        folders = (self.config.path.parent, self.config.state_file.parent)
        edges = Edges(
            connect=Http(on_response=clocks.hear),
            open_store=SqliteStore.open,
            executors=self.executors,
            rng=random.Random(),  # noqa: S311 - jitter, no secret
        )
        return Looks(
            edges=edges,
            progress=self.progress,
            now=self.now,
            seconds=self.seconds,
            system_id=foreseen_system_id(folders),
            offline=self.offline,
        )

    def _of_all(self, config: Config, looks: Sequence[Look], clocks: Clocks) -> Iterable[CheckResult]:
        if self.offline:
            return [skipped("network", "not asked, as wanted: tokens, accounts, sizes, quota, clock")]
        weighed = {look.runner.short_token: look.sizes for look in looks if look.sizes.weights}
        return [*_quota_fits(config, Load(limits=config.limits, flavors=weighed)), *clocks.results()]


_CONFIGURATION = "configuration"


def read_configuration(
    path: Path, *, environ: Mapping[str, str], executors: Executors
) -> tuple[Config | None, Sequence[CheckResult]]:
    """The configuration, if it can be used, and what is to be said about it."""
    try:
        config = load(path, environ=environ, executors=executors)
    except ConfigError as error:
        return None, [fault(_CONFIGURATION, str(complaint)) for complaint in error.complaints]
    runners = ", ".join(runner.title for runner in config.runners)
    said = fine(_CONFIGURATION, f"{path}: runners: {runners}")
    return config, [said, *(warning(_CONFIGURATION, text) for text in config.warnings)]
