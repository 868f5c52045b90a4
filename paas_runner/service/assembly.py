"""From a configuration to what the dispatcher serves: at the start, and again at each reload.

Nothing outside is touched yet, so that a configuration that cannot be served is refused as a whole. All ways
in which the service touches the world come in here as `Edges`: the real ones, or a simulation's.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from paas_runner.addresses import coordinator_api
from paas_runner.config import Config, Runner
from paas_runner.control import Control, no_control
from paas_runner.coordinator.audit import GitLabAuditor
from paas_runner.coordinator.gitlab import GitLabCoordinator
from paas_runner.database_url import StorePlace
from paas_runner.dispatch.counters import Counters
from paas_runner.dispatch.pace import AT_ONCE_USUALLY, Rhythm
from paas_runner.dispatch.served import ActiveRunner, ServedConfig
from paas_runner.errors import Exit, RunnerError
from paas_runner.executor.contract import Executor, ExecutorKind, HostTrace, RunnerSection
from paas_runner.executor.optional import hosts_at_once
from paas_runner.http import Connect, Exchanges
from paas_runner.job.limits import Limits
from paas_runner.job.tracked import TrackedJob
from paas_runner.loop.timing import seconds_awake_or_not
from paas_runner.service.site import Listen, listen
from paas_runner.service.systemd import ServiceManager
from paas_runner.setting_types import Fraction
from paas_runner.store import Store


class StartError(RunnerError):
    """The configuration is well-formed, but the service cannot be built from it on this machine."""

    exit_code = Exit.CONFIG


def _no_file() -> Config:
    raise StartError("this service was started without a file that could be read again")


@attrs.frozen(kw_only=True)
class Edges:
    """All ways in which the service touches the world."""

    connect: Connect
    open_store: Callable[[StorePlace], Awaitable[Store]]
    executors: Mapping[str, Callable[[], ExecutorKind]]
    rng: random.Random = attrs.field(factory=random.Random)
    """Jitter alone comes of it, no secret."""
    started_at: datetime | None = None
    """What the clock says at the start; the present time unless a simulation decides."""
    elapsed: Callable[[], float] = seconds_awake_or_not
    """Counts seconds for leases, those in which the machine sleeps, too."""
    exchanges: Exchanges = attrs.field(factory=Exchanges)
    """All that is told of the calls that are made by `connect`."""
    control: Control = no_control
    """Where commands may ask the running service."""
    manager: ServiceManager = ServiceManager()
    """What supervises the service, and wants to know its state."""
    listen: Listen = listen
    """How the site comes to `listen_address`."""
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
    trace_of: Callable[[TrackedJob], HostTrace | None] = lambda _: None

    def served(self, config: Config, *, present: Mapping[str, ActiveRunner]) -> ServedConfig:
        """All that is served; of `present` those that the configuration leaves as they are.

        Raises `RunnerError` when something cannot be served on this machine.
        """
        runners = {
            runner.short_token: self._active(config, runner, present.get(runner.short_token))
            for runner in config.runners
        }
        return ServedConfig(
            runners=runners,
            limits=_with_few_hosts(config.limits, runners),
            sweep_every=config.paas_orphan_sweep_interval,
            looks_a_minute=config.paas_max_looks_per_minute,
            log_statistics=config.paas_log_statistics,
        )

    def _active(self, config: Config, runner: Runner, present: ActiveRunner | None) -> ActiveRunner:
        basis = _basis(config, runner)
        if present and present.basis == basis:
            return present
        helper_name = config.helper_names[runner.short_token]
        executor = built_executor(runner, self.edges, self.installation, helper_name=helper_name)
        return ActiveRunner(
            key=runner.short_token,
            name=runner.title,
            coordinator_url=coordinator_api(runner.url),
            coordinator=_coordinator(runner, self.edges, self.system_id),
            executor=executor,
            policy=attrs.evolve(
                config.policy_of(runner),
                ready_every=executor.ready_every,
                ready_within=executor.ready_within,
            ),
            rhythm=_rhythm(config, runner),
            auditor=auditor_of(runner, self.edges.connect, self.system_id),
            audit_every=runner.paas_acquisition_audit.every_seconds,
            repoll_immediately=config.paas_repoll_same_runner_immediately,
            counters=self.counters,
            trace_of=self.trace_of,
            basis=basis,
        )


def _with_few_hosts(limits: Limits, runners: Mapping[str, ActiveRunner]) -> Limits:
    """No more jobs of a section than its executor has hosts: they would wait here instead of elsewhere."""
    per_runner = dict(limits.per_runner)
    for key, runner in runners.items():
        if most := hosts_at_once(runner.executor):
            per_runner[key] = min(per_runner.get(key) or most, most)
    return attrs.evolve(limits, per_runner=per_runner)


def _rhythm(config: Config, runner: Runner) -> Rhythm:
    return Rhythm(
        shortest_pause=config.shortest_check_interval,
        longest_pause=config.longest_check_interval,
        at_once=requests_at_once(runner),
        refusals_tolerated=runner.unhealthy_requests_limit,
        longest_backoff=runner.longest_backoff,
    )


def requests_at_once(runner: Runner) -> int:
    """For a job, at most."""
    return runner.request_concurrency or AT_ONCE_USUALLY


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
        config.helper_names[runner.short_token],
    )


def _stamp(path: Path | None) -> Any:
    """Distinguishes a file from the one that took its place; one that is gone is refused where it is used."""
    if path is None or not path.exists():
        return None
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def built_executor(runner: Runner, edges: Edges, installation: str, *, helper_name: str = "") -> Executor:
    """The executor of one section; raises `RunnerError` when it cannot be served on this machine."""
    section = RunnerSection(
        name=runner.name,
        url=runner.url,
        short_token=runner.short_token,
        forwarded=runner.forwarded,
        installation=installation,
        tls=runner.tls,
        helper_name=helper_name or runner.short_token,
    )
    return edges.executors[runner.executor]().build(runner.settings, section, edges.connect)


def auditor_of(runner: Runner, connect: Connect, this_system: str) -> GitLabAuditor | None:
    """What reads the coordinator's list of jobs; None without a token for that."""
    audit = runner.paas_acquisition_audit
    if audit.token is None:
        return None
    return GitLabAuditor(
        runner.url,
        runner_token=runner.token,
        token=audit.token,
        cancel_token=audit.cancel_token,
        system_id=this_system,
        connect=connect,
        tls=runner.tls,
    )


def _coordinator(runner: Runner, edges: Edges, this_system: str) -> GitLabCoordinator:
    try:
        return GitLabCoordinator(
            runner.url,
            token=runner.token,
            system_id=this_system,
            connect=edges.connect,
            tls=runner.tls,
            requests_at_once=requests_at_once(runner),
        )
    except OSError as error:
        raise StartError(f"runner {runner.name!r}: its tls-… files cannot be used: {error}") from error
