"""What becomes of an act that did not work, or worked half: the event that each one ends in."""

import random
from datetime import timedelta

import attrs
import pytest

from paas_runner.coordinator.protocol import JobStatus, TraceState
from paas_runner.dispatch.effects import Effects
from paas_runner.dispatch.served import Account
from paas_runner.errors import Rejected, Transient
from paas_runner.job.decision import Action, Policy
from paas_runner.job.events import (
    Checked,
    Deferred,
    Ended,
    Failed,
    HostChecked,
    HostCreated,
    NotYet,
    Reported,
    Unchecked,
)
from paas_runner.job.tracked import Phase
from tests.support.outside_world import OutsideWorld
from tests.support.records import NOW, job_in

HOST_EVERY = timedelta(minutes=7)


def down(retry_after=None):
    return Transient("down", service="provider", op="something", retry_after=retry_after)


class Ill:
    """An executor whose host is in trouble, and whose every other answer is given."""

    def __init__(self, inner, *, trouble="it is gone", error=None):
        self._inner = inner
        self._trouble = trouble
        self._error = error
        self.removals = []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def trouble(self, _provisioned):
        if self._error:
            raise self._error
        return self._trouble

    async def silence(self, _provisioned):
        if self._error:
            raise self._error
        return self._trouble

    async def decommission(self, removal):
        self.removals.append(removal)


@pytest.fixture
def world():
    return OutsideWorld()


def effects(world, **changes):
    runner = attrs.evolve(world.parts()[0], policy=Policy(host_every=HOST_EVERY), **changes)
    return Effects(runner=runner, clock=lambda: NOW, rng=random.Random(1))


def waits(event):
    return (event.until - NOW).total_seconds()


# --- a host ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [False, True])
async def test_a_host_after_a_lost_answer_may_be_one_of_two(world, there):
    job = job_in(Phase.PROVISIONING, host=None)
    if there:
        world.executor.alive[job.host_name] = 0
    event = await effects(world).perform(Action.ADOPT, job)
    assert isinstance(event, HostCreated)
    assert event.doubtful


@pytest.mark.parametrize(
    ("changes", "searched"),
    [({"host": None}, True), ({"host_doubtful": True}, True), ({"host_doubtful": False}, False)],
)
async def test_a_host_is_searched_for_by_name_where_another_may_be(world, changes, searched):
    executor = Ill(world.executor)
    await effects(world, executor=executor).perform(
        Action.DECOMMISSION, job_in(Phase.DECOMMISSIONING, **changes)
    )
    assert [removal.search for removal in executor.removals] == [searched]


async def test_a_job_whose_host_is_in_trouble_has_failed_unless_it_is_over(world):
    doing = effects(world, executor=Ill(world.executor))
    event = await doing.perform(Action.CHECK_HOST, job_in(Phase.RUNNING))
    assert isinstance(event, Failed)
    assert "it is gone" in event.failure.text
    world.coordinator.failed = "somewhere else"
    assert isinstance(await doing.perform(Action.CHECK_HOST, job_in(Phase.RUNNING)), Ended)


async def test_a_look_at_a_host_that_did_not_work_is_no_more_frequent_than_one_that_did(world):
    doing = effects(world, executor=Ill(world.executor, error=down()))
    event = await doing.perform(Action.CHECK_HOST, job_in(Phase.RUNNING))
    assert isinstance(event, HostChecked)
    assert waits(event) >= HOST_EVERY.total_seconds()


@pytest.mark.parametrize("error", [down(), Rejected("no", service="provider", op="look", status=401)])
async def test_a_silent_job_is_given_up_whatever_the_provider_has_to_say(world, error):
    doing = effects(world, executor=Ill(world.executor, error=error))
    event = await doing.perform(Action.GIVE_UP_WAITING, job_in(Phase.LAUNCHED))
    assert isinstance(event, Failed)
    assert f"provider: {error.text}" in event.failure.text


# --- the coordinator ---------------------------------------------------------------------------------------


class Answering:
    """A coordinator that gives the same answers whatever happens."""

    def __init__(self, *, status=JobStatus.RUNNING, trace=JobStatus.RUNNING, sure=False, error=None):
        self._status, self._trace, self._sure, self._error = status, trace, sure, error

    async def status(self, _job_id, _token):
        return self._status

    async def touch(self, _job_id, _token):
        if self._error:
            raise self._error
        return self._status

    report_failed = append_trace = lambda self, job_id, token, _text: self.touch(job_id, token)

    async def trace_state(self, _job_id, _token):
        return TraceState(size=0, status=self._trace, sure=self._sure)


class Listening(Account):
    """What is told of an account."""

    def __init__(self):
        self.heard = []

    def refused(self, reason):
        self.heard.append(reason)


@pytest.mark.parametrize(
    ("status", "kind"), [(JobStatus.RUNNING, NotYet), (JobStatus.ENDED, Ended), (JobStatus.CANCELING, Failed)]
)
async def test_that_a_job_is_over_is_not_believed_because_its_log_is_refused(world, status, kind):
    coordinator = Answering(trace=JobStatus.ENDED, status=status)
    event = await effects(world, coordinator=coordinator).perform(
        Action.LOOK_FOR_LIFE, job_in(Phase.LAUNCHED)
    )
    assert isinstance(event, kind)


async def test_that_a_job_is_over_is_believed_when_the_refusal_of_its_log_says_how_it_ended(world):
    coordinator = Answering(trace=JobStatus.ENDED, status=JobStatus.RUNNING, sure=True)
    event = await effects(world, coordinator=coordinator).perform(
        Action.LOOK_FOR_LIFE, job_in(Phase.LAUNCHED)
    )
    assert event == Ended()


async def test_a_push_with_a_refused_token_is_tried_again_as_any_other_call_to_the_provider(world):
    world.executor.failures = {"launch": [Rejected("no", service="git", op="push", status=401)]}
    doing = effects(world)
    account = Listening()
    event = await attrs.evolve(doing, account=account).perform(Action.LAUNCH, job_in(Phase.LAUNCHING))
    assert isinstance(event, Deferred)
    assert event.unreachable
    assert len(account.heard) == 1


@pytest.mark.parametrize(("seconds", "door"), [(59, "touch"), (61, "status")])
async def test_a_young_job_is_asked_about_by_an_update_and_an_old_one_by_its_token(world, seconds, door):
    launched_at = NOW - timedelta(seconds=seconds)
    running = job_in(Phase.RUNNING, entered={Phase.LAUNCHED: launched_at})
    assert isinstance(await effects(world).perform(Action.CHECK_STATUS, running), Checked)
    assert world.entries == [door]


async def test_a_failed_touch_puts_off_the_next_touch_and_nothing_else(world):
    coordinator = Answering(error=down())
    job = job_in(Phase.PROVISIONING, attempts=9)
    event = await effects(world, coordinator=coordinator).perform(Action.TOUCH, job)
    assert isinstance(event, Unchecked)
    assert waits(event) <= 4, "the tries of the host are not those of the touch"


@pytest.mark.parametrize("action", [Action.EXPLAIN, Action.REPORT])
async def test_what_did_not_arrive_at_the_coordinator_is_told_again(world, action):
    doing = effects(world, coordinator=Answering(error=down()))
    event = await doing.perform(action, job_in(Phase.FAILING))
    assert isinstance(event, Deferred)
    assert not isinstance(event, Reported)


@pytest.mark.parametrize(
    ("action", "phase", "least", "most"),
    [
        (Action.REPORT, Phase.FAILING, 150, 300),
        (Action.DECOMMISSION, Phase.DECOMMISSIONING, 150, 300),
        (Action.PROVISION, Phase.PROVISIONING, 15, 30),
    ],
)
async def test_what_is_never_given_up_is_tried_more_and_more_rarely(world, action, phase, least, most):
    world.executor.failures = {"provision": [down()], "decommission": [down()]}
    doing = effects(world, coordinator=Answering(error=down()))
    event = await doing.perform(action, job_in(phase, attempts=20))
    assert least <= waits(event) <= most
