"""How many more jobs may be acquired, computed from the records whenever it is asked: no counter to drift."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs

from paas_runner.job.tracked import Phase, TrackedJob

_BEING_PROVISIONED = frozenset(
    {Phase.ACQUIRED, Phase.PROVISIONING, Phase.PROVISIONED, Phase.LAUNCHING, Phase.LAUNCHED}
)


@attrs.frozen(kw_only=True)
class Limits:
    """The operator's bounds; a job counts from its acquisition until no host of it is left."""

    concurrent: int
    provisioning: int
    """Jobs that are not known to run yet (`paas_max_concurrent_provisioning`)."""

    per_runner: Mapping[str, int] = attrs.field(factory=dict)
    """For each runner's short token its own limit; 0 is none."""


def room(jobs: Iterable[TrackedJob], asking: Iterable[str], limits: Limits) -> int:
    """How many more requests for a job may be started; each of `asking`, in flight, may yet bring a job."""
    phases = Counter(job.phase for job in jobs)
    in_flight = sum(1 for _ in asking)
    preparing = sum(phases[phase] for phase in _BEING_PROVISIONED)
    return min(limits.concurrent - phases.total(), limits.provisioning - preparing) - in_flight


def may_ask(runner: str, jobs: Iterable[TrackedJob], asking: Iterable[str], limits: Limits) -> bool:
    """Whether the runner's own limit allows one more request."""
    limit = limits.per_runner.get(runner, 0)
    taken = sum(job.key.runner == runner for job in jobs) + sum(other == runner for other in asking)
    return not limit or taken < limit


def next_to_ask(
    waiting: Sequence[str], jobs: Sequence[TrackedJob], asking: Sequence[str], limits: Limits
) -> str | None:
    """Which of the waiting runners may ask now: the one that has waited longest and has room of its own."""
    if room(jobs, asking, limits) <= 0:
        return None
    return next((runner for runner in waiting if may_ask(runner, jobs, asking, limits)), None)
