"""Hosts on standby: used again by the right job, gone in time, not lost or shared by a crash (H142, H143)."""

import asyncio
import itertools
from datetime import timedelta

import attrs
import pytest

from paas_runner.dispatch.tenure import Tenure
from paas_runner.testing.virtual_time import run_virtual
from tests.support.outside_world import CrashedError
from tests.support.staying_world import LEASE, OTHER_RUNNER, StayingWorld

MINUTE = timedelta(minutes=1)


def lived(world):
    """The world after all of its jobs; every job ran once, and no host is left."""

    async def main():
        world.seconds()
        await world.life()

    run_virtual(main())
    judge(world)
    return world


def judge(world):
    assert not world.broken
    assert not world.hosts, "a host was left"
    assert not world.store._jobs
    ran = [job_id for jobs in world.ran for job_id in jobs]
    assert sorted(ran) == sorted(set(ran)), "a job ran twice"
    spans = {}
    for charge in world.store.charges:
        spans.setdefault(charge.host, []).append((charge.since, charge.until))
    for parts in spans.values():
        for (_, end), (begin, _) in itertools.pairwise(sorted(parts)):
            assert begin >= end, "two jobs pay for one time of a host"


def test_a_second_job_of_the_tenant_gets_the_host_of_the_first_one():
    world = StayingWorld()
    world.arrives(1, after=0)
    world.arrives(2, after=100)
    lived(world)
    assert world.ran == [[1, 2]]
    assert world.journal.entries.count("provision") == 1
    assert [str(charge.key.job_id) for charge in world.store.charges] == ["1", "2"]


def test_a_host_that_was_taken_is_the_new_jobs_alone_when_its_time_on_standby_would_be_over():
    world = StayingWorld()
    world.arrives(1, after=0)
    world.arrives(2, after=150)
    assert lived(world).ran == [[1, 2]]
    assert world.store.charges[1].time > MINUTE


def test_two_jobs_at_once_get_a_host_each_and_only_one_can_have_the_one_that_waits():
    world = StayingWorld()
    world.arrives(1, after=0)
    world.arrives(2, after=100)
    world.arrives(3, after=100)
    lived(world)
    assert sorted(map(len, world.ran)) == [1, 2]


def test_no_host_is_shared_between_tenants():
    world = StayingWorld()
    world.arrives(1, after=0, tenant="acme")
    world.arrives(2, after=100, tenant="other")
    assert lived(world).ran == [[1], [2]]


@pytest.mark.parametrize("kept", [timedelta(), 30 * timedelta(seconds=1)])
def test_a_host_waits_no_longer_than_is_configured(kept):
    world = StayingWorld(standby=kept)
    world.arrives(1, after=0)
    world.arrives(2, after=130)
    assert lived(world).ran == [[1], [2]]
    assert ("renew" in world.journal.entries) is False


def test_a_host_waits_for_no_more_money_than_is_configured():
    """A price of 2 an hour, and 0.01: so 18 seconds."""
    world = StayingWorld(standby=timedelta(hours=1), cost=0.01)
    world.arrives(1, after=0)
    lived(world)
    [charge] = world.store.charges
    assert timedelta(seconds=60 + 18) <= charge.time < timedelta(seconds=60 + 18 + 40)


def test_after_a_failed_or_canceled_job_no_host_waits():
    world = StayingWorld()
    world.failed.add(world.arrives(1, after=0))
    world.canceled.add(world.arrives(2, after=0))
    world.arrives(3, after=150)
    assert [3] in lived(world).ran


def test_a_host_that_cannot_be_cleaned_for_long_is_removed_instead():
    world = StayingWorld()
    world.releases_refused = 9
    world.arrives(1, after=0)
    lived(world)
    assert 1 < world.journal.entries.count("release") < 9


def test_another_runner_of_the_same_series_gets_it_too_but_the_own_one_first():
    world = StayingWorld()
    world.arrives(1, after=0, runner=OTHER_RUNNER)
    world.arrives(2, after=5)
    world.arrives(3, after=110)
    world.arrives(4, after=115)
    assert lived(world).ran == [[1, 4], [2, 3]]


def test_where_sections_change_hands_alone_only_the_own_runner_gets_it():
    world = StayingWorld(tenure=Tenure())
    world.arrives(1, after=0, runner=OTHER_RUNNER)
    world.arrives(2, after=110)
    assert lived(world).ran == [[1], [2]]


@pytest.mark.parametrize(
    ("left", "wanted", "used_again"),
    [(8.0, 8.0, True), (9.0, 8.0, True), (24.0, 8.0, False), (8.0, 9.0, False)],
)
def test_a_host_is_used_again_by_a_job_that_wants_as_much_or_a_little_less(left, wanted, used_again):
    world = StayingWorld()
    world.arrives(1, after=0, weight=left)
    world.arrives(2, after=100, weight=wanted)
    assert (lived(world).ran == [[1, 2]]) is used_again


def test_a_host_on_standby_goes_early_when_its_room_is_wanted_and_no_quota_is_exceeded():
    world = StayingWorld(quota=24.0, standby=timedelta(hours=1))
    world.arrives(1, after=0, weight=8.0)
    world.arrives(2, after=110, weight=24.0)
    lived(world)
    assert world.ran == [[1], [2]]
    assert world.journal.entries.index("decommission") < len(
        world.journal.entries
    ) - 1 - world.journal.entries[::-1].index("provision")
    first, second = world.store.charges
    assert first.until <= second.since
    assert first.time < 5 * MINUTE


def test_a_host_hears_of_us_as_long_as_it_waits():
    world = StayingWorld(standby=timedelta(hours=1))
    world.arrives(1, after=0)
    lived(world)
    assert world.journal.entries.count("renew") >= 60 * 60 / 200 - 2


def test_a_drain_lets_all_go_and_keeps_none():
    world = StayingWorld(standby=timedelta(hours=1))
    world.arrives(1, after=0)
    world.arrives(2, after=200)

    async def main():
        world.seconds()
        living = asyncio.ensure_future(world.life())
        await asyncio.sleep(210)
        assert world.registry.standing.jobs == []
        world.registry.standing.let_all_go("no more jobs are taken")
        await living

    run_virtual(main())
    judge(world)
    assert world.ran == [[1, 2]]
    assert (
        max(charge.until for charge in world.store.charges)
        - min(charge.since for charge in world.store.charges)
        < 10 * MINUTE
    )


def test_a_host_whose_lease_is_over_is_looked_at_once_and_goes():
    """Its own loop may be the second to see it: after a sleep of the machine all are due at once."""
    world = StayingWorld(standby=timedelta(hours=1))
    world.arrives(1, after=0)
    world.arrives(2, after=100)

    async def main():
        world.seconds()
        living = asyncio.ensure_future(world.life())
        await asyncio.sleep(99)
        [left] = world.registry.standing.jobs
        place = world.registry.standing.opened(left)
        place.job = attrs.evolve(left, heard_at=left.heard_at - 2 * LEASE)
        async with asyncio.timeout(3 * 3600):
            await living

    run_virtual(main())
    judge(world)
    assert world.ran == [[1], [2]]


def whole_story():
    world = StayingWorld(quota=32.0)
    world.arrives(1, after=0)
    world.arrives(2, after=100)
    world.arrives(3, after=130, weight=24.0)
    world.arrives(4, after=190, runner=OTHER_RUNNER)
    return world


STORY = lived(whole_story())
STEPS = len(STORY.journal.entries)


def test_the_story_that_is_killed_everywhere_has_all_of_it():
    assert {"handed on", "release", "renew", "decommission", "provision"} <= set(STORY.journal.entries)
    assert STORY.ran[0][:2] == [1, 2]


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_killed_at_any_step_no_host_is_lost_and_no_job_runs_twice_or_meets_another(step):
    world = whole_story()
    world.journal.crash_at = step

    async def main():
        world.seconds()
        with pytest.RaisesGroup(CrashedError):
            await world.life()
        await world.life()

    run_virtual(main())
    judge(world)
    assert sorted(job_id for jobs in world.ran for job_id in jobs) == [1, 2, 3, 4]
    assert not world.reported
