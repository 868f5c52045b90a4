"""How many requests for a job are in flight, what is held, and what a stop does to it. In virtual time."""

import asyncio
import statistics
from datetime import timedelta

import attrs
import pytest
from structlog.testing import capture_logs

from paas_runner.coordinator.protocol import JobAnswer
from paas_runner.dispatch.pace import AT_ONCE_USUALLY
from paas_runner.errors import Transient
from paas_runner.job.limits import Limits
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.asking import Asking, Coordinator, Queue
from tests.support.outside_world import RHYTHM, RUNNER

WIDE = Limits(concurrent=1000, provisioning=1000, per_runner={RUNNER: 0})
MANY = attrs.evolve(RHYTHM, at_once=AT_ONCE_USUALLY)
USUAL = attrs.evolve(MANY, shortest_pause=timedelta(seconds=0.6))


def play(story, **asking):
    """Run `story(queue, asking, served)`; `served` serves for some seconds."""

    async def main():
        queue = Queue(**asking.pop("queue", {}))
        return await story(queue, Asking(queue, **({"limits": WIDE, "rhythm": MANY} | asking)))

    return run_virtual(main())


def served(queue, seconds, **asking):
    async def story(_queue, asking):
        return await asking.run(seconds)

    return play(story, queue=queue, **asking)


def down(retry_after=None):
    return Transient("down", service="x", op="request a job", status=503, retry_after=retry_after)


# --- a burst -----------------------------------------------------------------------------------------------


def test_a_burst_is_taken_by_many_requests_at_once_and_costs_one_request_a_job():
    asking = served({"jobs": 500, "latency": 0.12}, 9)
    assert len(asking.started) == 500
    assert asking.coordinator.most_in_flight == AT_ONCE_USUALLY
    last = max(job.acquired_at for job in asking.started)
    assert (last - asking.coordinator.asked[0]).total_seconds() < 500 / AT_ONCE_USUALLY * 0.12 + 0.5
    in_the_burst = [at for at in asking.coordinator.asked if at <= last]
    assert len(in_the_burst) <= 500 + AT_ONCE_USUALLY


def test_each_job_lets_one_more_request_begin():
    asking = served({"jobs": 500, "latency": 1.0}, 3.9)
    begun = [round((at - asking.coordinator.asked[0]).total_seconds()) for at in asking.coordinator.asked]
    assert [begun.count(second) for second in range(4)] == [1, 2, 4, 8]


def test_a_lone_job_costs_three_requests_at_most_and_then_there_is_one_at_a_time():
    asking = served({"jobs": 1}, 2.9)
    assert len(asking.started) == 1
    assert len(asking.coordinator.asked) <= 3
    asking = served({"jobs": 100}, 60)
    assert asking.coordinator.in_vain <= AT_ONCE_USUALLY + 60 / 3


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_requests_are_in_flight_than_the_section_allows(at_once):
    asking = served({"jobs": 50}, 20, rhythm=attrs.evolve(MANY, at_once=at_once))
    assert len(asking.started) == 50
    assert asking.coordinator.most_in_flight == at_once


def test_each_request_in_flight_has_a_place_for_the_job_that_it_may_bring():
    asking = served({"jobs": 50}, 20, limits=attrs.evolve(WIDE, concurrent=5))
    assert len(asking.started) == 5
    assert asking.coordinator.most_in_flight <= 4


def test_another_runner_that_waits_has_the_next_turn():
    async def story(queue, asking):
        waited = []

        async def other():
            await asyncio.sleep(1)
            began = virtual_now()
            async with asking.registry.turn("other"):
                waited.append((virtual_now() - began).total_seconds())

        asking.then = lambda job: asyncio.get_running_loop().call_later(1, asking.registry.remove, job.key)
        neighbour = asyncio.ensure_future(other())
        await asking.run(20)
        await neighbour
        return waited

    limits = Limits(concurrent=4, provisioning=9, per_runner={RUNNER: 0, "other": 0})
    [waited] = play(story, queue={"jobs": 500}, limits=limits)
    assert waited <= 1.0  # the first place that becomes free


# --- failures ----------------------------------------------------------------------------------------------


def test_requests_that_fail_together_are_one_failure_and_the_next_is_alone():
    async def story(queue, asking):
        async def breaks():
            await asyncio.sleep(0.75)
            queue.errors = [down() for _ in range(queue.in_flight)]

        breaking = asyncio.ensure_future(breaks())
        await asking.run(8)
        await breaking
        return queue

    with capture_logs() as logged:
        queue = play(story, queue={"jobs": 500})
    [failure] = [entry for entry in logged if entry["event"] == "job_request_failed"]
    assert failure["next_try_seconds"] <= 3
    assert 8 < len(queue.handed_out) < 500


def test_a_wish_to_be_left_alone_is_kept_to_though_other_requests_still_bring_jobs():
    async def story(queue, asking):
        async def breaks():
            await asyncio.sleep(0.75)
            queue.errors = [down(retry_after=30)]

        breaking = asyncio.ensure_future(breaks())
        await asking.run(25)
        await breaking
        return [(at - queue.asked[0]).total_seconds() for at in queue.asked]

    assert max(play(story, queue={"jobs": 5000})) < 1.0


# --- pauses ------------------------------------------------------------------------------------------------


def single_jobs(*, every=11.3, count=40, first=5.0, **queue):
    """How long each of some jobs waited, that came one by one."""

    async def story(queue, asking):
        async def users():
            await asyncio.sleep(first)
            for _ in range(count):
                queue.submit()
                await asyncio.sleep(every)

        submitting = asyncio.ensure_future(users())
        await asking.run(first + count * every + 5)
        await submitting
        assert len(queue.handed_out) == count
        return list(queue.handed_out.values())

    return play(story, queue={"latency": 0.02} | queue, rhythm=USUAL)


def test_a_single_job_is_taken_within_half_a_second_where_nothing_is_held():
    assert statistics.median(single_jobs()) <= 0.5


def test_a_single_job_is_taken_within_a_tenth_of_a_second_where_requests_are_held():
    assert statistics.median(single_jobs(holds_for=50.0)) <= 0.1
    assert max(single_jobs(holds_for=50.0)) <= 0.1


def test_a_runner_that_chooses_its_pause_asks_less_and_less_the_longer_no_job_comes():
    pauses = Coordinator.pauses.fget(served({}, 1200, rhythm=USUAL).coordinator)
    assert pauses[0] == pytest.approx(0.6)
    assert pauses[-1] == pytest.approx(3.0)
    assert pauses == sorted(pauses)


# --- what is held ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [3.4, 30.4])
def test_a_request_that_was_held_is_followed_at_once_by_the_one_that_brings_the_job(after):
    async def story(queue, asking):
        async def user():
            await asyncio.sleep(after)
            queue.submit()

        submitting = asyncio.ensure_future(user())
        await asking.run(40)
        await submitting
        return queue

    queue = play(story, queue={"holds_for": 50.0})
    assert queue.held == 2  # before the job and after it
    assert queue.handed_out == {1: pytest.approx(0.1, abs=0.06)}


def test_a_coordinator_that_releases_everything_at_once_is_not_asked_in_a_tight_loop():
    class Releasing(Coordinator):
        async def request_job(self, *, seen=""):
            self.asked.append(virtual_now())
            return JobAnswer(released=bool(seen), last_update="" if seen else "a1", holds=True)

    async def main():
        return await Asking(Releasing(), limits=WIDE).run(60)

    assert len(run_virtual(main()).coordinator.asked) <= 2 * 60 / 3 + 1


# --- a stop ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [3.2, 4.0, 17.0, 49.0])
def test_a_stop_cuts_off_what_is_held_within_two_seconds(after):
    asking = served({"holds_for": 50.0}, after)
    assert asking.coordinator.held == 1
    assert asking.stopped_after <= 1.2


def test_a_stop_is_at_once_while_nothing_is_in_flight():
    assert served({}, 2.0).stopped_after == 0.0


@pytest.mark.parametrize("holds_for", [0.0, 50.0])
def test_a_job_on_which_the_application_works_at_the_stop_is_waited_for_and_kept(holds_for):
    async def story(queue, asking):
        async def user():
            await asyncio.sleep(6)
            queue.works = 8.0
            queue.submit()

        submitting = asyncio.ensure_future(user())
        await asking.run(7)
        await submitting
        return asking

    asking = play(story, queue={"holds_for": holds_for})
    assert len(asking.coordinator.handed_out) == len(asking.started)
    assert len(asking.started) == 1
    assert 6 < asking.stopped_after < 9


def test_a_job_that_comes_in_the_moment_of_the_stop_is_either_kept_or_never_handed_out():
    for milliseconds in range(0, 1400, 50):

        async def story(queue, asking, seconds=milliseconds / 1000):
            async def user():
                await asyncio.sleep(10 + seconds)
                queue.submit()

            submitting = asyncio.ensure_future(user())
            await asking.run(10)
            await submitting
            await asyncio.sleep(60)
            return asking

        asking = play(story, queue={"holds_for": 50.0})
        assert len(asking.coordinator.handed_out) == len(asking.started)
        assert asking.stopped_after <= 1.3


def test_without_room_for_one_more_request_what_is_held_is_cut_off_when_it_is_surely_held():
    asking = served({"holds_for": 50.0}, 5, limits=attrs.evolve(WIDE, concurrent=1))
    assert asking.stopped_after == pytest.approx(15 - 2, abs=1)


def test_a_coordinator_that_says_nothing_more_delays_a_stop_for_fifteen_seconds_and_not_for_ever():
    async def story(queue, asking):
        async def hangs():
            await asyncio.sleep(8)
            queue.latency = 10_000.0

        hanging = asyncio.ensure_future(hangs())
        await asking.run(10)
        await hanging
        return asking

    asking = play(story, queue={"holds_for": 50.0})
    assert asking.stopped_after <= 16
