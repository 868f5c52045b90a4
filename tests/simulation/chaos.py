"""What can go wrong with one call, drawn from a seed; and what has to be kept to judge it afterwards."""

import enum
import random
from collections import Counter

import attrs


class CrashError(BaseException):
    """The process is gone: nothing of it may act any more."""


class Fault(enum.Enum):
    """What happens to a call on its way there and back."""

    NONE = enum.auto()
    SLOW = enum.auto()  # the request and the answer take their time
    LATE = enum.auto()  # the request arrives after its sender has given up
    DROPPED = enum.auto()  # the request never arrives
    UNANSWERED = enum.auto()  # performed, the answer is lost
    RESET = enum.auto()  # as UNANSWERED, at once
    TWICE = enum.auto()  # performed twice, as by a proxy that repeats
    HANGS = enum.auto()  # never performed, never answered
    CONFLICT = enum.auto()  # 409 without being performed
    LIMITED = enum.auto()  # 429, with or without Retry-After
    BROKEN = enum.auto()  # 500, 502, 503
    GARBAGE = enum.auto()  # performed, the body is nonsense
    TRUNCATED = enum.auto()  # performed, half of the body arrives


@attrs.frozen(kw_only=True)
class Mood:
    """How bad the world is in one run; drawn once per seed."""

    fault: float  # probability per call
    crash: float  # probability per point: before and after each call and each store write
    refuse: float  # probability that a store write fails
    restarts: float  # orderly restarts per simulated hour
    outages: float  # of coordinator or cloud, per simulated hour
    vandalism: float  # hosts deleted or lost behind our back, per simulated hour
    cancels: float  # share of jobs that are cancelled

    @classmethod
    def drawn(cls, rng: random.Random) -> "Mood":
        """From a fair day to the end of the world."""
        return cls(
            fault=rng.choice([0.0, 0.02, 0.1, 0.3]),
            crash=rng.choice([0.005, 0.02, 0.05, 0.1]),
            refuse=rng.choice([0.0, 0.0, 0.02, 0.2]),
            restarts=rng.choice([0, 0, 4]),
            outages=rng.choice([0, 1, 4]),
            vandalism=rng.choice([0, 0, 2]),
            cancels=rng.choice([0.0, 0.2, 0.5]),
        )


CALM = Mood(fault=0, crash=0, refuse=0, restarts=0, outages=0, vandalism=0, cancels=0)


class Chaos:
    """The dice, and a count of what they did."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.mood = Mood.drawn(self.rng)
        self.counts: Counter[str] = Counter()

    def calm_down(self) -> None:
        self.mood = CALM

    def crashes(self) -> bool:
        return self._happens("crash", self.mood.crash)

    def refuses(self) -> bool:
        return self._happens("store refusal", self.mood.refuse)

    def fault(self) -> Fault:
        if self.rng.random() >= self.mood.fault:
            return Fault.NONE
        drawn = self.rng.choice(list(Fault)[1:])
        self.counts[drawn.name.lower()] += 1
        return drawn

    def _happens(self, what: str, probability: float) -> bool:
        happens = self.rng.random() < probability
        self.counts[what] += happens
        return happens
