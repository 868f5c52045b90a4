"""The present load in the log: its numbers when they have changed, and why no job can be acquired."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import attrs
import structlog

from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import Settings
from paas_runner.job.capacity import Load, Obstacle
from paas_runner.loop.heartbeat import away_until_called
from paas_runner.loop.timing import rest

log = structlog.stdlib.get_logger(__name__)

SETTLING = timedelta(seconds=3)  # changes come in swarms


class Statistics:
    """Sleeps as long as nothing changes."""

    def __init__(
        self, registry: Registry, *, settings: Callable[[], Settings], on_change: Callable[[], None]
    ) -> None:
        """`settings` are asked for whenever something is told.

        `on_change` is called whenever something may have changed, at most every few seconds.
        """
        self._registry = registry
        self._settings = settings
        self._on_change = on_change
        self._told: Mapping[str, object] = {}
        self._blocked: Mapping[str, Obstacle] = {}
        self.standstills = 0
        """How often it began that no runner could ask for a job."""

    async def run(self) -> None:
        """For ever; a shutdown cancels it."""
        while True:
            away_until_called()
            await self._registry.changed.wait()
            await rest(SETTLING)
            self._registry.changed.clear()
            self.tell()
            self._on_change()

    def tell(self) -> None:
        """Log what is new."""
        load, waiting = self._registry.load, self._registry.waiting
        obstacles = {runner: load.obstacle(runner) for runner in waiting}
        blocked = {runner: obstacle for runner, obstacle in obstacles.items() if obstacle}
        standstill = bool(blocked) and len(blocked) == len(obstacles) and not load.asking
        self._tell_standstill(blocked if standstill else {})
        told = numbers(load, can_take_job=not standstill)
        if self._settings().log_statistics and told != self._told:
            log.info("statistics", **told)
            self._told = told

    def _tell_standstill(self, blocked: Mapping[str, Obstacle]) -> None:
        if blocked and not self._blocked:
            self.standstills += 1
        bounds = {runner: obstacle.bound for runner, obstacle in blocked.items()}
        if blocked and bounds != {runner: obstacle.bound for runner, obstacle in self._blocked.items()}:
            log.info("no job can be acquired", standstills=self.standstills, **self._reasons(blocked))
        self._blocked = blocked

    def _reasons(self, blocked: Mapping[str, Obstacle]) -> Mapping[str, object]:
        """One reason, or one for each runner where they differ."""
        names = self._settings().names
        texts = {names.get(runner, runner): obstacle.text for runner, obstacle in blocked.items()}
        different = set(texts.values())
        return {"reason": different.pop()} if len(different) == 1 else {"reasons": texts}


def numbers(load: Load, *, can_take_job: bool) -> Mapping[str, object]:
    """Under the names that heptapod-paas-runner 1.1.1 gives them (core-features.md H059)."""
    held = attrs.evolve(load, asking=())
    told: dict[str, object] = {
        "can_take_job": can_take_job,
        "current_concurrent_jobs": len(held.jobs),
        "max_concurrent_jobs": load.limits.concurrent,
        "jobs_in_provisioning": held.preparing,
        "max_jobs_in_provisioning": load.limits.provisioning,
    }
    if held.quota is not None:
        told |= {
            "weight_quota": round(held.quota, 2),
            "current_weight": round(held.weight, 2),
            "weight_headroom": round(held.quota - held.weight, 2),
        }
    return told
