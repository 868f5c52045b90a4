"""The present load in the log: its numbers when they have changed, and why no job can be acquired."""

import asyncio
from collections.abc import Mapping

import attrs
import structlog

from paas_runner.dispatch.roster import Roster
from paas_runner.job.capacity import Load, Obstacle

log = structlog.stdlib.get_logger(__name__)

SETTLING_SECONDS = 3.0  # changes come in swarms


class Statistics:
    """Sleeps as long as nothing changes."""

    def __init__(self, roster: Roster, *, names: Mapping[str, str], numbers: bool) -> None:
        """`names` are the runners' by their short tokens; `numbers`: whether these are logged at all."""
        self._roster = roster
        self._names = names
        self._numbers = numbers
        self._told: Mapping[str, object] = {}
        self._blocked: Mapping[str, Obstacle] = {}
        self.standstills = 0
        """How often it began that no runner could ask for a job."""

    async def run(self) -> None:
        """For ever; a shutdown cancels it."""
        while True:
            await self._roster.changed.wait()
            await asyncio.sleep(SETTLING_SECONDS)
            self._roster.changed.clear()
            self.tell()

    def tell(self) -> None:
        """Log what is new."""
        load, waiting = self._roster.load, self._roster.waiting
        obstacles = {runner: load.obstacle(runner) for runner in waiting}
        blocked = {runner: obstacle for runner, obstacle in obstacles.items() if obstacle}
        standstill = bool(blocked) and len(blocked) == len(obstacles) and not load.asking
        self._tell_standstill(blocked if standstill else {})
        told = numbers(load, can_take_job=not standstill)
        if self._numbers and told != self._told:
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
        texts = {self._names.get(runner, runner): obstacle.text for runner, obstacle in blocked.items()}
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
