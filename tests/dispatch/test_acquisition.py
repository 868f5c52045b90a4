"""How a runner asks for jobs: what it makes of each answer, and when it asks again. In virtual time."""

import asyncio
import json
import random
from datetime import timedelta

import attrs
import pytest
from structlog.testing import capture_logs

from paas_runner.dispatch.acquisition import Acquisition
from paas_runner.dispatch.counters import Costs
from paas_runner.dispatch.records import Ledger, Records
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.view import Observer
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.contract import JobRefusedError
from paas_runner.job.capacity import Flavors, Limits, QuotaRule
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.outside_world import RUNNER, OutsideWorld

EVERY = timedelta(seconds=3)
LONGEST = timedelta(minutes=1)


class Coordinator:
    """Gives its answers in turn, then nothing, and knows when it was asked and whether it might have held."""

    def __init__(self, *answers, held=0.0):
        self.answers = list(answers)
        self.held = held
        self.asked = []
        self.holds = []

    async def request_job(self, *, hold):
        self.asked.append(virtual_now())
        self.holds.append(hold)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await asyncio.sleep(self.held)
        return answer

    @property
    def pauses(self):
        """Seconds between one request and the next."""
        pairs = zip(self.asked, self.asked[1:], strict=False)
        return [(later - earlier).total_seconds() for earlier, later in pairs]


class Weighing:
    """An executor with flavors, of which a job names one."""

    def __init__(self, weigh=lambda payload, most: min(5.0, most)):
        self._weigh = weigh

    async def flavors(self):
        return Flavors(weights={"M": 5.0, "L": 20.0}, most_weight=20.0)

    def weigh(self, payload, *, most):
        return self._weigh(payload, most)


class Counted(Observer):
    def __init__(self):
        self.in_vain = 0

    def no_job(self, runner):
        assert runner == RUNNER
        self.in_vain += 1


@attrs.define
class Asking:
    """One runner that asks a coordinator, for as long as the test lets it."""

    coordinator: Coordinator
    executor: object = None
    limits: Limits = Limits(concurrent=9, provisioning=9, per_runner={RUNNER: 0})
    repoll: bool = False
    world: OutsideWorld = attrs.field(factory=OutsideWorld)
    observer: Counted = attrs.field(factory=Counted)
    started: list = attrs.field(factory=list)
    ending: asyncio.Event = attrs.field(factory=asyncio.Event)
    then: object = lambda _job: None
    """What becomes of a job that is started."""

    registry: Registry | None = None

    def start(self, job):
        self.started.append(job)
        self.then(job)

    async def run(self, seconds):
        runner, _, _ = self.world.parts()
        runner = attrs.evolve(
            runner,
            coordinator=self.coordinator,
            executor=self.executor or self.world.executor,
            check_interval=EVERY,
            longest_backoff=LONGEST,
            refusals_tolerated=3,
            repoll_immediately=self.repoll,
        )
        self.registry = Registry(self.limits)
        if isinstance(self.executor, Weighing):
            self.registry.offer(RUNNER, await self.executor.flavors())
        store = self.world.store
        records = Records(store, self.registry, Ledger(store, Costs(), keep_days=9), self.world.stopping)
        acquisition = Acquisition(
            runner,
            registry=self.registry,
            records=records,
            start=self.start,
            clock=virtual_now,
            rng=random.Random(1),
            ending=self.ending,
            stopping=self.world.stopping,
            observer=self.observer,
        )
        running = asyncio.ensure_future(acquisition.run())
        await asyncio.sleep(seconds)
        self.ending.set()
        self.registry.close()
        await running
        return self


def asked(seconds, *answers, held=0.0, **asking):
    async def main():
        return await Asking(Coordinator(*answers, held=held), **asking).run(seconds)

    return run_virtual(main())


def body(job_id, **more):
    return json.dumps({"id": job_id, "token": f"job-token-{job_id}", "variables": [], **more}).encode()


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

        async def refuses_at_the_end(*, hold):
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
    assert set(asked(10).coordinator.holds) == {True}


@pytest.mark.parametrize("repoll", [False, True])
def test_only_a_runner_that_may_asks_before_those_that_wait_when_it_got_a_job(repoll):
    """Two runners, one place: when the job's place becomes free both wait for it, the other one longer."""

    async def main():
        order = []
        asking = Asking(Coordinator(body(1), body(2)), repoll=repoll, limits=one_place())
        ask = asking.coordinator.request_job

        async def request_job(*, hold):
            order.append("this")
            if len(order) == 1:
                asyncio.get_running_loop().call_soon(wait_too)
                await asyncio.sleep(1)
            return await ask(hold=hold)

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
