"""Which of the acquired jobs has room for its host under the weight quota, and which waits.

A coordinator cannot be asked for light jobs only, so a runner takes what comes, and a job that is too heavy
just now waits. It has the first claim on what becomes free. A job that was acquired later may pass it only if
all that has passed and the waiting one fit into the quota together. So a waiting job needs only the end of
what was acquired before it, and less room is idle than a waiting job needs. All that follows from records.
"""

import enum
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import attrs

from paas_runner.job.tracked import TrackedJob

MOST_WAITING = 2
"""Jobs of one runner at once: the first has the claim, the second may be light enough to pass it."""

ROUNDING = 1e-9  # sums of weights are sums of floats


class Room(enum.Enum):
    """What a job finds."""

    THERE = "there"
    LATER = "later"
    NEVER = "never"


class Short(enum.Enum):
    """What there is too little of."""

    QUOTA = "quota"
    SHARE = "share"


@attrs.frozen(kw_only=True)
class Waiting:
    """A job without room: its host weighs `weight`, and `taken` of `bound` is taken."""

    job: TrackedJob
    weight: float
    room: Room
    short: Short
    taken: float
    bound: float

    @property
    def why(self) -> str:
        """For the operator."""
        whole = "the quota" if self.short is Short.QUOTA else "its runner's share"
        if self.room is Room.NEVER:
            return f"its host weighs {self.weight:.1f}, and {whole} is no more than {self.bound:.1f}"
        return (
            f"its host weighs {self.weight:.1f}, and {self.taken:.1f} of {whole} of {self.bound:.1f} is taken"
        )


@attrs.frozen(kw_only=True)
class Promise:
    """The requests of one runner that are in flight; each may bring a job that weighs up to `heaviest`."""

    requests: int
    heaviest: float

    def weight(self, waiting: int) -> float:
        """What must be kept free for them: as many jobs as may still begin to wait need nothing."""
        return self.heaviest * max(0, self.requests - max(0, MOST_WAITING - waiting))


class Distribution:
    """How the quota is used when every job that has room takes it."""

    def __init__(
        self,
        *,
        quota: float,
        allowances: Mapping[str, float],
        held: Mapping[str, float],
        recent: Iterable[tuple[TrackedJob, float]],
        promises: Mapping[str, Promise],
        standby: float = 0.0,
    ) -> None:
        """`held` is what the hosts of each runner weigh, and `allowances` what they may; `standby` what the
        hosts weigh that no job has.

        `recent` are all jobs since the first that has no host yet, with the weights of their hosts, in the
        order of their acquisition.
        """
        self._quota = quota
        self._allowances = allowances
        self._promises = promises
        self._standby = standby
        self._of_runner = defaultdict(float, held)
        self._waiting: list[Waiting] = []
        self._count: dict[str, int] = defaultdict(int)
        self._passing: dict[str, int] = defaultdict(int)
        self._promised = {runner: promise.weight(0) for runner, promise in promises.items()}
        recent = list(recent)
        self._granted = [each for each in recent if not each[0].needs_room]
        for job, weight in recent:
            if not job.needs_room:
                continue
            if obstacle := self._obstacle(job, weight):
                self._waits(obstacle)
            else:
                self._granted.append((job, weight))
                self._of_runner[job.key.runner] += weight
                self._passing[job.key.runner] += bool(self._waiting)

    @property
    def waiting(self) -> Sequence[Waiting]:
        """Those without room, in the order of their acquisition."""
        return self._waiting

    @property
    def taken(self) -> float:
        """By jobs that have room, for requests in flight, and by hosts on standby."""
        return sum(self._of_runner.values()) + sum(self._promised.values()) + self._standby

    def taken_by(self, runner: str) -> float:
        """The same, of one runner alone."""
        return self._of_runner[runner] + self._promised.get(runner, 0.0)

    def may_wait(self, runner: str) -> bool:
        """Whether one more job of the runner may come to wait: then it asks without room for it.

        A job that has passed a waiting one, and has no host yet, may have to wait itself: what becomes free
        before it is asked for goes to the older one first.
        """
        promise = self._promises.get(runner)
        requests = promise.requests if promise else 0
        return self._count[runner] + self._passing[runner] + requests < MOST_WAITING

    def needed_for_one_more(self, runner: str, heaviest: float) -> float:
        """What must be kept free beside all that is taken if the runner asks for one more job.

        Requests in flight may have been promised heavier hosts than a new one, from an older catalogue, and
        whichever of them brings its job last finds no place to wait.
        """
        before = self._promises.get(runner, Promise(requests=0, heaviest=0.0))
        promise = Promise(requests=before.requests + 1, heaviest=max(before.heaviest, heaviest))
        return promise.weight(self._count[runner]) - self._promised.get(runner, 0.0)

    def _obstacle(self, job: TrackedJob, weight: float) -> Waiting | None:
        runner = job.key.runner
        allowed = self._allowances.get(runner, self._quota)
        if not fits(weight, allowed):
            short = Short.QUOTA if fits(self._quota, allowed) else Short.SHARE
            return Waiting(job=job, weight=weight, room=Room.NEVER, short=short, taken=allowed, bound=allowed)
        own = [each for each in self._waiting if each.job.key.runner == runner]
        taken = max([self.taken_by(runner), *(self._claimed(each, runner) for each in own)])
        if not fits(self._quota, allowed) and not fits(taken + weight, allowed):
            return Waiting(
                job=job, weight=weight, room=Room.LATER, short=Short.SHARE, taken=taken, bound=allowed
            )
        all_of_them = [each for each in self._waiting if each.short is Short.QUOTA]
        taken = max([self.taken, *map(self._claimed, all_of_them)])
        if not fits(taken + weight, self._quota):
            return Waiting(
                job=job, weight=weight, room=Room.LATER, short=Short.QUOTA, taken=taken, bound=self._quota
            )
        return None

    def _claimed(self, waiting: Waiting, of_runner: str | None = None) -> float:
        """What a waiting job, and all that has passed it, come to weigh together."""
        if waiting.room is Room.NEVER:
            return 0.0
        passed = sum(
            weight
            for each, weight in self._granted
            if order(each) > order(waiting.job) and of_runner in (None, each.key.runner)
        )
        return waiting.weight + passed

    def _waits(self, waiting: Waiting) -> None:
        self._waiting.append(waiting)
        runner = waiting.job.key.runner
        self._count[runner] += 1
        if promise := self._promises.get(runner):
            self._promised[runner] = promise.weight(self._count[runner])


def order(job: TrackedJob) -> tuple[datetime, str, int]:
    """By which jobs are served; values of Python's own, since they are compared very often."""
    return job.acquired_at, job.key.runner, job.key.job_id


def fits(weight: float, bound: float) -> bool:
    """Whether the weight is within the bound, but for the rounding of sums."""
    return weight <= bound * (1 + ROUNDING)
