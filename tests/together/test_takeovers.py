"""Real services on a real PostgreSQL, hit in turn while jobs flow; at length: `tests.together.run`."""

import statistics

import pytest

from tests.support.postgres.server import folder_of_programs
from tests.together.course import LONGEST_SECONDS, Blow
from tests.together.run import played

BUSY_SECONDS = 5.0  # other tests and a simulation run beside this one

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(500)]


async def test_services_that_are_hit_while_jobs_flow_lose_leak_and_double_nothing():
    folder_of_programs()
    course, _world = await played(8, seed=20, members=2)
    for blow in Blow:
        times = [takeover.seconds for takeover in course.takeovers if takeover.blow is blow]
        assert times
        assert statistics.median(times) <= LONGEST_SECONDS[blow], (blow, times)
        assert max(times) <= LONGEST_SECONDS[blow] + BUSY_SECONDS, (blow, times)
