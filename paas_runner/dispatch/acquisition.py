"""Asking one coordinator for jobs, for as long as there is room.

`PollCycles` counts the requests that brought none, for `--poll-cycles`: with it the service ends by itself.
"""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from paas_runner.dispatch.records import Records
from paas_runner.dispatch.registry import Backoff, Registry
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.dispatch.view import Observer
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.executor.contract import JobRefusedError
from paas_runner.executor.optional import tenant_of, weight_of
from paas_runner.job.capacity import Reservation
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.lifecycle import acquired, acquired_undecodable
from paas_runner.job.payload import Payload, PayloadError, decode
from paas_runner.job.tracked import TrackedJob
from paas_runner.loop.timing import Clock, backoff, sleep_until_stopped

log = structlog.stdlib.get_logger(__name__)

_HOST_UNDECIDED = Failure(
    reason=FailureReason.SYSTEM,
    text="The runner could not make out which host this job needs. The operators of this runner can help.",
)


class Acquisition:
    """One runner's loop; a coordinator that hangs or refuses delays no other runner."""

    def __init__(
        self,
        runner: ActiveRunner,
        *,
        registry: Registry,
        records: Records,
        start: Callable[[TrackedJob], None],
        clock: Clock,
        rng: random.Random,
        ending: asyncio.Event,
        stopping: asyncio.Event,
        observer: Observer,
    ) -> None:
        """`start` gets each job that was acquired and recorded.

        With `ending` set it asks no more, nor with `stopping`, which an observer may set.
        """
        self._runner = runner
        self._registry = registry
        self._records = records
        self._start = start
        self._clock = clock
        self._rng = rng
        self._ending = ending
        self._stopping = stopping
        self._observer = observer
        self._failures = 0
        self._refusals = 0

    async def run(self) -> None:
        """Ask until sent away; a request in flight is waited for, it may bring a job."""
        got_one = False
        while not self._ending.is_set() and not self._stopping.is_set():
            first = got_one and self._runner.repoll_immediately
            async with self._registry.turn(self._runner.key, first=first) as reservation:
                if reservation is None:
                    return
                got_one, delay = await self._turn(reservation)
            if not got_one:
                self._observer.no_job(self._runner.key)
            await self._wait(delay)

    async def _wait(self, delay: timedelta) -> None:
        until = self._clock() + delay
        while not self._ending.is_set() and (left := (until - self._clock()).total_seconds()) > 0:
            await sleep_until_stopped(left, self._ending)

    async def _turn(self, reservation: Reservation) -> tuple[bool, timedelta]:
        try:
            return await self._ask(reservation)
        except Exception as error:
            # what nobody foresaw ends this turn: other runners, and the jobs, go on
            log.exception("acquisition_error", runner=self._runner.name)
            self._runner.counters.count_unforeseen()
            return False, self._paused(f"unexpected error ({type(error).__name__})")

    async def _ask(self, reservation: Reservation) -> tuple[bool, timedelta]:
        """One request, and what it brought taken in: whether a job, and how long to wait before the next."""
        asked_at = self._clock()
        try:
            body = await self._requested()
        except RemoteError as error:
            delay = self._after_failure(error)
            self._show_backoff(delay, str(error))
            return False, delay
        self._refusals = 0
        if body is not None and (useless := await self._take(body, reservation)):
            return False, self._paused(useless)
        self._failures = 0
        self._registry.clear_backoff(self._runner.key)
        if body is not None:
            return True, timedelta()
        held = self._clock() - asked_at
        return False, max(self._runner.check_interval - held, timedelta())

    async def _requested(self) -> bytes | None:
        """The answer; when the runner is sent away, a request that can bring no job is not waited for."""
        coordinator = self._runner.coordinator
        asked_at = self._clock()
        asking = asyncio.ensure_future(coordinator.request_job(hold=self._registry.has_spare_room))
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait([asking, ending], return_when=asyncio.FIRST_COMPLETED)
            if not asking.done() and (within := coordinator.let_go_after) is not None:
                left = (asked_at + within - self._clock()).total_seconds()
                if left > 1:
                    log.info("request_awaited", runner=self._runner.name, at_most_seconds=round(left))
                await asyncio.wait([asking], timeout=max(left, 0.0))
                if not asking.done():
                    return None
            return await asking
        finally:
            ending.cancel()
            asking.cancel()

    async def _take(self, body: bytes, reservation: Reservation) -> str:
        """From here to the durable record there is nothing but the record.

        Why it is no job to begin with; empty for one that has begun.
        """
        now = self._clock()
        try:
            job = self._first_record(decode(body), reservation.most_weight, now)
        except PayloadError as error:
            log.error("job_unreadable", reason=error.why, job=error.job_id)
            if error.job_id is None or error.token is None:
                return f"the coordinator handed out what is no job: {error.why}"
            job = acquired_undecodable(self._runner.key, error.job_id, error.token, now)
        if job.key in self._registry:
            log.warning("job_handed_out_again", job=job.key.job_id)
            return f"the coordinator handed out job {job.key.job_id} again, which is tracked already"
        job, recorded = await self._recorded(job)
        log.info(
            "job_acquired",
            runner=self._runner.name,
            job=job.key.job_id,
            phase=str(job.phase),
            name=job.payload.job_name if job.payload else "",
            recorded=recorded,
        )
        if recorded:  # else a stop has come: nothing is done, or said, about a job that is on no disk
            self._start(job)
        return ""

    async def _recorded(self, job: TrackedJob) -> tuple[TrackedJob, bool]:
        """The record, and whether it is on the disk; what cannot be recorded is recorded to be failed."""
        try:
            return job, await self._records.save_intent(job)
        except Exception:
            log.exception("job_reading_error", job=job.key.job_id)
            self._runner.counters.count_unforeseen()
            bare = acquired_undecodable(self._runner.key, job.key.job_id, job.token, job.acquired_at)
        try:
            return bare, await self._records.save_intent(bare)
        except Exception:
            self._registry.remove(bare.key)
            raise

    def _first_record(self, payload: Payload, most_weight: float, now: datetime) -> TrackedJob:
        """With all that the executor makes of the payload; a job that it refuses is recorded to be failed."""
        executor, key = self._runner.executor, self._runner.key
        try:
            tenant = tenant_of(executor, payload)
            weight = None if math.isinf(most_weight) else weight_of(executor, payload, most=most_weight)
        except JobRefusedError as refused:
            return acquired(key, payload, now, failure=refused.failure.masked(payload.variables))
        except Exception:
            # the job is ours: whatever an executor does wrong, its author must hear of it
            log.exception("job_reading_error", job=payload.job_id)
            self._runner.counters.count_unforeseen()
            return acquired(key, payload, now, failure=_HOST_UNDECIDED)
        start_due = self._registry.planned_start(now)
        return acquired(key, payload, now, tenant=tenant, expected_weight=weight, start_due=start_due)

    def _after_failure(self, error: RemoteError) -> timedelta:
        """409, 429, 5xx and silence pass; a refused token needs the operator (spec §2.3, §2.5)."""
        if self._ending.is_set():  # with a token that may have been exchanged for another
            return timedelta()
        interval = self._runner.check_interval
        match error:
            case Rejected(status=403):
                self._refusals += 1
                excess = self._refusals - self._runner.refusals_tolerated
                delay = interval if excess <= 0 else self._growing(excess + 4)
                log.error(
                    "runner_refused",
                    runner=self._runner.name,
                    reason=str(error),
                    next_try_seconds=round(delay.total_seconds()),
                )
                return delay
            case Transient(retry_after=retry_after):
                delay = max(interval, backoff(self._failures, self._rng, retry_after=retry_after))
            case _:
                delay = max(interval, self._growing(self._failures))
        self._failures += 1
        log.warning(
            "job_request_failed",
            runner=self._runner.name,
            reason=str(error),
            next_try_seconds=round(delay.total_seconds()),
        )
        return delay

    def _paused(self, why: str) -> timedelta:
        """How long to wait after an answer that says nothing: longer each time, as after a refusal."""
        delay = max(self._runner.check_interval, self._growing(self._failures))
        self._failures += 1
        self._show_backoff(delay, why)
        return delay

    def _show_backoff(self, delay: timedelta, why: str) -> None:
        self._registry.set_backoff(self._runner.key, Backoff(until=self._clock() + delay, why=why))

    def _growing(self, attempts: int) -> timedelta:
        return backoff(attempts, self._rng, longest=self._runner.longest_backoff)


class PollCycles(Observer):
    """Counts for one life of the service; runners that a reload adds or removes change nothing."""

    def __init__(self, most: int | None, *, runners: Sequence[str], stopping: asyncio.Event) -> None:
        """Set `stopping` after `most` cycles; None is never. `runners` are their short tokens."""
        self._most = most
        self._runners = runners
        self._stopping = stopping
        self._in_vain: Counter[str] = Counter()
        self._end_if_over()

    def no_job(self, runner: str) -> None:
        self._in_vain[runner] += 1
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._most is not None and min(self._in_vain[runner] for runner in self._runners) >= self._most:
            self._stopping.set()
