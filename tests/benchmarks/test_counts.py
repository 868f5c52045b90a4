"""What a job takes is counted with the real service as a process, in the world of the benchmark."""

import pytest

from benchmarks.bounds import BOUNDS, broken
from benchmarks.counts import COUNTS
from benchmarks.figures import Patience
from benchmarks.suite import OWN, Results


@pytest.mark.long
@pytest.mark.process
async def test_a_job_takes_no_more_requests_processes_and_writes_than_it_is_allowed(tmp_path):
    results = Results()
    results.add(COUNTS, OWN, await COUNTS.measure(OWN, tmp_path, Patience(seconds=60)))
    assert broken(results) == []
    assert set(BOUNDS) <= {figure.key for figure in COUNTS.figures}
