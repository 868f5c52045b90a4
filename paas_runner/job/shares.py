"""What each tracked job takes of the operator's bounds; jobs that take the same are counted together.

So a bound costs as much to compute with thousands of jobs as with ten. The counts are whole numbers of equal
shares, no sums that could drift: at any time they are what `shares_of` makes of the jobs anew.
"""

from collections import Counter
from collections.abc import Iterable

import attrs

from paas_runner.job.tracked import Phase, TrackedJob

_BEING_PROVISIONED = frozenset(
    {Phase.ACQUIRED, Phase.PROVISIONING, Phase.PROVISIONED, Phase.LAUNCHING, Phase.LAUNCHED}
)


@attrs.frozen(kw_only=True)
class Share:
    """All of a job that capacity depends on."""

    runner: str
    phase: Phase
    takes_room: bool
    takes_place: bool
    owes_a_report_only: bool
    needs_room: bool
    weight: float | None
    """What its host weighs, or may come to weigh; None when that is not known."""

    @property
    def on_standby(self) -> bool:
        """Whether it is a host alone, which waits for another job."""
        return self.phase is Phase.STANDBY

    @property
    def being_provisioned(self) -> bool:
        """Whether the job is not known to run yet."""
        return self.phase in _BEING_PROVISIONED


def share_of(job: TrackedJob) -> Share:
    weight = job.expected_weight
    if job.host and job.host.weight is not None:
        weight = job.host.weight
    return Share(
        runner=job.key.runner,
        phase=job.phase,
        takes_room=job.takes_room,
        takes_place=job.takes_place,
        owes_a_report_only=job.owes_a_report_only,
        needs_room=job.needs_room,
        weight=weight,
    )


def shares_of(jobs: Iterable[TrackedJob]) -> Counter[Share]:
    """How many jobs there are of each share."""
    return Counter(map(share_of, jobs))
