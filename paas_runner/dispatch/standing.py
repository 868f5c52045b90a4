"""The hosts on standby in memory: one job at a time looks at one, and each is told when it has to go.

What is kept here is known from the records but for who is looking and who was told: after a restart nobody is
looking, and whoever still needs room tells again.
"""

import asyncio
from collections.abc import Collection, Sequence

import attrs

from paas_runner.job.standing import Parting, hosts_for, hosts_to_let_go, weight_of
from paas_runner.job.tracked import JobKey, Phase, TrackedJob


@attrs.define(eq=False)
class Place:
    """One host on standby, between the loop of the job that left it and whoever may take it."""

    job: TrackedJob
    """Its record as it is now; that of a job that is gone once another has the host."""

    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    """Held by whoever does something with the host."""

    changed: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set when its loop has to look again."""

    let_go: str = ""
    """Why it has to go; empty where it may wait."""

    is_open: bool = False
    """Whether others may look at it: not before its record is on the disk, if that takes any."""

    @property
    def is_given(self) -> bool:
        """Whether another job has the host by now."""
        return self.job.phase is Phase.GONE

    @property
    def is_free(self) -> bool:
        """Whether it could be taken, or let go."""
        return self.is_open and not self.let_go and not self.lock.locked()


class Standing:
    """All places."""

    def __init__(self) -> None:
        self._places: dict[JobKey, Place] = {}
        self._all_go = ""
        self._kept: Collection[str] | None = None  # None: those of all runners, each by its own policy

    @property
    def jobs(self) -> Sequence[TrackedJob]:
        """The records of the hosts that could be taken, or let go."""
        return [place.job for place in self._places.values() if place.is_free]

    def note(self, job: TrackedJob) -> None:
        """The present record of any job."""
        if not job.on_standby:
            self.forget(job.key)
        elif job.key in self._places:
            self._places[job.key].job = job
        else:
            self._places[job.key] = Place(job)

    def forget(self, key: JobKey) -> None:
        self._places.pop(key, None)

    def opened(self, job: TrackedJob) -> Place | None:
        """The place of a host on standby, which others may look at from now on; None once it is taken."""
        if place := self._places.get(job.key):
            place.is_open = True
            place.let_go = self.why_to_go(job.key)
        return place

    def why_to_go(self, key: JobKey) -> str:
        """Why the host that a job has, or had last, is not to wait; empty where it may."""
        place = self._places.get(key)
        if why := self._all_go or (place.let_go if place else ""):
            return why
        return Parting.CONFIGURATION if self._kept is not None and key.runner not in self._kept else ""

    def places_for(
        self, runner: str, series: str, weight: float, *, of_runners: Collection[str] | None
    ) -> Sequence[Place]:
        """Where a job of the runner may find its host, best first; `of_runners`: of these alone."""
        allowed = [job for job in self.jobs if of_runners is None or job.key.runner in of_runners]
        return [self._places[job.key] for job in hosts_for(runner, series, weight, allowed)]

    def let_go(self, needed: float, runner: str) -> None:
        """So many of them go that so much weight becomes free for a job of the runner, if that is enough."""
        needed -= sum(weight_of(place.job) for place in self._places.values() if place.let_go)
        for key in hosts_to_let_go(needed, runner, self.jobs):
            self._tell(self._places[key], Parting.ROOM)

    def let_all_go(self, why: str) -> None:
        """From now on no host waits."""
        self._all_go = why
        for place in self._places.values():
            self._tell(place, why)

    def keep_those_of(self, runners: Collection[str]) -> None:
        """From now on only hosts whose last job was of these runners wait."""
        self._kept = frozenset(runners)
        for key, place in self._places.items():
            if not place.let_go and (why := self.why_to_go(key)):
                self._tell(place, why)

    def _tell(self, place: Place, why: str) -> None:
        place.let_go = why
        place.changed.set()
