"""All checks of one configuration: this machine first, then all runners side by side."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import attrs

from paas_runner.assembly import Edges, limits_of
from paas_runner.check_result import CheckResult, skipped
from paas_runner.checking import files, programs, quota, state
from paas_runner.checking.clock import Clocks
from paas_runner.checking.runners import SECONDS, Look, Looks, Progress
from paas_runner.config import Config
from paas_runner.config.sections import Executors
from paas_runner.coordinator.system_id import foreseen_system_id
from paas_runner.http import Http
from paas_runner.job.capacity import Load, Sizes
from paas_runner.store.sqlite import SqliteStore


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
        found = await asyncio.to_thread(state.look, self.config, self.now())
        modes = await asyncio.to_thread(files.modes, self.config)
        git = await asyncio.to_thread(programs.git)
        clocks = Clocks(self.now)
        looks = attrs.evolve(self._looks(clocks), installation=found.installation)
        runners = await asyncio.gather(*map(looks.look, found.config.runners))
        told = [attrs.evolve(each, runner=one.runner.title) for one in runners for each in one.results]
        return [*found.results, *modes, git, *told, *self._of_all(found.config, runners, clocks)]

    async def sizes(self) -> Mapping[str, Sizes]:
        """By short token what hosts can be had, as far as that can be told; nothing else is looked at."""
        looks = self._looks(Clocks(self.now))
        sizes = await asyncio.gather(*map(looks.sizes, self.config.runners))
        return {runner.short_token: each for runner, each in zip(self.config.runners, sizes, strict=True)}

    def _looks(self, clocks: Clocks) -> Looks:
        folders = (self.config.path.parent, self.config.state_file.parent)
        edges = Edges(
            connect=Http(listen=clocks.hear),
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
        return [*quota.fits(config, Load(limits=limits_of(config), sizes=weighed)), *clocks.results()]
