"""Asking one coordinator for jobs, for as long as there is room.

`PollCycles` counts the requests that brought none, for `--poll-cycles`: with it the service ends by itself.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

import attrs
import structlog

from paas_runner.coordinator.protocol import JobAnswer
from paas_runner.dispatch.intake import Intake
from paas_runner.dispatch.pace import Pace
from paas_runner.dispatch.registry import Backoff, Registry
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.dispatch.view import Observer, served_runner
from paas_runner.errors import Rejected, RemoteError
from paas_runner.job.capacity import Reservation
from paas_runner.loop.heartbeat import beat
from paas_runner.loop.timing import Clock, sleep_until_stopped

log = structlog.stdlib.get_logger(__name__)

SURELY_HELD_AFTER = timedelta(seconds=15)
"""The time to connect, and then several times what the slowest answer takes that may bring a job (§2.4)."""

SURELY_ARRIVED_AFTER = timedelta(seconds=1)
"""By then a request is where it will be held, or passed on."""


@attrs.frozen(kw_only=True, eq=False)
class _InFlight:
    seen: str
    """The last update that it told: the coordinator may hold it."""

    asked_at: datetime
    answering: asyncio.Future[JobAnswer]


class Acquisition:
    """One runner's requests; a coordinator that hangs or refuses delays no other runner."""

    def __init__(
        self,
        runner: ActiveRunner,
        *,
        registry: Registry,
        intake: Intake,
        clock: Clock,
        rng: random.Random,
        ending: asyncio.Event,
        stopping: asyncio.Event,
        observer: Observer,
    ) -> None:
        """With `ending` set it asks no more, nor with `stopping`, which an observer may set."""
        self._runner = runner
        self._registry = registry
        self._intake = intake
        self._clock = clock
        self._ending = ending
        self._stopping = stopping
        self._observer = observer
        self._pace = Pace(runner.rhythm, clock=clock, rng=rng)
        self._in_flight: set[_InFlight] = set()
        self._begun = 0
        self._sent_away = False
        self._news = asyncio.Event()
        self._last_update = ""
        self._holds = False

    async def run(self) -> None:
        """Ask until sent away; what is in flight then is waited for as long as it may bring a job."""
        served_runner.set(self._runner.key)  # the task is this runner's alone
        async with asyncio.TaskGroup() as requests:
            waking = requests.create_task(self._wake_at_the_end())
            while not self._over:
                self._news.clear()
                if self._begun >= self._pace.at_once:
                    beat()
                    await self._news.wait()
                elif (left := (self._pace.next_at - self._clock()).total_seconds()) > 0:
                    await sleep_until_stopped(left, self._news)
                else:
                    await self._begin(requests)
            waking.cancel()
            if self._in_flight:
                await self._let_go(requests)

    @property
    def _over(self) -> bool:
        ending = self._ending.is_set() or self._stopping.is_set()
        return self._sent_away or ending or self._observer.enough(self._runner.key)

    async def _wake_at_the_end(self) -> None:
        await self._ending.wait()
        self._news.set()

    # --- one request ---------------------------------------------------------------------------------------

    async def _begin(self, requests: asyncio.TaskGroup) -> None:
        """One request more, once it is this runner's turn."""
        first = self._pace.brought_one and self._runner.repoll_immediately
        turn = self._registry.turn(self._runner.key, first=first)
        decided = asyncio.Event()
        requests.create_task(self._request(turn, decided))
        await decided.wait()

    async def _request(
        self, turn: AbstractAsyncContextManager[Reservation | None], decided: asyncio.Event
    ) -> None:
        self._begun += 1
        try:
            if self._over:  # since it was begun: nobody would send it away any more
                return
            async with turn as reservation:
                decided.set()
                if reservation is None:
                    self._sent_away = True
                elif self._may_ask:
                    await self._turn(reservation)
        finally:
            self._begun -= 1
            decided.set()
            self._news.set()

    @property
    def _may_ask(self) -> bool:
        """Whether the turn is still wanted: it may have been long in coming."""
        in_time = self._begun <= self._pace.at_once and self._pace.next_at <= self._clock()
        return in_time and not self._over

    async def _turn(self, reservation: Reservation) -> None:
        seen = self._last_update if self._registry.has_spare_room else ""
        answer = await self._asked(reservation, seen=seen)
        if answer is None or answer.payload is None:
            self._observer.no_job(self._runner.key)

    async def _asked(self, reservation: Reservation, *, seen: str) -> JobAnswer | None:
        """An answer that was taken in: a job is on the disk then. None: it is of no use, or has not come."""
        asked_at = self._clock()
        try:
            answer = await self._answer(seen, asked_at)
            return answer and await self._taken_in(answer, reservation, asked_at)
        except RemoteError as error:
            self._failed(error, asked_at)
        except Exception as error:
            # what nobody foresaw ends this turn: other runners, and the jobs, go on
            log.exception("acquisition_error", runner=self._runner.name)
            self._runner.counters.count_unforeseen()
            self._useless(f"unexpected error ({type(error).__name__})", asked_at)
        return None

    async def _answer(self, seen: str, asked_at: datetime) -> JobAnswer | None:
        """None for a request that was cut off."""
        answering = asyncio.ensure_future(self._runner.coordinator.request_job(seen=seen))
        flight = _InFlight(seen=seen, asked_at=asked_at, answering=answering)
        self._in_flight.add(flight)
        try:
            await asyncio.wait([answering])
            return None if answering.cancelled() else answering.result()
        finally:
            self._in_flight.discard(flight)
            answering.cancel()

    async def _taken_in(
        self, answer: JobAnswer, reservation: Reservation, asked_at: datetime
    ) -> JobAnswer | None:
        self._last_update = answer.last_update or self._last_update
        self._holds = answer.holds
        if answer.payload is None:
            self._pace.in_vain(asked_at, released=answer.released)
        elif useless := await self._intake.take(answer.payload, reservation, asked_at):
            self._useless(useless, asked_at)
            return None
        else:
            self._pace.granted(asked_at)
        if self._pace.backoff_until is None:
            self._registry.clear_backoff(self._runner.key)
        return answer

    def _failed(self, error: RemoteError, asked_at: datetime) -> None:
        """409, 429, 5xx and silence pass; a refused token needs the operator (spec §2.3, §2.5)."""
        if self._ending.is_set():  # with a token that may have been exchanged for another
            return
        if (delay := self._pace.failed(error, asked_at)) is None:
            return
        facts = {
            "runner": self._runner.name,
            "reason": str(error),
            "next_try_seconds": round(delay.total_seconds()),
        }
        if isinstance(error, Rejected) and error.status == 403:
            log.error("runner_refused", **facts)
        else:
            log.warning("job_request_failed", **facts)
        self._show_backoff(str(error))

    def _useless(self, why: str, asked_at: datetime) -> None:
        if self._pace.useless(asked_at) is not None:
            self._show_backoff(why)

    def _show_backoff(self, why: str) -> None:
        if until := self._pace.backoff_until:
            self._registry.set_backoff(self._runner.key, Backoff(until=until, why=why))

    # --- at the end ----------------------------------------------------------------------------------------

    async def _let_go(self, requests: asyncio.TaskGroup) -> None:
        """Cut off the requests that can bring no job; all others are waited for.

        A job is handed out by the coordinator's application alone. The application, as the proxy before it,
        first compares what a request tells with the runner's last update: as long as they are the same there
        is nothing. The value is drawn at random at each change, so it never becomes an earlier one again.
        Hence one more request, which is not held: when its answer has the value that those in flight tell, it
        was the same all the time, and none of them has been given a job, wherever it is. A change in the
        moment after that ends a held request with a 204. Without such an answer a request is cut off only
        when it is older than anything that the application still works on (§2.4).
        """
        beat()
        await self._all_answered_within(SURELY_ARRIVED_AFTER)
        if not (self._holds and any(each.seen for each in self._in_flight)):
            return
        await asyncio.wait([requests.create_task(self._look())], timeout=1)
        if self._in_flight:
            seconds = round(SURELY_HELD_AFTER.total_seconds())
            log.info("request_awaited", runner=self._runner.name, at_most_seconds=seconds)
        await self._all_answered_within(SURELY_HELD_AFTER)
        for each in self._in_flight:
            each.answering.cancel()

    async def _all_answered_within(self, span: timedelta) -> None:
        """Wait for everything in flight, until the youngest of it is that old."""
        while self._in_flight:
            until = max(each.asked_at for each in self._in_flight) + span
            if (left := (until - self._clock()).total_seconds()) <= 0:
                return
            answering = [each.answering for each in self._in_flight]
            await asyncio.wait(answering, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)  # those who asked take in what has come

    async def _look(self) -> None:
        """Ask what the coordinator's last update is, with a request that may bring a job as any other."""
        with self._registry.place(self._runner.key) as reservation:
            answer = await self._asked(reservation, seen="") if reservation else None
        if answer is None or answer.payload is not None:
            return
        for each in self._in_flight:  # one that tells nothing is with the application
            if each.seen and each.seen == answer.last_update:
                each.answering.cancel()


class PollCycles(Observer):
    """Counts for one life of the service; runners that a reload adds or removes change nothing.

    A runner that has asked so often waits for the others, so that each asks equally often (H027).
    """

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

    def enough(self, runner: str) -> bool:
        return self._most is not None and self._in_vain[runner] >= self._most

    def _end_if_over(self) -> None:
        if all(self.enough(runner) for runner in self._runners):
            self._stopping.set()
