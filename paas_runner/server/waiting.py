"""Waiting for the coordinator's news inside an event loop, which the coordinator itself knows nothing of."""

import asyncio
from collections.abc import Callable, Iterable
from typing import NoReturn

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.runners import Notifier, Queue


async def until(notifier: Notifier, met: Callable[[], bool]) -> None:
    """Return once `met` says so; it is asked now, and each time that the notifier notifies."""
    while not met():
        notified = asyncio.Event()
        unsubscribe = notifier.subscribe(notified.set)
        try:
            await notified.wait()
        finally:
            unsubscribe()


async def ticked(queue: Queue, *, since: str) -> None:
    """Return at the queue's next tick, or at once where its value is another than `since` by now."""
    await until(queue.ticks, lambda: queue.value != since)


async def settled(coordinator: Coordinator, job_ids: Iterable[int]) -> None:
    """Return when each of these jobs, or the last retry of it, has ended."""
    wanted = tuple(job_ids)
    await until(coordinator.changes, lambda: all(coordinator.latest(job_id).ended for job_id in wanted))


async def keep_sweeping(coordinator: Coordinator) -> NoReturn:
    """Fail the jobs of silent runners, again and again until canceled."""
    while True:
        await asyncio.sleep(coordinator.options.sweep_every.total_seconds())
        coordinator.sweep()


def watch_reservation(coordinator: Coordinator, job: Job) -> None:
    """Have a job that is only reserved dropped when its time is over, also if no request comes by then."""
    if job.reserved:
        seconds = coordinator.options.acknowledgement_seconds + 1
        asyncio.get_running_loop().call_later(seconds, coordinator.expire)
