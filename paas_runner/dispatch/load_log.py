"""The present load in the log: its numbers when they have changed, and why no job can be acquired."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ServedConfig
from paas_runner.dispatch.view import Observer
from paas_runner.job.capacity import Load, Obstacle
from paas_runner.loop.heartbeat import waiting_to_be_woken
from paas_runner.loop.timing import sleep

log = structlog.stdlib.get_logger(__name__)

SETTLING = timedelta(seconds=3)  # changes come in swarms


class LoadLog:
    """Sleeps as long as nothing changes."""

    def __init__(
        self,
        registry: Registry,
        *,
        config: Callable[[], ServedConfig],
        serves: Callable[[], bool],
        observer: Observer,
    ) -> None:
        """`config` is the one in force; `serves` says whether any runner is ours to serve."""
        self._registry = registry
        self._config = config
        self._serves = serves
        self._observer = observer
        self._logged: Mapping[str, object] = {}
        self._blocked: Mapping[str, Obstacle] = {}
        self._standstills = 0

    async def run(self) -> None:
        """For ever; a shutdown cancels it."""
        while True:
            with waiting_to_be_woken():
                await self._registry.changed.wait()
            await sleep(SETTLING)
            self._registry.changed.clear()
            try:
                self._log_changes()
                self._observer.changed()
            except Exception:
                # numbers in the log are no reason to end the service
                log.exception("statistics_error")

    def _log_changes(self) -> None:
        load, waiting = self._registry.load, self._registry.waiting
        obstacles = {runner: load.obstacle(runner) for runner in waiting}
        blocked = {runner: obstacle for runner, obstacle in obstacles.items() if obstacle}
        standstill = bool(blocked) and len(blocked) == len(obstacles) and not load.reservations
        self._log_standstill(blocked if standstill else {})
        figures = numbers(load, can_take_job=not standstill and self._serves())
        if self._config().log_statistics and figures != self._logged:
            log.info("statistics", **figures)
            self._logged = figures

    def _log_standstill(self, blocked: Mapping[str, Obstacle]) -> None:
        if blocked and not self._blocked:
            self._standstills += 1
        bounds = {runner: obstacle.bound for runner, obstacle in blocked.items()}
        if blocked and bounds != {runner: obstacle.bound for runner, obstacle in self._blocked.items()}:
            log.info("acquisition_blocked", standstills=self._standstills, **self._reasons(blocked))
        self._blocked = blocked

    def _reasons(self, blocked: Mapping[str, Obstacle]) -> Mapping[str, object]:
        """One reason, or one for each runner where they differ."""
        names = self._config().names
        texts = {names.get(runner, runner): obstacle.text for runner, obstacle in blocked.items()}
        different = set(texts.values())
        return {"reason": different.pop()} if len(different) == 1 else {"reasons": texts}


def numbers(load: Load, *, can_take_job: bool) -> Mapping[str, object]:
    """Under the names that heptapod-paas-runner 1.1.1 gives them (core-features.md H059)."""
    held = load.without_requests
    figures: dict[str, object] = {
        "can_take_job": can_take_job,
        "current_concurrent_jobs": held.jobs,
        "max_concurrent_jobs": load.limits.concurrent,
        "jobs_in_provisioning": held.preparing,
        "max_jobs_in_provisioning": load.limits.provisioning,
    }
    if held.quota is not None:
        figures |= {
            "weight_quota": round(held.quota, 2),
            "current_weight": round(held.weight, 2),
            "weight_headroom": round(held.quota - held.weight, 2),
        }
    return figures
