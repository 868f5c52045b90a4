"""Whose a runner section is, where several processes share one store: values alone, no rule and no clock.

A process is known by its *holder* id, another one for each life. It holds sections by leases that its store
gives for `LEASE_SECONDS` at a time. Each change of hands has a higher *epoch*, which every write of a record
carries: whoever wakes up with an old one writes nothing any more.

All ages are seconds by the store's clock, at the moment in which the store answered: no clock of another
machine is compared with it.
"""

import enum
import math
from collections.abc import Callable, Mapping

import attrs

LEASE_SECONDS = 15.0
"""For so long a lease is good from the moment in which the store renews it."""

RENEWAL_SECONDS = 5.0
"""How often it is renewed."""

SHORTEST_TENURE_SECONDS = 60.0
"""A section is not handed over for balance before its holder has had it for so long."""


class Mode(enum.StrEnum):
    """How the processes of one store divide the sections."""

    STANDBY = "standby"  # one has all, the others wait
    SPREAD = "spread"  # evenly


@attrs.frozen(kw_only=True)
class Allotment:
    """How much of the bounds of all processes together one of them may use."""

    jobs: float = 0
    """Of `concurrent`."""

    provisioning: float = 0
    """Of `paas_max_concurrent_provisioning`."""

    weight: float = 0.0
    """Of the weight quota."""

    def __add__(self, other: "Allotment") -> "Allotment":
        return self._with(other, lambda ours, theirs: ours + theirs)

    def without(self, other: "Allotment") -> "Allotment":
        """What is left of it, never less than nothing."""
        return self._with(other, lambda ours, theirs: ours if ours == math.inf else max(0, ours - theirs))

    def at_least(self, other: "Allotment") -> "Allotment":
        return self._with(other, max)

    def at_most(self, other: "Allotment") -> "Allotment":
        return self._with(other, min)

    def _with(self, other: "Allotment", combine: Callable[[float, float], float]) -> "Allotment":
        return Allotment(
            jobs=combine(self.jobs, other.jobs),
            provisioning=combine(self.provisioning, other.provisioning),
            weight=combine(self.weight, other.weight),
        )


UNBOUNDED = Allotment(jobs=math.inf, provisioning=math.inf, weight=math.inf)


@attrs.frozen(kw_only=True)
class Lease:
    """One section's."""

    runner: str
    """The section's key."""

    holder: str = ""
    """Empty once it was released, and before it was ever taken."""

    epoch: int = 0
    seconds_left: float = 0.0
    """Until anybody may take the section; not positive when that is now."""

    held_seconds: float = 0.0
    """How long its holder has had it."""

    arrivals: int = 0
    """How many jobs were ever recorded for the section by one who did not hold it."""

    @property
    def is_free(self) -> bool:
        return not self.holder or self.seconds_left <= 0


@attrs.frozen(kw_only=True)
class Member:
    """A process that takes part: what it says of itself at each renewal."""

    holder: str
    name: str
    """Its machine, for people."""

    version: str = ""
    mode: Mode = Mode.STANDBY
    serves: frozenset[str] = frozenset()
    """The keys of the sections in its configuration: it can hold these alone."""

    allotment: Allotment = Allotment()
    seconds_left: float = 0.0
    """Until it counts as gone."""

    present_seconds: float = 0.0
    """How long it has been there."""

    @property
    def is_alive(self) -> bool:
        return self.seconds_left > 0


@attrs.frozen(kw_only=True)
class Tending:
    """What a process asks for at a renewal, all of it or, where the store is not reached, nothing."""

    name: str
    version: str
    mode: Mode
    serves: frozenset[str]
    take: frozenset[str] = frozenset()
    """Sections that it wants; it gets those that are free at that moment."""

    release: frozenset[str] = frozenset()
    """Sections that it holds, and for which it does nothing any more."""

    total: Allotment = UNBOUNDED
    """The bounds of all processes together, as this one knows them."""

    wanted: Allotment = Allotment()
    """Gets so much, or what the others leave of `total`, but `least` in any case."""

    least: Allotment = Allotment()
    """What its jobs and its requests in flight take already."""


@attrs.frozen(kw_only=True)
class Tenancy:
    """All leases and members, as the store had them right after a renewal."""

    leases: Mapping[str, Lease] = attrs.field(factory=dict)
    members: Mapping[str, Member] = attrs.field(factory=dict)
    """By holder id; those that are gone are there as long as they are named in a lease."""

    def held_by(self, holder: str) -> Mapping[str, Lease]:
        """The leases of one holder that are still good."""
        return {
            runner: lease
            for runner, lease in self.leases.items()
            if lease.holder == holder and not lease.is_free
        }


class Word(enum.StrEnum):
    """What one process tells all others of the same store."""

    CHANGED = "changed"  # a lease became free, a member came or went: look at once
    ARRIVED = "arrived"  # a job was recorded for a section by one who does not hold it
    RUNNERS = "runners"  # what is known of the runners has changed: pauses
    RELOAD = "reload"  # read your configuration again
    DRAIN = "drain"  # ask for no more jobs, end after the last
    ANEW = "anew"  # nobody says it: words may have been missed, and records may be those of before
