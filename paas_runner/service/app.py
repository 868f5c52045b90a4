"""The service, put together: what exists, who owns it, and in which order it stops.

`serve` is the whole service on whatever edges it is given: the real ones here, a simulation's in the tests.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import structlog

from paas_runner import __version__
from paas_runner.config import Config
from paas_runner.control import control_path
from paas_runner.coordinator.system_id import system_id
from paas_runner.dispatch import Dispatcher
from paas_runner.dispatch.acquisition import PollCycles
from paas_runner.dispatch.counters import Costs, Counters
from paas_runner.dispatch.records import Ledger
from paas_runner.job.lease import Word
from paas_runner.job.tracked import Phase, TrackedJob
from paas_runner.loop.timing import loop_clock
from paas_runner.service.assembly import Assembly, Edges
from paas_runner.service.drain import Certificate, Drain
from paas_runner.service.installation import settled
from paas_runner.service.membership import membership
from paas_runner.service.operations import Operations, handlers
from paas_runner.service.reload import LiveConfig, paused, recognised, remember
from paas_runner.service.sharing import Sharing
from paas_runner.service.status import LiveStatus, TokenExpiry
from paas_runner.service.traces import tracing, untraced
from paas_runner.service.watchdog import Supervision
from paas_runner.service.watching import Watchers
from paas_runner.store import state_file
from paas_runner.store.left_behind import refuse_left_behind

log = structlog.stdlib.get_logger(__name__)


async def serve(
    config: Config,
    edges: Edges,
    stopping: asyncio.Event,
    *,
    poll_cycles: int | None = None,
    on_start: Callable[[Operations], None] = lambda _: None,
) -> Certificate | None:
    """Run until `stopping`, then end in an orderly way, leaving all tracked jobs in the state file.

    With `poll_cycles` it stops by itself once each runner has asked so many times in vain. `on_start` gets
    what an operator may ask of the service as soon as that is possible.

    Returns what was left if the service has been drained. Raises `StartError`, `StoreError` or
    `StateFileError` when it cannot even begin, or not end, as it should.
    """
    async with AsyncExitStack() as owned:
        store = await edges.open_store(config.store)
        owned.push_async_callback(store.aclose)
        clock = loop_clock(edges.started_at)
        config, present = await recognised(config, store)
        known = await remember(present, store)
        mark = await settled(config, store, clock())
        await state_file.take_in(config.state_file, store, config.peer_names, clock())
        if config.state_store:
            await refuse_left_behind(config.store_path, store, config.state_file)

        counters, costs = Counters(), Costs()
        member = membership(store, stopping, edges)
        jobs = await member.jobs(clock)
        traces = await owned.enter_async_context(tracing(config, edges, mark=mark, clock=clock, jobs=jobs))
        assembly = Assembly(
            edges=edges,
            system_id=await member.system_id(
                system_id((config.path.parent, config.state_file.parent), edges.rng)
            ),
            installation=mark,
            counters=counters,
            trace_of=traces.host_trace if traces else untraced,
        )

        dispatcher = Dispatcher(
            assembly.served(config, present={}).pausing(paused(known)),
            jobs=jobs,
            store=store,
            ledger=Ledger(store, costs, keep_days=config.paas_costs_keep_days),
            clock=clock,
            rng=edges.rng,
            stopping=member.ending,
            tenure=member.tenure,
            held=member.held,
        )
        owned.push_async_callback(dispatcher.aclose)

        member.join(dispatcher, name=config.member, mode=lambda: live.config.mode, clock=clock)
        dispatcher.observe(
            PollCycles(
                poll_cycles,
                runners=[runner.short_token for runner in config.runners],
                stopping=stopping,
            )
        )
        if traces:
            dispatcher.observe(traces)

        sharing = Sharing(
            store.leases,
            standing=lambda: member.standing,
            view=lambda: dispatcher.view,
            config=lambda: live.config,
            clock=clock,
        )
        supervision = Supervision(
            edges.manager, dispatcher, stopping=stopping, besides=member.hung, sharing=sharing.report
        )
        dispatcher.observe(supervision)

        expiry = TokenExpiry(lambda: live.config, clock)
        status = LiveStatus(
            dispatcher=dispatcher,
            clock=clock,
            since=clock(),
            state_file=config.state_file,
            counters=counters,
            notices=expiry.notices,
            sharing=sharing.report,
        )

        drain = Drain(
            dispatcher, store=store, clock=clock, stopping=stopping, jobs_elsewhere=member.jobs_elsewhere
        )
        watchers = Watchers(
            dispatcher,
            assembly=assembly,
            status=status,
            drain=drain,
            store=store,
            costs=costs,
            config=lambda: live.config,
            clock=clock,
            on_renewal=member.on_renewal,
            hung=supervision.hung,
        )

        live: LiveConfig = LiveConfig(
            config,
            assembly=assembly,
            dispatcher=dispatcher,
            store=store,
            stopping=stopping,
            followers=[watchers, member],
        )
        await owned.enter_async_context(watchers.watching(config))
        member.heed({Word.RUNNERS: live.follow_pauses, Word.RELOAD: live.reload, Word.DRAIN: drain.follow})

        operations = Operations(status=status, config=live, drain=drain, tell=member.tell)
        on_start(operations)
        await owned.enter_async_context(edges.control(control_path(config.state_file), handlers(operations)))

        _announce(config, jobs, paused(known))
        async with asyncio.TaskGroup() as tasks:
            supervising = tasks.create_task(supervision.run(), name="supervision")
            draining = tasks.create_task(drain.run(), name="drain")
            expiring = tasks.create_task(expiry.run(), name="expiry of tokens")
            counting = tasks.create_task(sharing.run(), name="jobs of other processes")
            tasks.create_task(member.run(), name="membership")
            await _run(dispatcher, stopping, live)
            for task in (draining, expiring, counting, supervising):
                task.cancel()
        left = member.left(dispatcher)
        if left is not None:
            await _write_state_file(live.config, left, mark, dispatcher)
        costs.log()
        log.info("stopped", jobs=len(left or ()), state_file=str(config.state_file), **counters.numbers)
        return drain.certificate


async def _write_state_file(
    config: Config, jobs: Sequence[TrackedJob], mark: str, dispatcher: Dispatcher
) -> None:
    """Where that fails, what is nowhere else is reported as failed; raises `StateFileError`."""
    try:
        state_file.write(config.state_file, jobs, config.peer_names, installation=mark)
    except state_file.StateFileError:
        await dispatcher.give_back()
        raise


async def _run(dispatcher: Dispatcher, stopping: asyncio.Event, live: LiveConfig) -> None:
    """Calls in flight are finished, but not for ever: what is cut off then has its intent recorded."""
    try:
        async with asyncio.timeout(None) as deadline:
            limiting = asyncio.create_task(_limit(deadline, dispatcher, stopping, live))
            try:
                await dispatcher.run()
            finally:
                limiting.cancel()
    except TimeoutError:
        log.warning("calls_cut_off")


async def _limit(
    deadline: asyncio.Timeout, dispatcher: Dispatcher, stopping: asyncio.Event, live: LiveConfig
) -> None:
    await stopping.wait()
    load = dispatcher.view.load
    log.info("stopping", jobs=load.jobs, hosts_on_standby=load.hosts_on_standby)
    allowed = live.config.shutdown_timeout.total_seconds()
    deadline.reschedule(asyncio.get_running_loop().time() + allowed)


def _announce(config: Config, jobs: Sequence[TrackedJob], paused_runners: frozenset[str]) -> None:
    for warning in config.warnings:
        log.warning("configuration_note", note=warning)
    phases = Counter(job.phase for job in jobs)
    standby = phases.pop(Phase.STANDBY, 0)
    log.info(
        "started",
        version=__version__,
        config=str(config.path),
        runners=[runner.title for runner in config.runners],
        paused=sorted(runner.title for runner in config.runners if runner.short_token in paused_runners),
        concurrent=config.concurrent,
        jobs_recovered=phases.total(),
        **{f"jobs_recovered_{phase}": count for phase, count in phases.items()},
        **({"hosts_on_standby": standby} if standby else {}),
    )
