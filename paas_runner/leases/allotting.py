"""How much of the bounds of all processes together one of them asks for. Pure.

Who alone holds sections wants everything. Of several each wants twice what it uses. Up to its fair
share it takes what it finds; beyond that it leaves something for whoever has less than his, so that what is
lent comes back, more at each renewal. What cannot be divided evenly is with the poorest next: so bounds that
are smaller than the number of those who need them go round.

The store grants no more than the others leave. So the sum never exceeds the bounds, but for what is in use
already when an operator lowers them.
"""

import math
from collections.abc import Callable, Sequence

import attrs

from paas_runner.job.capacity import Load
from paas_runner.job.lease import Allotment, Tenancy

MORE_THAN_ANY_QUOTA = 1e9
"""Of weight; unlike infinity a number that JSON has, in which members are shown."""


def wanted(
    tenancy: Tenancy,
    holder: str,
    *,
    holds: bool,
    total: Allotment,
    in_use: Allotment,
    heaviest: float = 0.0,
) -> Allotment:
    """What `holder` asks for; `holds` is whether it has a section, or is about to take one.

    With less weight than the `heaviest` host has nothing can be begun.
    """
    if not holds:
        return Allotment()
    own = tenancy.members[holder].allotment if holder in tenancy.members else Allotment()
    others = [
        member.allotment
        for member in tenancy.members.values()
        if member.holder != holder and member.is_alive and tenancy.held_by(member.holder)
    ]

    smallest = Allotment(jobs=1, provisioning=1, weight=heaviest or 1.0)

    def part(of: Callable[[Allotment], float]) -> float:
        theirs = list(map(of, others))
        return _part(of(own), theirs, whole=of(total), in_use=of(in_use), step=of(smallest))

    return Allotment(
        jobs=part(lambda of: of.jobs),
        provisioning=part(lambda of: of.provisioning),
        weight=part(lambda of: of.weight),
    )


def claim(load: Load) -> Allotment:
    """What nobody else may use while it is not known what the jobs of a section take.

    All weight there is where the quota itself is not known: nothing of it would be a claim to nothing.
    """
    unknown = load.limits.quota is not None and load.quota is None
    return attrs.evolve(load.total, weight=MORE_THAN_ANY_QUOTA) if unknown else load.total


def has_gaps(tenancy: Tenancy) -> bool:
    """Whether a section waits for somebody to take it: what its jobs use is part of nobody's allotment."""
    serving = [member.serves for member in tenancy.members.values() if member.is_alive]
    return any(
        lease.is_free and (lease.epoch or lease.arrivals) and any(lease.runner in each for each in serving)
        for lease in tenancy.leases.values()
    )


def _part(own: float, theirs: Sequence[float], *, whole: float, in_use: float, step: float) -> float:
    """Of one bound, in steps of what a single job takes."""
    if not theirs:
        return whole
    need = 2 * max(in_use, step)
    fair = whole / (len(theirs) + 1)
    poorest = own <= min(theirs)
    share = fair if fair % step == 0 else (fair // step + poorest) * step
    left_to_others = max(min(max(fair - each, 0), max(step, each - step)) for each in theirs)
    lent = whole - sum(theirs) - math.ceil(left_to_others / step) * step
    return max(0, min(_whole(need, step), max(share, lent)))


def _whole(amount: float, step: float) -> float:
    """So many steps, the last of them begun."""
    return math.ceil(amount / step) * step
