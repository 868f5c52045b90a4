"""When a helper ends: purely, and the service in virtual time (point 4: no host outlives us)."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.helper.lease import Due, Lease
from paas_runner.testing.virtual_time import VirtualTimeLoop
from tests.helper.conftest import ScriptedHost, World, launch, settled

LEASE = Lease(idle_seconds=600, margin_seconds=60, renewed_at=100)


@pytest.mark.parametrize(("now", "due"), [(100, Due.NOTHING), (699, Due.NOTHING), (700, Due.END)])
def test_without_a_request_it_ends_after_its_lease(now, due):
    assert LEASE.due(now) is due


def test_a_job_has_its_own_deadline():
    running = LEASE.begun(200, 3600)
    assert running.next_at == 200 + 3600 + 60
    assert running.due(3859) is Due.NOTHING
    assert running.due(3860) is Due.END_JOB


def test_when_the_job_has_ended_its_outcome_is_kept_for_a_lease():
    ended = LEASE.begun(200, 3600).ended(1000)
    assert (ended.due(1599), ended.due(1600)) == (Due.NOTHING, Due.END)


def test_a_lease_of_zero_is_for_ever_and_a_job_has_its_deadline_all_the_same():
    lease = Lease(idle_seconds=0, margin_seconds=60, renewed_at=0)
    assert lease.due(1e12) is Due.NOTHING
    assert lease.begun(0, 10).due(70) is Due.END_JOB


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(["ask", "begin", "end"]))))
def test_it_never_stays_longer_than_a_lease_after_the_last_request_or_the_jobs_deadline(happenings):
    now, lease, deadline, last = 0, Lease(idle_seconds=600, margin_seconds=60, renewed_at=0), None, 0
    for pause, what in happenings:
        now += pause
        match what:
            case "ask":
                lease, last = lease.renewed(now), now
            case "begin" if deadline is None:
                lease, last, deadline = lease.begun(now, 100), now, now + 160
            case "end" if deadline is not None:
                lease, last, deadline = lease.ended(now), now, None
        assert lease.next_at == (last + 600 if deadline is None else deadline)


def in_virtual_time(tmp_path, story, **options):
    """Seconds of the loop until the story is over."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:

        async def told():
            world = World(folder=tmp_path / "state", host=ScriptedHost(), **options)
            began = asyncio.get_running_loop().time()
            await story(world)
            return asyncio.get_running_loop().time() - began

        return runner.run(told())


def test_with_the_service_down_for_a_day_nothing_is_left_after_the_lease(tmp_path):
    async def story(world):
        async with world.alive() as service:
            assert "nobody has asked for anything for 600 s" in await service.until_over()
            assert not await service.can_take_job()

    assert in_virtual_time(tmp_path, story) == pytest.approx(600)


def test_with_the_service_down_for_a_day_a_hung_job_ends_at_its_deadline_and_the_host_a_lease_later(tmp_path):
    async def story(world):
        async with world.alive() as service:
            await service.launch(launch(timeout=3600))
            await service.until_over()
            assert world.host.child.asked_to_end
            assert world.host.cleaned == 1

    assert in_virtual_time(tmp_path, story) == pytest.approx(3600 + 600 + 600)


def test_whoever_asks_keeps_it(tmp_path):
    async def story(world):
        async with world.alive() as service:
            over = asyncio.create_task(service.until_over())
            for _ in range(10):
                await asyncio.sleep(500)
                service.renew()
            assert not over.done()
            await over

    assert in_virtual_time(tmp_path, story) == pytest.approx(5000 + 600)


def test_at_its_end_a_job_that_runs_is_ended_and_all_it_has_is_removed(tmp_path):
    async def story(world):
        async with world.alive() as service:
            await service.launch(launch())
            await settled()
        assert world.host.child.asked_to_end
        assert world.host.cleaned == 1

    in_virtual_time(tmp_path, story)
