"""Jobs change hands in the middle, between us and heptapod-paas-runner 1.1.1: each ends once."""

import pytest

from paas_runner.pipelines.jobs import LedgerKind

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.timeout(300),
]  # the first run installs the other program

NOTHING = {"launched": 0, "pending": 0, "to_decommission": 0, "standby_resources": 0}


def all_went_well(world, jobs):
    assert {job.status for job in jobs} == {"success"}
    assert {job.count(LedgerKind.ACQUIRED) for job in jobs} == {1}
    assert world.launches == [1] * len(jobs)
    assert not world.alive


async def test_1_1_1_loads_our_state_file_and_manages_the_jobs_to_the_end(shared):
    async with shared.service():
        jobs = shared.submit_gated(3)
        await shared.until(lambda: len(shared.phases("running")) == 3)
        shared.hold_repositories()
        jobs += shared.submit(3)
        await shared.until(lambda: len(shared.alive) == 6)
    assert shared.state == NOTHING | {"launched": 3, "pending": 3}
    shared.open_repositories()
    async with shared.peer():
        await shared.until(lambda: not shared.state_file.exists())
        shared.open_gate()
        await shared.settled(jobs)
        jobs += shared.submit(1)  # the weights that it found leave room for more
        await shared.settled(jobs)
    all_went_well(shared, jobs)
    assert shared.state == NOTHING
    async with shared.service():  # its own records of these jobs are older: it asks, and drops them
        await shared.until(lambda: [event["event"] for event in shared.log].count("job_gone") >= 6)
    all_went_well(shared, jobs)
    assert shared.state == NOTHING


async def test_we_load_the_state_file_of_1_1_1_and_manage_the_jobs_to_the_end(shared):
    async with shared.peer():
        jobs = shared.submit_gated(3)
        await shared.until(lambda: shared.peer_told.count("Successfully launched") == 3)
        shared.hold_repositories()
        jobs += shared.submit(3)
        await shared.until(lambda: len(shared.alive) == 6)
    assert shared.state == NOTHING | {"launched": 3, "pending": 3}
    shared.open_repositories()
    async with shared.service():
        shared.open_gate()
        await shared.settled(jobs)
    all_went_well(shared, jobs)
    assert shared.state == NOTHING
