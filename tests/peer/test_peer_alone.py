"""heptapod-paas-runner 1.1.1, unmodified and alone on our sandbox, as the sandbox's own books tell it."""

import asyncio

import pytest

from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.pipelines.states import JobState

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.timeout(300),
]  # the first run installs the program


def of_flavor(name):
    return (Variable(key="CI_CLEVER_CLOUD_FLAVOR", value=name),)


async def test_1_1_1_runs_jobs_of_every_kind_to_their_end(shared):
    shared.configure_for_both(runner='cc_max_flavor = "L"')
    async with shared.peer():
        good = shared.submit(2, script=("echo it works",))
        (bad,) = shared.submit(script=("exit 3",))
        (small,) = shared.submit(variables=of_flavor("S"))
        (too_big,) = shared.submit(variables=of_flavor("XL"))
        (endless,) = shared.submit_gated(1)
        jobs = [*good, bad, small, too_big, endless]
        await shared.until(lambda: endless.trace)
        shared.sandbox.coordinator.cancel(endless.job_id)
        await shared.settled(jobs)

    assert [job.status for job in jobs] == ["success", "success", "failed", "success", "failed", "canceled"]
    assert [b"it works" in job.trace for job in good] == [True, True]
    assert (bad.exit_code, bad.failure_reason) == (3, "script_failure")
    assert too_big.failure_reason == "script_failure"
    assert b"Flavor size exceeded" in too_big.trace
    assert {job.count(LedgerKind.ACQUIRED) for job in jobs} == {1}
    assert {job.count(LedgerKind.ENDED) for job in jobs} == {1}

    hosts = shared.sandbox.cloud.ledger.created
    assert {entry.name.rpartition("-")[2] for entry in hosts} == {
        str(job.job_id) for job in jobs if job != too_big
    }
    assert shared.launches == [1] * 5
    assert sorted(entry.flavor for entry in hosts) == ["heptapod-runner-M"] * 4 + ["heptapod-runner-S"]
    assert [(entry.alive, entry.deletions) for entry in hosts] == [(False, 1)] * 5
    assert {call.by for call in shared.sandbox.cloud.ledger.calls} == {shared.sandbox.cloud_token}


async def test_1_1_1_itself_ends_at_an_unknown_flavor_and_its_job_is_left_to_the_coordinator(shared):
    async with shared.peer_process() as peer:
        (job,) = shared.submit(variables=of_flavor("9XL"))
        async with asyncio.timeout(60):
            assert await peer.wait() != 0
    assert "check-flavor" in shared.peer_told
    assert (job.status, job.count(LedgerKind.ACQUIRED), job.trace) == (JobState.RUNNING, 1, b"")
    assert not shared.sandbox.cloud.ledger.created
