"""How many looks a minute at the jobs of one coordinator and at their hosts: beyond that all become rarer.

Each look has a place on a clock of its own, which goes slower the more looks are due: behind the last look
at its job by the pause that it wanted. In the order of these places they are let through, so every pause is
stretched by the same factor, and none is for ever behind the others. What was not used is kept for a
minute, so that a start, or a burst of short jobs, is not held up.
"""

import asyncio
import enum
import heapq
import itertools

import structlog

log = structlog.stdlib.get_logger(__name__)

LOOKS_OF_EACH_JOB = 2
"""A minute: so many are allowed at least, as at the default pause between two looks."""

TOLD_AFTER_SECONDS = 10.0
_SAVED_SECONDS = 60.0
_WEIGHT_OF_ONE = 0.02  # of one look in the measured factor
_SHORTEST_PAUSE_SECONDS = 0.1
_AT_ONCE_SECONDS = 0.25  # what falls due meanwhile is let through together
_NOTABLE = 1.1
_ONE = 1 - 1e-6  # what is saved is a sum of fractions


class Rank(enum.Enum):
    """What a look is for, where not all can be made."""

    USUAL = enum.auto()
    URGENT = enum.auto()  # it frees a place for another job: a quarter of the pause is waited
    FOLLOWS = enum.auto()  # it is made right after one for which was waited; the next ones wait for it, too


class LookBudget:
    """One coordinator's; used in one event loop."""

    def __init__(self, coordinator: str, *, a_minute: int) -> None:
        self._coordinator = coordinator
        self._a_minute = a_minute
        self._jobs = 0
        self._saved = a_minute * _SAVED_SECONDS / 60
        self._saved_at = asyncio.get_running_loop().time()
        self._waiting: list[tuple[float, int, asyncio.Future[bool]]] = []
        self._numbers = itertools.count()
        self._place = 0.0
        self._stretch = 1.0
        self._timer: asyncio.TimerHandle | None = None
        self._changed_at: float | None = None
        self._told = False
        self._open = True

    @property
    def a_minute(self) -> int:
        """The looks that are allowed now."""
        return max(self._a_minute, LOOKS_OF_EACH_JOB * self._jobs)

    @property
    def stretch(self) -> float:
        """How many times longer than wanted the pauses have been lately; 1 as long as they are not."""
        return self._stretch if self._stretch > _NOTABLE else 1.0

    def allow(self, a_minute: int) -> None:
        """So many from now on."""
        self._refill()
        self._a_minute = a_minute
        if self._timer:
            self._timer.cancel()
        self._again()

    def close(self) -> None:
        """Nobody is kept waiting any more; whoever waits is sent away."""
        self._open = False
        for _, _, turn in self._waiting:
            if not turn.done():
                turn.set_result(False)
        self._waiting.clear()

    @property
    def jobs(self) -> int:
        """How many are watched."""
        return self._jobs

    def watcher(self) -> "Watcher":
        """For one job."""
        return Watcher(self)

    # --- what watchers do ----------------------------------------------------------------------------------

    def count(self, jobs: int) -> None:
        """So many more jobs are watched; what is allowed for them is there from the beginning."""
        self._refill()
        before = self.a_minute
        self._jobs += jobs
        self._saved += max(self.a_minute - before, 0) * _SAVED_SECONDS / 60

    @property
    def place(self) -> float:
        """How far the looks are that were let through."""
        return self._place

    async def turn(self, place: float) -> bool:
        """Wait until the look at this place may be made; False when it must not be made at all."""
        if not self._open:
            return False
        self._refill()
        if self._saved >= _ONE and not self._waiting:
            self._pass(place)
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (place, next(self._numbers), turn))
        self._let_through()
        return await turn

    def follow(self) -> bool:
        """Count a look that waits for nothing; whether it may be made."""
        self._refill()
        self._saved -= 1
        return self._open

    def note(self, wanted: float, took: float) -> None:
        """A look came `took` seconds after the one before, and was wanted after `wanted`."""
        if wanted >= _SHORTEST_PAUSE_SECONDS:  # else two looks at once, after a start
            self._stretch += _WEIGHT_OF_ONE * (took / wanted - self._stretch)
        self._tell()

    def _pass(self, place: float) -> None:
        self._saved -= 1
        self._place = max(self._place, place)

    def _refill(self) -> None:
        now = asyncio.get_running_loop().time()
        grown = self._saved + (now - self._saved_at) * self.a_minute / 60
        self._saved, self._saved_at = min(grown, self.a_minute * _SAVED_SECONDS / 60), now

    def _let_through(self) -> None:
        self._refill()
        while self._waiting and self._saved >= _ONE:
            place, _, turn = heapq.heappop(self._waiting)
            if not turn.done():  # its task was canceled
                self._pass(place)
                turn.set_result(True)
        if self._waiting and self._timer is None:
            seconds = max((1 - self._saved) * 60 / self.a_minute, _AT_ONCE_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._again)

    def _again(self) -> None:
        self._timer = None
        if self._open:
            self._let_through()

    def _tell(self) -> None:
        """Once when it begins and once when it ends: not for a moment."""
        now = asyncio.get_running_loop().time()
        if (self.stretch > 1) is self._told:
            self._changed_at = None
        elif self._changed_at is None:
            self._changed_at = now
        elif now - self._changed_at >= TOLD_AFTER_SECONDS:
            self._told = not self._told
            facts = {"coordinator": self._coordinator, "looks_a_minute": self.a_minute, "jobs": self._jobs}
            if self._told:
                log.warning("looks_stretched", **facts, factor=round(self._stretch, 1))
            else:
                log.info("looks_on_time", **facts)


class Watcher:
    """The looks at one job and its host, one after the other."""

    __slots__ = ("_at", "_budget", "_place")

    def __init__(self, budget: LookBudget) -> None:
        self._budget = budget
        self.begin()
        budget.count(1)

    def begin(self) -> None:
        """Something else is waited for from now on: the pause before the next look begins here."""
        self._at, self._place = asyncio.get_running_loop().time(), self._budget.place

    def close(self) -> None:
        """The job is gone, or not watched any more."""
        self._budget.count(-1)

    async def turn(self, rank: Rank = Rank.USUAL) -> bool:
        """Wait until the look that is due now may be made; False when no more are made at all."""
        loop = asyncio.get_running_loop()
        wanted = loop.time() - self._at
        if rank is Rank.FOLLOWS:
            return self._budget.follow()
        granted = await self._budget.turn(self._place + (wanted / 4 if rank is Rank.URGENT else wanted))
        if rank is Rank.USUAL:
            self._budget.note(wanted, loop.time() - self._at)
        self.begin()
        return granted
