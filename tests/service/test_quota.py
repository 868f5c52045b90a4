"""Weights and quotas in service: what may run at once, what is refused, and what the operator is told."""

import asyncio
import functools
import itertools
from datetime import timedelta

import pytest

from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.sandbox.faults import Answer
from tests.support.logged_events import events_in
from tests.support.operated_world import OperatedWorld

M, XL = 8**1.25, 32**1.25

QUOTA = """
[quota_computation]
  reference_runner = "virtual"
  reference_flavor = "{flavor}"
  reference_jobs_count = {count}
  {more}
"""


def quota(flavor, count, more=""):
    return QUOTA.format(flavor=flavor, count=count, more=more)


@pytest.fixture
def operate(tmp_path):
    return functools.partial(OperatedWorld.play, tmp_path)


def wants(flavor):
    return (Variable(key="CI_CLEVER_CLOUD_FLAVOR", value=flavor),)


async def watched(world, peaks):
    while True:
        peaks.append(sum(weight_of(entry) for entry in world.alive))
        await asyncio.sleep(0.5)


def weight_of(entry):
    sizes = {"XS": 2, "S": 4, "M": 8, "L": 16, "XL": 32, "2XL": 48, "3XL": 64}
    return sizes[entry.flavor.removeprefix("heptapod-runner-")] ** 1.25


def test_the_quota_bounds_what_runs_at_once_and_every_job_gets_its_turn(play):
    async def story(world):
        peaks = []
        watching = asyncio.ensure_future(watched(world, peaks))
        async with world.service():
            jobs = [world.submit("sleep 60", variables=wants(size)) for size in ("S", "M", "L", "XL") * 4]
            await world.settled(*jobs)
        watching.cancel()
        assert {job.status for job in jobs} == {"success"}
        assert set(world.launches.values()) == {1}
        assert XL < max(peaks) <= 12 * M

    play(story, more="paas_max_concurrent_provisioning = 50" + quota("M", 12), runner='cc_max_flavor = "XL"')


def test_a_quota_smaller_than_a_size_fails_who_asks_for_it_and_caps_the_others(play, logs):
    async def story(world):
        async with world.service():
            greedy, modest, silent = (
                world.submit(variables=wants("L")),
                world.submit(variables=wants("S")),
                world.submit(),
            )
            await world.settled(greedy, modest, silent)
        assert (greedy.status, modest.status, silent.status) == ("failed", "success", "success")
        assert greedy.failure_reason == "script_failure"
        assert b'"L"' in greedy.trace
        assert b"quota" in greedy.trace
        assert [entry.flavor for entry in world.cloud.ledger.created] == ["heptapod-runner-S"] * 2

    play(story, more=quota("S", 1))
    [warning] = events_in(logs, "quota_too_small")
    assert warning["sizes"] == ["M", "L", "XL", "2XL", "3XL"]


def test_a_share_of_the_quota_is_enough_for_nobody_to_starve_the_others(play):
    async def story(world):
        peaks = []
        watching = asyncio.ensure_future(watched(world, peaks))
        async with world.service():
            jobs = [world.submit("sleep 60") for _ in range(8)]
            await world.settled(*jobs)
        watching.cancel()
        assert max(peaks) <= 2 * M + 0.01

    play(story, more=quota("M", 4), runner='quota_max_fraction = 0.5\n  cc_max_flavor = "M"')


def test_nothing_is_acquired_before_weights_are_known_and_everything_after(play, logs):
    async def story(world):
        outage = world.cloud_faults.add(Answer(503), path="/v2/products/**")
        async with world.service():
            job = world.submit()
            await asyncio.sleep(120)
            assert job.count(LedgerKind.ACQUIRED) == 0
            world.cloud_faults.remove(outage)
            await world.settled(job)
        assert job.status == "success"

    play(story, more=quota("M", 4))
    assert events_in(logs, "flavors_unreadable")
    [standstill] = events_in(logs, "acquisition_blocked")[:1]
    assert standstill["reason"] == "what its hosts weigh is not known yet"


def test_a_reference_flavor_that_is_not_on_offer_is_told_and_acquires_nothing(play, logs):
    async def story(world):
        async with world.service():
            job = world.submit()
            await asyncio.sleep(60)
            assert job.count(LedgerKind.ACQUIRED) == 0

    play(story, more=quota("5XL", 4))
    [standstill] = events_in(logs, "acquisition_blocked")
    assert standstill["reason"].startswith('`reference_flavor` = "5XL" is not on offer')


@pytest.mark.long
def test_why_nothing_is_acquired_is_one_line_and_not_one_for_each_poll(play, logs):
    async def story(world):
        async with world.service():
            jobs = [world.submit("sleep 3600") for _ in range(3)]
            await world.settled(*jobs)

    play(story, more=quota("M", 1), runner='cc_max_flavor = "M"')
    [line] = events_in(logs, "acquisition_blocked")
    assert (
        line["reason"] == "job 2 waits for room: its host weighs 13.5, and 13.5 of the quota of 13.5 is taken"
    )


def test_statistics_have_the_names_of_1_1_1_and_come_when_they_change(play, logs):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 3600")
            await world.settled(job)
            await asyncio.sleep(10)

    play(story, more=quota("M", 4))
    lines = events_in(logs, "statistics")
    assert {
        "weight_quota",
        "current_weight",
        "weight_headroom",
        "can_take_job",
        "max_jobs_in_provisioning",
        "jobs_in_provisioning",
        "current_concurrent_jobs",
        "max_concurrent_jobs",
    } <= lines[-1].keys()
    assert [line["current_concurrent_jobs"] for line in lines][-2:] == [1, 0]
    assert len(lines) < 10


def test_statistics_can_be_switched_off(play, logs):
    async def story(world):
        async with world.service():
            await world.settled(world.submit())

    play(story, more="paas_log_statistics = false")
    assert not events_in(logs, "statistics")


def test_launches_keep_their_distance(play):
    async def story(world):
        async with world.service():
            jobs = [world.submit("sleep 5") for _ in range(5)]
            await world.settled(*jobs)
        times = sorted(entry.created_at for entry in world.cloud.ledger.created)
        gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]
        assert min(gaps) >= 30
        assert max(gaps) < 45

    play(story, more="paas_min_seconds_between_launches = 30")


def test_launches_keep_their_distance_over_a_restart(play):
    async def story(world):
        async with world.service():
            jobs = [world.submit("sleep 5") for _ in range(5)]
            await asyncio.sleep(40)
        async with world.service():
            await world.settled(*jobs)
        times = sorted(entry.created_at for entry in world.cloud.ledger.created)
        gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]
        assert min(gaps) >= 30

    play(story, more="paas_min_seconds_between_launches = 30")


# --- waiting for room --------------------------------------------------------------------------------------


def used(world):
    return sum(weight_of(entry) for entry in world.alive)


async def mean_use(world, jobs, quota):
    """Of the quota, as long as a job has no host yet; the peak must be within it."""
    shares = []
    while len(world.cloud.ledger.created) < len(jobs):
        await asyncio.sleep(1)
        shares.append(used(world) / quota)
    assert max(shares) <= 1 + 1e-9
    return sum(shares) / len(shares)


WIDE = "paas_max_concurrent_provisioning = 50\n"


@pytest.mark.long
@pytest.mark.parametrize(
    ("sizes", "count", "least"), [(("S", "M", "L", "XL"), 24, 0.85), (("S",), 120, 0.80), (("M",), 48, 0.80)]
)
def test_the_quota_is_used_with_mixed_jobs_and_with_small_ones_alone(play, sizes, count, least):
    async def story(world):
        async with world.service():
            wanted = [sizes[number % len(sizes)] for number in range(count)]
            jobs = [world.submit("sleep 600", variables=wants(size)) for size in wanted]
            mean = await mean_use(world, jobs, 12 * M)
            await world.settled(*jobs)
        assert {job.status for job in jobs} == {"success"}
        return mean

    assert play(story, more=WIDE + quota("M", 12), concurrent=50) >= least


async def one_runs_and_one_waits(world):
    first, second = world.submit("sleep 1800"), world.submit("sleep 60")
    await asyncio.sleep(120)
    assert (first.status, second.status) == ("running", "running")
    assert len(world.cloud.ledger.created) == 1
    return first, second


ONE_AT_A_TIME = {"more": quota("M", 1), "runner": 'cc_max_flavor = "M"'}


def test_a_job_that_waits_for_room_is_kept_alive_and_runs_when_there_is_some(play, logs):
    async def story(world):
        async with world.service():
            first, second = await one_runs_and_one_waits(world)
            await asyncio.sleep(1500)
            assert second.status == "running"
            await world.settled(first, second)
        assert (first.status, second.status) == ("success", "success")
        former, latter = world.cloud.ledger.created
        assert timedelta() <= latter.created_at - former.deleted_at <= timedelta(seconds=1)

    play(story, coordinator={"stuck_after": timedelta(minutes=10)}, **ONE_AT_A_TIME)
    [waits] = events_in(logs, "job_waits_for_room")
    assert waits["reason"] == "its host weighs 13.5, and 13.5 of the quota of 13.5 is taken"


def test_a_job_that_is_canceled_while_it_waits_for_room_gets_no_host(play):
    async def story(world):
        async with world.service():
            first, second = await one_runs_and_one_waits(world)
            world.gitlab.cancel(second.job_id)
            await asyncio.sleep(60)
            assert second.status == "canceled"
            await world.settled(first, second)
        assert len(world.cloud.ledger.created) == 1

    play(story, **ONE_AT_A_TIME)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_changes_nothing_for_a_job_that_waits_for_room(play, end):
    async def story(world):
        serving, stopping = world.start()
        first, second = await one_runs_and_one_waits(world)
        if end == "kill":
            serving.cancel()
        stopping.set()
        await asyncio.wait([serving])
        async with world.service():
            await asyncio.sleep(300)
            assert len(world.cloud.ledger.created) == 1
            await world.settled(first, second)
        assert (first.status, second.status) == ("success", "success")
        assert set(world.launches.values()) == {1}

    play(story, **ONE_AT_A_TIME)


def test_a_job_that_waited_for_room_is_as_patient_with_its_host_as_any(play):
    async def story(world):
        async with world.service():
            first, second = await one_runs_and_one_waits(world)
            while not first.ended:
                await asyncio.sleep(5)
            outage = world.cloud_faults.add(Answer(503), method="POST", path="/v2/organisations/**")
            await asyncio.sleep(600)
            assert second.status == "running"
            world.cloud_faults.remove(outage)
            await world.settled(second)
        assert second.status == "success"

    play(story, **ONE_AT_A_TIME)


def test_a_job_that_can_never_have_room_since_the_quota_was_lowered_is_failed_and_its_author_told_why(
    operate,
):
    async def story(world):
        quotas = {jobs: quota("M", jobs) for jobs in (4, 1)}
        world.write(more=quotas[4], paas_max_concurrent_provisioning=9)
        async with world.service():
            jobs = [world.submit("sleep 600", variables=wants("L")) for _ in range(2)]
            await asyncio.sleep(60)
            assert len(world.cloud.ledger.created) == 1
            world.write(more=quotas[1], paas_max_concurrent_provisioning=9)
            await world.reload()
            await world.settled(*jobs)
        assert [job.status for job in jobs] == ["success", "failed"]
        assert b"larger than all that the runner may use" in jobs[1].trace

    operate(story)
