"""The jobs that are tracked right now, and whose turn it is to ask for another one.

One value in memory, which every loop reads and writes between two awaits. Each change gives turns at once to
the runners that may ask now, so that none waits for what has become free.
"""

import asyncio
import itertools
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime

import attrs

from paas_runner.dispatch.standing import Place, Standing
from paas_runner.job.capacity import Load, Reservation, next_to_ask
from paas_runner.job.limits import Flavors, Limits
from paas_runner.job.room import Room, order
from paas_runner.job.shares import Share, share_of
from paas_runner.job.tracked import JobKey, TrackedJob
from paas_runner.logs import redactor
from paas_runner.loop.heartbeat import waiting_to_be_woken


@attrs.frozen
class _Waiting:
    runner: str
    turn: "asyncio.Future[Reservation | None]"


@attrs.frozen(kw_only=True)
class Backoff:
    """A runner's coordinator could not be asked for jobs: why, and until when it is left alone."""

    until: datetime
    why: str


class Registry:
    """The present records; the only owner of that fact in memory."""

    def __init__(self, limits: Limits, jobs: Iterable[TrackedJob] = ()) -> None:
        self._limits = limits
        self._jobs: dict[JobKey, TrackedJob] = {}
        self._shares: Counter[Share] = Counter()
        self._needing: dict[JobKey, TrackedJob] = {}
        self._awaiting_room: dict[JobKey, asyncio.Event] = {}
        self.standing = Standing()
        """The hosts on standby."""

        self._reservations: list[Reservation] = []
        self._fulfilled: list[Reservation] = []
        self._waiting: list[_Waiting] = []
        self._flavors: dict[str, Flavors] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._refused: dict[str, str] = {}
        self._suspended = ""
        self.answered: set[str] = set()
        """The runners whose coordinators have answered since the start, though maybe not the last time."""
        self._open = True
        self._latest_start: datetime | None = None
        self.changed = asyncio.Event()
        """Set at each change; the one loop that waits for it clears it."""

        for job in sorted(jobs, key=lambda each: each.acquired_at):
            self.put(job)

    @property
    def jobs(self) -> Sequence[TrackedJob]:
        """All records."""
        return list(self._jobs.values())

    def __contains__(self, key: JobKey) -> bool:
        return key in self._jobs

    @property
    def load(self) -> Load:
        """All that capacity depends on, as it is now."""
        return Load(
            limits=self._limits,
            shares=dict(self._shares),
            recent=self._recent,
            reservations=list(self._reservations),
            flavors=self._flavors,
            refused=dict(self._refused),
            suspended=self._suspended,
        )

    @property
    def backoffs(self) -> Mapping[str, Backoff]:
        """The runners that did not get through to their coordinators when they last tried."""
        return dict(self._backoffs)

    @property
    def waiting(self) -> Sequence[str]:
        """The runners that would ask for a job, the longest waiting first."""
        return [entry.runner for entry in self._waiting]

    def planned_start(self, now: datetime) -> datetime | None:
        """When a job acquired now may be provisioned; None is at once."""
        return self._limits.planned_start(self._latest_start, now)

    @property
    def has_spare_room(self) -> bool:
        """Whether a request may be kept waiting: each runner that is not asking could still begin to."""
        in_flight = {reservation.runner for reservation in self._reservations}
        others = set(self._limits.per_runner) - self._limits.paused - in_flight
        load = self.load
        return not load.waiting and load.room_besides(others)

    @property
    def owes_a_turn(self) -> bool:
        """Whether a runner waits that could ask: never, unless a change was overlooked."""
        return next_to_ask(self.waiting, self.load) is not None

    # --- room ----------------------------------------------------------------------------------------------

    def room(self, job: TrackedJob) -> Room:
        """What a job finds for its host."""
        return self.load.room(job) if self._limits.quota and job.needs_room else Room.THERE

    def may_reuse(self, job: TrackedJob, weight: float) -> bool:
        """Whether a job may take a host on standby that weighs so much."""
        return not self._limits.quota or self.load.may_reuse(job, weight)

    @contextmanager
    def waiting_for_room(self, job: TrackedJob) -> Iterator[asyncio.Event]:
        """Inside, the event is set as soon as the job need not wait for room any longer."""
        self._awaiting_room[job.key] = event = asyncio.Event()
        try:
            yield event
        finally:
            del self._awaiting_room[job.key]

    @property
    def _recent(self) -> Sequence[TrackedJob]:
        """All jobs since the first that has no host yet; the youngest are the last that came."""
        if not self._needing:
            return ()
        recent = sorted(self._needing.values(), key=order)
        first = order(recent[0])
        since = itertools.takewhile(lambda job: order(job) >= first, reversed(self._jobs.values()))
        return sorted([*recent, *(job for job in since if not job.needs_room)], key=order)

    # --- what changes --------------------------------------------------------------------------------------

    def put(self, job: TrackedJob) -> None:
        """The present record; turns are given where it takes or makes room."""
        before = self._jobs.get(job.key)
        if before is None:
            start = job.start_due or job.acquired_at
            self._latest_start = max(self._latest_start or start, start)
            redactor.track(job.token)
        self._jobs[job.key] = job
        self.standing.note(job)
        if job.needs_room:
            self._needing[job.key] = job
        else:
            self._needing.pop(job.key, None)
        self._recount(before, job)

    def remove(self, key: JobKey) -> None:
        if job := self._jobs.pop(key, None):
            self.standing.forget(key)
            redactor.untrack(job.token)
            self._needing.pop(key, None)
            self._recount(job, None)

    def discard(self, job: TrackedJob) -> None:
        """Track it no longer, unless another record has taken the place of this one."""
        if self._jobs.get(job.key) is job:
            self.remove(job.key)

    def _recount(self, before: TrackedJob | None, after: TrackedJob | None) -> None:
        old, new = before and share_of(before), after and share_of(after)
        if old == new:
            return
        if old and not (left := self._shares[old] - 1):
            del self._shares[old]
        elif old:
            self._shares[old] = left
        if new:
            self._shares[new] += 1
        self._give_turns()

    def offer(self, runner: str, flavors: Flavors) -> None:
        """What hosts a runner can have from now on."""
        self._flavors[runner] = flavors
        self._give_turns()

    def limit(self, limits: Limits) -> None:
        """Other bounds from now on; what exceeds them runs to its end."""
        self._limits = limits
        self._give_turns()

    def refuse(self, runner: str, reason: str) -> None:
        """The runner's provider refuses its credentials: no job is asked for until `accept`."""
        self._refused[runner] = reason
        self._give_turns()

    def accept(self, runner: str) -> None:
        self._refused.pop(runner, None)
        self._give_turns()

    def suspend(self, why: str) -> None:
        """No runner asks for a job until `resume`."""
        self._suspended = why
        self._give_turns()

    def resume(self) -> None:
        self.suspend("")

    def set_backoff(self, runner: str, backoff: Backoff) -> None:
        """The runner's last request failed."""
        self._backoffs[runner] = backoff

    def clear_backoff(self, runner: str) -> None:
        self.answered.add(runner)
        self._backoffs.pop(runner, None)

    # --- turns ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self, runner: str, *, first: bool = False) -> AsyncIterator[Reservation | None]:
        """Wait until the runner may ask for a job; inside, a place and a weight are kept for that job.

        Longest waiting first, or `first` of all; a runner with an obstacle of its own lets the others pass.
        None: sent away, do not ask.
        """
        if not self._open:
            yield None
            return
        waiting = _Waiting(runner, asyncio.get_running_loop().create_future())
        self._waiting.insert(0 if first else len(self._waiting), waiting)
        self._give_turns()
        try:
            with waiting_to_be_woken():
                reservation = await waiting.turn
        except asyncio.CancelledError:
            self._withdraw(waiting)
            raise
        if reservation is None:
            yield None
            return
        with self._reserved(reservation):
            yield reservation

    @contextmanager
    def place(self, runner: str) -> Iterator[Reservation | None]:
        """As a turn, but without waiting, and when no more are given, too; None where there is no room."""
        load = self.load
        if load.obstacle(runner):
            yield None
            return
        self._reservations.append(reservation := self._reservation(runner, load))
        with self._reserved(reservation):
            yield reservation

    def fulfil(self, reservation: Reservation) -> None:
        """The request has brought a job, which is put right after this and has the place then.

        Counted twice, the two would claim from other processes what neither takes.
        """
        self._reservations.remove(reservation)
        self._fulfilled.append(reservation)

    def close(self) -> None:
        """No more turns: the runners that wait are sent away."""
        self._open = False
        self._send_away(self._waiting)

    def dismiss(self, runner: str) -> None:
        """Send this runner away from waiting; it may wait again later."""
        self._send_away([entry for entry in self._waiting if entry.runner == runner])

    def _send_away(self, entries: Sequence[_Waiting]) -> None:
        for entry in entries:
            if not entry.turn.done():
                entry.turn.set_result(None)
        self._waiting = [entry for entry in self._waiting if entry not in entries]

    def _withdraw(self, waiting: _Waiting) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        elif not waiting.turn.cancelled() and (given := waiting.turn.result()):  # right at the cancellation
            self._reservations.remove(given)
        self._give_turns()

    def _give_turns(self) -> None:
        self.changed.set()
        self._tell_who_has_room()
        self._waiting = [entry for entry in self._waiting if not entry.turn.done()]
        while self._waiting and (runner := next_to_ask(self.waiting, load := self.load)):
            entry = next(entry for entry in self._waiting if entry.runner == runner)
            self._waiting.remove(entry)
            self._reservations.append(reservation := self._reservation(runner, load))
            entry.turn.set_result(reservation)

    def _tell_who_has_room(self) -> None:
        """Whoever waits looks again, too, while hosts on standby could be taken or let go."""
        load = self.load if self._awaiting_room else None
        for key, event in self._awaiting_room.items():
            job = self._jobs.get(key)
            if load and (job is None or self.standing.jobs or load.room(job) is not Room.LATER):
                event.set()

    def open_place(self, job: TrackedJob) -> Place | None:
        """Others may look at the host on standby from now on, and whoever waits for room does at once."""
        place = self.standing.opened(job)
        self._tell_who_has_room()
        return place

    def make_room(self, job: TrackedJob) -> None:
        """Let hosts on standby go, as far as that makes room for the job that waits for it."""
        if lacking := self.load.lacking(job):
            self.standing.let_go(lacking, job.key.runner)

    def _reservation(self, runner: str, load: Load) -> Reservation:
        return Reservation(runner, load.heaviest(runner) if self._limits.quota else math.inf)

    @contextmanager
    def _reserved(self, reservation: Reservation) -> Iterator[None]:
        try:
            yield
        finally:
            among = self._fulfilled if reservation in self._fulfilled else self._reservations
            among.remove(reservation)
            self._give_turns()
