"""How a runner asks for jobs: what it makes of each answer, and when it asks again. In virtual time."""

import asyncio

import pytest
from structlog.testing import capture_logs

from paas_runner.coordinator.protocol import JobAnswer
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.contract import JobRefusedError
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.limits import Limits, QuotaRule
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.asking import Asking, Coordinator, Weighing, asked, body
from tests.support.outside_world import RHYTHM, RUNNER

LONGEST = RHYTHM.longest_backoff


def refused(status):
    return Rejected("no", service="coordinator", op="request a job", status=status)


def down():
    return Transient("down", service="coordinator", op="request a job", status=503)


# --- the answer is a job -----------------------------------------------------------------------------------


def test_a_job_that_is_handed_out_twice_is_started_once():
    asking = asked(60, body(7), body(7), body(8))
    assert [job.key.job_id for job in asking.started] == [7, 8]


def test_a_job_that_the_executor_refuses_is_recorded_with_the_reason_and_no_masked_value_in_it():
    def weigh(_payload, _most):
        raise JobRefusedError(Failure(reason=FailureReason.SCRIPT, text="no flavor called hush-hush-1234"))

    masked = [{"key": "WANTED", "value": "hush-hush-1234", "masked": True}]
    asking = asked(5, body(7, variables=masked), executor=Weighing(weigh), limits=with_quota())
    [job] = asking.started
    assert "no flavor called" in job.failure.text
    assert "hush-hush" not in job.failure.text


def test_a_job_at_which_the_executor_breaks_is_recorded_to_be_failed_and_the_next_is_asked_for():
    def weigh(payload, _most):
        if payload.job_id == 7:
            raise ZeroDivisionError
        return 1.0

    asking = asked(30, body(7), body(8), executor=Weighing(weigh), limits=with_quota())
    assert [(job.key.job_id, bool(job.failure)) for job in asking.started] == [(7, True), (8, False)]


def with_quota():
    quota = QuotaRule(reference_runner=RUNNER, reference_flavor="M", reference_jobs=10)
    return Limits(concurrent=9, provisioning=9, per_runner={RUNNER: 0}, quota=quota)


def test_under_a_quota_a_job_takes_what_its_own_host_weighs_not_what_the_heaviest_would():
    asking = asked(5, body(7), executor=Weighing(), limits=with_quota())
    assert [job.expected_weight for job in asking.started] == [5.0]


# --- the answer is none -------------------------------------------------------------------------------------


def test_without_a_job_the_next_request_follows_an_interval_later():
    assert asked(30).coordinator.pauses == [3.0] * 9


def test_the_time_for_which_a_request_was_held_counts_towards_the_interval():
    assert asked(20, held=2.0).coordinator.pauses == [3.0] * 6
    assert asked(500, held=50.0).coordinator.pauses == [50.0] * 9


def test_each_request_that_brings_no_job_is_told_and_no_other():
    asking = asked(8, body(7), down(), None)
    assert asking.observer.in_vain == len(asking.coordinator.asked) - 1


def test_a_coordinator_that_is_down_is_asked_more_and_more_rarely_but_within_half_a_minute():
    pauses = asked(600, *[down() for _ in range(99)]).coordinator.pauses
    assert all(3 <= pause <= 31 for pause in pauses)
    assert pauses[0] < 5
    assert min(pauses[6:]) >= 15


def test_after_a_success_a_failure_is_the_first_again():
    pauses = asked(900, *[down() for _ in range(8)], None, down(), down()).coordinator.pauses
    assert pauses[7] >= 15
    assert max(pauses[8:10]) < 5


def test_a_runner_that_is_refused_three_times_is_asked_for_as_usual_and_then_more_rarely():
    pauses = asked(3600, *[refused(403) for _ in range(99)]).coordinator.pauses
    assert pauses[:3] == [3.0] * 3
    assert min(pauses[3:]) > 10
    assert max(pauses) <= LONGEST.total_seconds()


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_any_other_refusal_makes_the_pauses_grow_too(status):
    pauses = asked(3600, *[refused(status) for _ in range(99)]).coordinator.pauses
    assert min(pauses[8:]) >= LONGEST.total_seconds() / 2


def test_at_the_end_a_failure_is_neither_waited_for_nor_held_against_the_runner():
    """Its token may have been exchanged for another right now."""

    async def main():
        asking = Asking(Coordinator())

        async def refuses_at_the_end(*, seen):
            await asking.ending.wait()
            raise refused(403)

        asking.coordinator.request_job = refuses_at_the_end
        await asking.run(5)
        return asking

    async def timed():
        begun = virtual_now()
        asking = await main()
        return asking, (virtual_now() - begun).total_seconds()

    with capture_logs() as logged:
        _, took = run_virtual(timed())
    assert took == 5.0
    assert [entry["event"] for entry in logged if entry["event"] == "runner_refused"] == []


# --- whose turn it is ---------------------------------------------------------------------------------------


def test_a_request_may_be_held_only_where_the_other_runners_still_find_a_place():
    narrow = Limits(concurrent=1, provisioning=9, per_runner={RUNNER: 0, "other": 0})
    assert set(asked(10, limits=narrow).coordinator.holds) == {False}
    assert asked(10).coordinator.holds == [False, True, True, True]  # the first has nothing to tell yet


def test_what_the_coordinator_last_told_is_remembered_over_answers_that_tell_nothing():
    told = JobAnswer(last_update="a1")
    assert asked(10, told, JobAnswer(), JobAnswer()).coordinator.holds == [False, True, True, True]


@pytest.mark.parametrize("repoll", [False, True])
def test_only_a_runner_that_may_asks_before_those_that_wait_when_it_got_a_job(repoll):
    """Two runners, one place: when the job's place becomes free both wait for it, the other one longer."""

    async def main():
        order = []
        asking = Asking(Coordinator(body(1), body(2)), repoll=repoll, limits=one_place())
        ask = asking.coordinator.request_job

        async def request_job(*, seen):
            order.append("this")
            if len(order) == 1:
                asyncio.get_running_loop().call_soon(wait_too)
                await asyncio.sleep(1)
            return await ask(seen=seen)

        async def other():
            async with asking.registry.turn("other"):
                order.append("other")
                await asyncio.sleep(1)

        waiting = []

        def wait_too():
            waiting.append(asyncio.ensure_future(other()))

        asking.coordinator.request_job = request_job
        loop = asyncio.get_running_loop()
        asking.then = lambda job: loop.call_later(5, asking.registry.remove, job.key)
        await asking.run(20)
        return order

    order = run_virtual(main())
    assert order[:2] == (["this", "this"] if repoll else ["this", "other"])


def one_place():
    return Limits(concurrent=1, provisioning=9, per_runner={RUNNER: 0, "other": 0})
