"""What is known of coordinators and clouds from the calls that were made anyway."""

from datetime import UTC, datetime, timedelta

import pytest

from paas_runner.http import Exchange, Response
from paas_runner.status import reach
from paas_runner.status.reach import Reach, ReachState

COORDINATOR, CLOUD = "coordinator https://gitlab.example", "Clever Cloud"


class Calls:
    """Calls to one service, one after the other, and each change of its state."""

    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.reach = Reach(lambda: self.now)
        self.states = [ReachState.UNKNOWN]

    def __call__(self, *statuses, service=COORDINATOR, op="request a job", every=timedelta(seconds=20)):
        for status in statuses:
            self.now += every
            answer = None if status is None else Response(status=status, headers={}, body=b"")
            self.reach(Exchange(service=service, op=op, method="POST", seconds=1, attempt=1, answer=answer))
            if (state := self.reach.services[service].state) is not self.states[-1]:
                self.states.append(state)
        return self.reach.services[service]


@pytest.fixture
def calls():
    return Calls()


def test_a_hiccup_is_no_outage(calls):
    assert calls(204, 502, None, 204).state is ReachState.REACHED
    assert calls.states == [ReachState.UNKNOWN, ReachState.REACHED]


def test_many_failures_at_once_are_a_hiccup_too(calls):
    assert calls(204, *[502] * 20, every=timedelta(seconds=1)).state is ReachState.REACHED


def test_an_outage_and_its_end_are_seen_once_each(calls):
    calls(204, None, 502, 503, None, 504)
    assert calls.reach.services[COORDINATOR].state is ReachState.UNREACHABLE
    calls(204, 204)
    assert calls.states[1:] == [ReachState.REACHED, ReachState.UNREACHABLE, ReachState.REACHED]


def test_a_limit_of_the_rate_is_no_success(calls):
    assert calls(429, 429, 429, 429).state is ReachState.UNREACHABLE


def test_a_refused_token_stays_refused_until_the_same_is_allowed(calls):
    assert calls(403).state is ReachState.REFUSED
    assert calls(200, op="job status").state is ReachState.REFUSED
    assert calls(502).state is ReachState.REFUSED
    assert calls(204).state is ReachState.REACHED


def test_a_job_whose_token_died_with_it_says_nothing_of_ours(calls):
    assert calls(403, 401, op="job status").state is ReachState.REACHED


def test_a_cloud_refuses_by_401_alone(calls):
    assert calls(403, service=CLOUD, op="create the application").state is ReachState.REACHED
    assert calls(401, service=CLOUD, op="create the application").state is ReachState.REFUSED


def test_only_so_many_services_are_told_apart(calls):
    for number in range(reach.MOST_SERVICES + 5):
        calls.reach(
            Exchange(service=f"cloud {number}", op="look", method="GET", seconds=1, attempt=1, answer=None)
        )
    assert len(calls.reach.services) == reach.MOST_SERVICES
