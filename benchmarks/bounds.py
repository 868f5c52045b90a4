"""What a job may take at most of what can be counted exactly; held by `make bench-quick` and the tests.

They are those of the code as it is, and go down with it: the goals are the wanted figures of `counts`.
"""

from collections.abc import Mapping, Sequence

from benchmarks.counts import COUNTS
from benchmarks.suite import OWN, Results

BOUNDS: Mapping[str, float] = {
    "coordinator_requests_per_job": 6.5,
    "cloud_requests_per_job": 3.1,
    "git_requests_per_job": 2,
    "git_processes_per_job": 0,
    "store_writes_per_job": 8,
}


def broken(results: Results) -> Sequence[str]:
    """What was counted of this program and is more than its bound, in words."""
    return [
        f"{key.replace('_', ' ')}: {value:g}, at most {bound:g} are allowed"
        for key, bound in BOUNDS.items()
        for value in results.spread(COUNTS, OWN.name, key).values
        if not isinstance(value, str) and value > bound
    ]
