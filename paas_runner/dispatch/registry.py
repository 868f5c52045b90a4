"""Who is tracked right now, and whose turn it is to ask for another job."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import attrs

from paas_runner.job.capacity import Flavors, Limits, Load, Reservation, next_to_ask, planned_start
from paas_runner.job.tracked import JobKey, TrackedJob
from paas_runner.loop.heartbeat import away_until_called, here


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
        """Begin with what the store had."""
        self._limits = limits
        self._jobs: dict[JobKey, TrackedJob] = {}
        self._asking: list[Reservation] = []
        self._waiting: list[_Waiting] = []
        self._sizes: dict[str, Flavors] = {}
        self._absences: dict[str, Backoff] = {}
        self._open = True
        self._latest_start: datetime | None = None
        self.changed = asyncio.Event()
        """Set at each change; whoever waits for it clears it."""

        for job in jobs:
            self.put(job)

    @property
    def jobs(self) -> Sequence[TrackedJob]:
        """All records."""
        return list(self._jobs.values())

    @property
    def load(self) -> Load:
        """All that capacity depends on, as it is now."""
        return Load(limits=self._limits, jobs=self.jobs, asking=list(self._asking), sizes=self._sizes)

    @property
    def absences(self) -> Mapping[str, Backoff]:
        """The runners that did not get through to their coordinators when they last tried."""
        return dict(self._absences)

    def excuse(self, runner: str, absence: Backoff | None) -> None:
        """The runner's last request failed, or did not."""
        self._absences.pop(runner, None)
        if absence:
            self._absences[runner] = absence

    @property
    def waiting(self) -> Sequence[str]:
        """The runners that would ask for a job, the longest waiting first."""
        return [entry.runner for entry in self._waiting]

    def planned_start(self, now: datetime) -> datetime | None:
        """When a job acquired now may be provisioned; None is at once."""
        return planned_start(self._latest_start, now, self._limits.launch_distance)

    def put(self, job: TrackedJob) -> None:
        """The record's new state."""
        start = job.start_due or job.acquired_at
        self._latest_start = max(self._latest_start or start, start)
        self._jobs[job.key] = job
        self._give_turns()

    def refresh(self, job: TrackedJob) -> None:
        """The record's new state, where nothing has changed that takes or makes room."""
        self._jobs[job.key] = job

    def remove(self, key: JobKey) -> None:
        """The job is gone."""
        self._jobs.pop(key, None)
        self._give_turns()

    def offer(self, runner: str, sizes: Flavors) -> None:
        """What hosts a runner can have from now on."""
        self._sizes[runner] = sizes
        self._give_turns()

    def limit(self, limits: Limits) -> None:
        """Other bounds from now on; what exceeds them runs to its end."""
        self._limits = limits
        self._give_turns()

    def __contains__(self, key: JobKey) -> bool:
        return key in self._jobs

    @property
    def has_spare_room(self) -> bool:
        """Whether a request may be kept waiting: each runner that is not asking could still begin to."""
        others = set(self._limits.per_runner) - self._limits.paused - {entry.runner for entry in self._asking}
        return self.load.room_besides(others)

    @property
    def owes_a_turn(self) -> bool:
        """Whether somebody waits who could ask: never, unless a change was overlooked."""
        return next_to_ask(self.waiting, self.load) is not None

    def close(self) -> None:
        """No more turns: those who wait are sent away."""
        self._open = False
        self._send_away(self._waiting)

    def dismiss(self, runner: str) -> None:
        """Send those away who wait for a turn of this runner; later ones may wait again."""
        self._send_away([entry for entry in self._waiting if entry.runner == runner])

    def _send_away(self, entries: Sequence[_Waiting]) -> None:
        for entry in entries:
            if not entry.turn.done():
                entry.turn.set_result(None)
        self._waiting = [entry for entry in self._waiting if entry not in entries]

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
        away_until_called()
        try:
            asking = await waiting.turn
        except asyncio.CancelledError:
            self._withdraw(waiting)
            raise
        here()
        if asking is None:
            yield None
            return
        try:
            yield asking
        finally:
            self._asking.remove(asking)
            self._give_turns()

    def _withdraw(self, waiting: _Waiting) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        elif not waiting.turn.cancelled() and (given := waiting.turn.result()):  # right at the cancellation
            self._asking.remove(given)
        self._give_turns()

    def _give_turns(self) -> None:
        self.changed.set()
        self._waiting = [entry for entry in self._waiting if not entry.turn.done()]
        while self._waiting and (runner := next_to_ask(self.waiting, load := self.load)):
            entry = next(entry for entry in self._waiting if entry.runner == runner)
            self._waiting.remove(entry)
            asking = Reservation(runner, load.heaviest(runner) if self._limits.quota else math.inf)
            self._asking.append(asking)
            entry.turn.set_result(asking)
