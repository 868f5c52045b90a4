"""From a configuration to what the dispatcher serves: at the start, and again at each reload.

Nothing outside is touched yet, so that a configuration that cannot be served is refused as a whole.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from paas_runner.config import Config, Runner
from paas_runner.control import Control, nobody_asks
from paas_runner.coordinator.gitlab import GitLabCoordinator
from paas_runner.dispatch.counters import Counters
from paas_runner.dispatch.served import ActiveRunner, Settings
from paas_runner.errors import RunnerError
from paas_runner.executor.contract import Executor, ExecutorKind, RunnerSection
from paas_runner.http import Connect, Tls
from paas_runner.job.capacity import Limits, QuotaRule
from paas_runner.job.decision import Policy
from paas_runner.service.systemd import ServiceManager
from paas_runner.setting_types import Fraction
from paas_runner.store import Store

SHORTEST_HOST_INTERVAL = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=1)
"""After an outage jobs do not wait for longer than this to be taken."""


class StartError(RunnerError):
    """The configuration is well-formed, but the service cannot be built from it on this machine."""


def _no_file() -> Config:
    raise StartError("this service was started without a file that could be read again")


@attrs.frozen(kw_only=True)
class Edges:
    """All ways in which the service touches the world."""

    connect: Connect
    open_store: Callable[[Path], Awaitable[Store]]
    executors: Mapping[str, Callable[[], ExecutorKind]]
    rng: random.Random
    started_at: datetime | None = None
    """What the clock says at the start; the present time unless a simulation decides."""
    control: Control = nobody_asks
    """Where others may ask the running service."""
    manager: ServiceManager = ServiceManager()
    """Who is told how the service is."""
    reread: Callable[[], Config] = _no_file
    """Reads the configuration once more; raises `RunnerError` when it is wrong."""
    adopt: Callable[[Config], None] = lambda _: None
    """Makes the process's own settings, those of its log, follow a configuration that is now in force."""


@attrs.frozen(kw_only=True)
class Assembly:
    """What stays the same at every reload."""

    edges: Edges
    system_id: str
    installation: str
    counters: Counters

    def settings(self, config: Config, *, present: Mapping[str, ActiveRunner]) -> Settings:
        """All that is served; of `present` whatever the configuration leaves as it is.

        Raises `RunnerError` when something cannot be served on this machine.
        """
        return Settings(
            served={
                runner.short_token: self._served(config, runner, present.get(runner.short_token))
                for runner in config.runners
            },
            limits=limits_of(config),
            sweep_every=config.paas_orphan_sweep_interval,
            log_statistics=config.paas_log_statistics,
        )

    def _served(self, config: Config, runner: Runner, present: ActiveRunner | None) -> ActiveRunner:
        basis = _basis(config, runner)
        if present and present.basis == basis:
            return present
        executor = built_executor(runner, self.edges, self.installation)
        return ActiveRunner(
            key=runner.short_token,
            name=runner.name or runner.short_token,
            coordinator=_coordinator(runner, self.edges, self.system_id),
            executor=executor,
            policy=_policy(config, runner, executor),
            check_interval=config.check_interval,
            refusals_tolerated=runner.unhealthy_requests_limit,
            longest_pause=min(runner.unhealthy_interval, LONGEST_PAUSE),
            repoll_immediately=config.paas_repoll_same_runner_immediately,
            counters=self.counters,
            basis=basis,
        )


def _basis(config: Config, runner: Runner) -> object:
    """All that an `ActiveRunner` is made of: the section but for its bounds, certificates, what is common."""
    certificates = [_stamp(path) for path in (runner.tls_ca_file, runner.tls_cert_file, runner.tls_key_file)]
    bare = attrs.evolve(runner, limit=0, quota_max_fraction=Fraction(1.0))
    return (
        bare,
        certificates,
        config.check_interval,
        config.job_progress_poll_interval,
        config.paas_finished_jobs_keep_resources,
        config.paas_decommission_launch_failures,
        config.paas_repoll_same_runner_immediately,
    )


def _stamp(path: Path | None) -> Any:
    """Tells a file from the one that took its place; a file that is gone is refused by whoever needs it."""
    if path is None or not path.exists():
        return None
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def built_executor(runner: Runner, edges: Edges, installation: str) -> Executor:
    """The executor of one section; raises `RunnerError` when it cannot be served on this machine."""
    section = RunnerSection(
        name=runner.name,
        url=runner.url,
        short_token=runner.short_token,
        forwarded=runner.forwarded,
        installation=installation,
        tls=tls_of(runner),
    )
    return edges.executors[runner.executor]().build(runner.settings, section, edges.connect)


def _coordinator(runner: Runner, edges: Edges, this_system: str) -> GitLabCoordinator:
    try:
        return GitLabCoordinator(
            runner.url,
            token=runner.token,
            system_id=this_system,
            connect=edges.connect,
            tls=tls_of(runner),
        )
    except OSError as error:
        raise StartError(f"runner {runner.name!r}: its tls-… files cannot be used: {error}") from error


def tls_of(runner: Runner) -> Tls:
    """The certificates that a section names for its coordinator."""
    return Tls(ca_file=runner.tls_ca_file, cert_file=runner.tls_cert_file, key_file=runner.tls_key_file)


def _policy(config: Config, runner: Runner, executor: Executor) -> Policy:
    return Policy(
        status_every=config.job_progress_poll_interval,
        ready_every=executor.ready_every,
        ready_within=executor.ready_within,
        life_every=runner.paas_job_trace_watch.poll_step,
        life_within=runner.paas_job_trace_watch.timeout_seconds,
        # with every second look at the job: one request a minute and job, usually
        host_every=max(1.5 * config.job_progress_poll_interval, SHORTEST_HOST_INTERVAL),
        keep_finished=config.paas_finished_jobs_keep_resources,
        keep_launch_failures=not config.paas_decommission_launch_failures,
    )


def limits_of(config: Config) -> Limits:
    """The operator's bounds, as the dispatcher wants them."""
    return Limits(
        concurrent=config.concurrent,
        provisioning=config.paas_max_concurrent_provisioning,
        per_runner={runner.short_token: runner.limit for runner in config.runners},
        quota=_quota(config),
        launch_distance=timedelta(seconds=config.paas_min_seconds_between_launches),
    )


def _quota(config: Config) -> QuotaRule | None:
    given = config.quota_computation
    if given is None:
        return None
    [reference] = [runner for runner in config.runners if runner.name == given.reference_runner]
    return QuotaRule(
        reference_runner=reference.short_token,
        reference_size=given.reference_flavor,
        reference_jobs=given.reference_jobs_count,
        shares={
            runner.short_token: min(given.allowed_fraction_per_runner, runner.quota_max_fraction)
            for runner in config.runners
        },
    )


def store_path(state: Path) -> Path:
    """The store stands beside the state file."""
    return state.with_suffix(".db")
