"""What bounds the jobs of all runners together: the operator's limits, and the hosts that can be had."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

import attrs

from paas_runner.job.lease import Allotment
from paas_runner.job.room import ROUNDING, fits


@attrs.frozen(kw_only=True)
class Flavors:
    """What hosts a runner can have, as its executor last reported."""

    weights: Mapping[str, float]
    """Every flavor on offer, by name, with its weight."""

    most_weight: float = math.inf
    """Jobs get nothing heavier, whatever the quota is."""

    @property
    def granted(self) -> Mapping[str, float]:
        """The flavors that a job may get, as far as no quota forbids it."""
        return {flavor: weight for flavor, weight in self.weights.items() if fits(weight, self.most_weight)}

    def heaviest(self, bound: float = math.inf) -> float:
        """The weight of the heaviest host that a job may get within `bound`; 0 when there is none."""
        within = min(bound, self.most_weight)
        return max((weight for weight in self.weights.values() if fits(weight, within)), default=0.0)


NOTHING_KNOWN = Flavors(weights={})


@attrs.frozen(kw_only=True)
class QuotaRule:
    """The operator's bound on the weight of all hosts together: so many jobs of one flavor on one runner."""

    reference_runner: str
    """Its short token."""

    reference_flavor: str
    reference_jobs: int
    shares: Mapping[str, float] = attrs.field(factory=dict)
    """For each runner's short token the part of the quota that it may use; all of it when absent."""


@attrs.frozen(kw_only=True)
class Limits:
    """The operator's bounds."""

    concurrent: int
    provisioning: int
    """Jobs that are not known to run yet (`paas_max_concurrent_provisioning`)."""

    per_runner: Mapping[str, int] = attrs.field(factory=dict)
    """For each runner's short token its own limit; 0 is none."""

    quota: QuotaRule | None = None
    paused: frozenset[str] = frozenset()
    """The short tokens of the runners that the operator has paused."""

    launch_distance: timedelta = timedelta()
    """How far apart launches are planned (`paas_min_seconds_between_launches`)."""

    allotted: Allotment | None = None
    """What of these bounds this process may use; all, where it is the only one with its store."""

    def planned_start(self, latest: datetime | None, now: datetime) -> datetime | None:
        """When a job acquired now may start, in due distance from the `latest` start; None is at once."""
        start = None if latest is None else latest + self.launch_distance
        return start if start and start > now else None


def jobs_at_once(flavors: Flavors, bound: float) -> Mapping[str, int]:
    """For each flavor that a job may get how many jobs of it alone come to run at the same time.

    What weighs nothing is left out.
    """
    return {
        flavor: int(bound * (1 + ROUNDING) / weight) for flavor, weight in flavors.granted.items() if weight
    }
