"""Who is tracked right now, and whose turn it is to ask for another job."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import attrs

from paas_runner.job.capacity import Limits, next_to_ask, room
from paas_runner.job.tracked import JobKey, TrackedJob


@attrs.frozen
class _Waiting:
    runner: str
    turn: "asyncio.Future[bool]"


class Roster:
    """The present records; the only owner of that fact in memory."""

    def __init__(self, limits: Limits, jobs: Iterable[TrackedJob] = ()) -> None:
        """Begin with what the store had."""
        self._limits = limits
        self._jobs = {job.key: job for job in jobs}
        self._asking: list[str] = []
        self._waiting: list[_Waiting] = []
        self._open = True

    @property
    def jobs(self) -> Sequence[TrackedJob]:
        """All records."""
        return list(self._jobs.values())

    def put(self, job: TrackedJob) -> None:
        """The record's new state."""
        self._jobs[job.key] = job
        self._give_turns()

    def remove(self, key: JobKey) -> None:
        """The job is gone."""
        self._jobs.pop(key, None)
        self._give_turns()

    def __contains__(self, key: JobKey) -> bool:
        return key in self._jobs

    @property
    def has_spare_room(self) -> bool:
        """Whether a request may be kept waiting: each runner that is not asking could still begin to."""
        others = set(self._limits.per_runner).difference(self._asking)
        return room(self.jobs, self._asking, self._limits) >= len(others)

    def close(self) -> None:
        """No more turns: those who wait are sent away."""
        self._open = False
        for entry in self._waiting:
            if not entry.turn.done():
                entry.turn.set_result(False)
        self._waiting.clear()

    @asynccontextmanager
    async def turn(self, runner: str) -> AsyncIterator[bool]:
        """Wait until the runner may ask for a job; inside, a place is kept for that job.

        Longest waiting first; a runner at its own limit lets the others pass. False: closed, do not ask.
        """
        if not self._open:
            yield False
            return
        waiting = _Waiting(runner, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._give_turns()
        try:
            granted = await waiting.turn
        except asyncio.CancelledError:
            self._withdraw(waiting)
            raise
        if not granted:
            yield False
            return
        try:
            yield True
        finally:
            self._asking.remove(runner)
            self._give_turns()

    def _withdraw(self, waiting: _Waiting) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        elif (
            not waiting.turn.cancelled() and waiting.turn.result()
        ):  # given in the moment of the cancellation
            self._asking.remove(waiting.runner)
        self._give_turns()

    def _give_turns(self) -> None:
        self._waiting = [entry for entry in self._waiting if not entry.turn.done()]
        while runner := next_to_ask(
            [entry.runner for entry in self._waiting], self.jobs, self._asking, self._limits
        ):
            entry = next(entry for entry in self._waiting if entry.runner == runner)
            self._waiting.remove(entry)
            self._asking.append(runner)
            entry.turn.set_result(True)
