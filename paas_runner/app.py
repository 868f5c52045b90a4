"""The service, put together: what exists, who owns it, and in which order it comes to rest.

`serve` is the whole service on whatever edges it is given: the real ones here, a simulation's in the tests.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import attrs
import structlog

from paas_runner import __version__
from paas_runner.config import Config, Runner
from paas_runner.coordinator import Coordinator
from paas_runner.coordinator.system_id import system_id
from paas_runner.dispatch import Dispatcher, Served
from paas_runner.dispatch.ledger import Ledger
from paas_runner.dispatch.timing import loop_clock
from paas_runner.errors import RunnerError
from paas_runner.executor import Executor, ExecutorKind, RunnerSection
from paas_runner.http import Connect, Tls
from paas_runner.job.capacity import Limits, QuotaRule
from paas_runner.job.decision import Policy
from paas_runner.job.lifecycle import resumed
from paas_runner.job.tracked import TrackedJob
from paas_runner.observe.costs import Costs
from paas_runner.observe.counters import Counters
from paas_runner.store import Store, state_file

log = structlog.stdlib.get_logger(__name__)

SHORTEST_HOST_INTERVAL = timedelta(seconds=10)


class StartError(RunnerError):
    """The configuration is well-formed, but the service cannot be built from it on this machine."""


@attrs.frozen(kw_only=True)
class Edges:
    """All ways in which the service touches the world."""

    connect: Connect
    open_store: Callable[[Path], Awaitable[Store]]
    executors: Mapping[str, Callable[[], ExecutorKind]]
    rng: random.Random
    started_at: datetime | None = None
    """What the clock says at the start; the present time unless a simulation decides."""


async def serve(config: Config, edges: Edges, stopping: asyncio.Event) -> None:
    """Run until `stopping`, then come to rest, leaving all tracked jobs in the state file.

    Raises `StartError`, `StoreError` or `StateFileError` when it cannot even begin, or not end, as it should.
    """
    async with AsyncExitStack() as owned:
        store = await edges.open_store(store_path(config.state_file))
        owned.push_async_callback(store.aclose)
        clock = loop_clock(edges.started_at)
        await state_file.take_in(config.state_file, store, config.peer_names, clock())
        counters, costs = Counters(), Costs()
        served = await _served(config, edges, installation=await store.installation(), counters=counters)
        for runner in served:
            owned.push_async_callback(runner.aclose)
        jobs = [resumed(job, clock()) for job in await store.jobs()]
        dispatcher = Dispatcher(
            served,
            jobs=jobs,
            limits=_limits(config),
            store=store,
            ledger=Ledger(store, costs, keep_days=config.paas_costs_keep_days),
            clock=clock,
            rng=edges.rng,
            stopping=stopping,
            sweep_every=config.paas_orphan_sweep_interval,
            log_statistics=config.paas_log_statistics,
        )
        _announce(config, jobs)
        await _until_rest(dispatcher, stopping, config)
        state_file.write(config.state_file, dispatcher.jobs, config.peer_names)
        costs.tell()
        log.info("stopped", jobs=len(dispatcher.jobs), state_file=str(config.state_file), **counters.numbers)


def store_path(state: Path) -> Path:
    """The store stands beside the state file."""
    return state.with_suffix(".db")


async def _until_rest(dispatcher: Dispatcher, stopping: asyncio.Event, config: Config) -> None:
    """Calls in flight are finished, but not for ever: what is cut off then has its intent recorded."""
    try:
        async with asyncio.timeout(None) as patience:
            limiting = asyncio.create_task(_limit(patience, dispatcher, stopping, config))
            try:
                await dispatcher.run()
            finally:
                limiting.cancel()
    except TimeoutError:
        log.warning("calls in flight were cut off: the next start looks at what became of them")


async def _limit(
    patience: asyncio.Timeout, dispatcher: Dispatcher, stopping: asyncio.Event, config: Config
) -> None:
    await stopping.wait()
    log.info("stopping: no new jobs; calls in flight are finished", jobs=len(dispatcher.jobs))
    patience.reschedule(asyncio.get_running_loop().time() + config.shutdown_timeout.total_seconds())


async def _served(config: Config, edges: Edges, *, installation: str, counters: Counters) -> Sequence[Served]:
    this_system = system_id((config.path.parent, config.state_file.parent), edges.rng)
    return [
        Served(
            key=runner.short_token,
            name=runner.name or runner.short_token,
            coordinator=_coordinator(runner, edges, this_system),
            executor=(executor := built_executor(runner, edges, installation)),
            policy=_policy(config, runner, executor),
            check_interval=config.check_interval,
            refusals_tolerated=runner.unhealthy_requests_limit,
            longest_pause=runner.unhealthy_interval,
            repoll_immediately=config.paas_repoll_same_runner_immediately,
            counters=counters,
        )
        for runner in config.runners
    ]


def _coordinator(runner: Runner, edges: Edges, this_system: str) -> Coordinator:
    try:
        return Coordinator(
            runner.url,
            token=runner.token,
            system_id=this_system,
            connect=edges.connect,
            tls=_tls(runner),
        )
    except OSError as error:
        raise StartError(f"runner {runner.name!r}: its tls-… files cannot be used: {error}") from error


def _tls(runner: Runner) -> Tls:
    return Tls(ca_file=runner.tls_ca_file, cert_file=runner.tls_cert_file, key_file=runner.tls_key_file)


def built_executor(runner: Runner, edges: Edges, installation: str) -> Executor:
    """The executor of one section; raises `RunnerError` when it cannot be served on this machine."""
    section = RunnerSection(
        name=runner.name,
        url=runner.url,
        short_token=runner.short_token,
        forwarded=runner.forwarded,
        installation=installation,
        tls=_tls(runner),
    )
    return edges.executors[runner.executor]().build(runner.settings, section, edges.connect)


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


def _limits(config: Config) -> Limits:
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


def _announce(config: Config, jobs: Sequence[TrackedJob]) -> None:
    for warning in config.warnings:
        log.warning("configuration", note=warning)
    log.info(
        "started",
        version=__version__,
        config=str(config.path),
        runners=[runner.name or runner.short_token for runner in config.runners],
        concurrent=config.concurrent,
        jobs_recovered=len(jobs),
        **{f"jobs_recovered_{phase}": count for phase, count in Counter(job.phase for job in jobs).items()},
    )
