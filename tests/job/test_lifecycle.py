"""The table of phases and events, and what the record keeps."""

from datetime import timedelta
from typing import get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.errors import IllegalTransitionError
from paas_runner.job import events as ev
from paas_runner.job.decision import Act, Action, Done, Policy, Settle, Wait, next_action
from paas_runner.job.lifecycle import TRANSITIONS, acquired_undecodable, apply, resumed
from paas_runner.job.tracked import Phase
from paas_runner.secret import Secret
from tests.support.records import EVENTS, FAILURE, HOST, NOW, job, job_in

P = Phase

_ = None
TABLE = {
    # acquired, provisioning, provisioned, launching, launched, running, failing, decommissioning, standby
    ev.ProvisionIntended: (P.PROVISIONING, _, _, _, _, _, _, _, _),
    ev.HostCreated: (_, P.PROVISIONING, _, _, _, _, _, _, _),
    ev.HostReady: (_, P.PROVISIONED, _, _, _, _, _, _, _),
    ev.LaunchIntended: (_, _, P.LAUNCHING, _, _, _, _, _, _),
    ev.Launched: (_, _, _, P.LAUNCHED, _, _, _, _, _),
    ev.LifeSeen: (_, _, _, _, P.RUNNING, _, _, _, _),
    ev.Checked: (P.ACQUIRED, P.PROVISIONING, P.PROVISIONED, P.LAUNCHING, _, P.RUNNING, _, _, _),
    ev.Unchecked: (P.ACQUIRED, P.PROVISIONING, P.PROVISIONED, P.LAUNCHING, _, _, _, _, _),
    ev.HostChecked: (_, _, _, _, P.LAUNCHED, P.RUNNING, _, _, _),
    ev.NotYet: (_, P.PROVISIONING, _, _, P.LAUNCHED, _, _, _, _),
    ev.Deferred: tuple(phase for phase in P if phase is not P.GONE),
    ev.Failed: (*[P.FAILING] * 6, _, _, _),
    ev.Ended: (P.GONE, *[P.DECOMMISSIONING] * 6, _, _),
    ev.Explained: (_, _, _, _, _, _, P.FAILING, _, _),
    ev.Reported: (_, _, _, _, _, _, P.DECOMMISSIONING, _, _),
    ev.Decommissioned: (_, _, _, _, _, _, P.FAILING, P.GONE, _),
    ev.HostReused: (P.PROVISIONED, _, _, _, _, _, _, _, _),
    ev.HostReleased: (_, _, _, _, _, _, _, P.STANDBY, _),
    ev.HostUnfit: (_, _, _, _, _, _, _, P.DECOMMISSIONING, _),
    ev.HostRenewed: (_, _, _, _, _, _, _, _, P.STANDBY),
    ev.StandbyOver: (_, _, _, _, _, _, _, _, P.DECOMMISSIONING),
    ev.HostTaken: (_, _, _, _, _, _, _, _, P.GONE),
    ev.HostLeft: (_, _, _, _, _, _, _, P.GONE, _),
}
BEFORE_THE_END = [phase for phase in Phase if phase is not Phase.GONE]


def test_the_table_speaks_of_every_event_and_every_phase():
    assert set(TABLE) == set(EVENTS) == set(get_args(ev.Event))
    assert set(TRANSITIONS) == set(Phase)


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("phase", BEFORE_THE_END)
def test_each_event_leads_where_the_table_says(phase, kind):
    expected = TABLE[kind][BEFORE_THE_END.index(phase)]
    before = job_in(phase)
    if expected is None:
        with pytest.raises(IllegalTransitionError):
            apply(before, EVENTS[kind], NOW)
    else:
        assert apply(before, EVENTS[kind], NOW).phase is expected


def test_nothing_happens_to_a_job_that_is_gone():
    assert TRANSITIONS[Phase.GONE] == {}


@pytest.mark.parametrize("phase", BEFORE_THE_END)
def test_from_every_phase_a_job_can_come_to_its_end(phase):
    reachable, fresh = set(), {phase}
    while fresh:
        reachable |= fresh
        fresh = {target for known in fresh for target in TRANSITIONS[known].values()} - reachable
    assert Phase.GONE in reachable


def test_a_job_that_ends_before_a_host_was_asked_for_is_gone_at_once():
    assert apply(job(), ev.Ended(), NOW).phase is Phase.GONE


def test_a_job_that_fails_before_a_host_was_asked_for_is_gone_once_it_is_reported():
    failing = apply(job(), ev.Failed(failure=FAILURE), NOW)
    assert apply(failing, ev.Reported(), NOW).phase is Phase.GONE


def test_a_host_that_was_asked_for_must_go_even_when_its_answer_never_came():
    asked = apply(job(), ev.ProvisionIntended(), NOW)
    assert asked.host is None
    assert apply(asked, ev.Ended(), NOW).phase is Phase.DECOMMISSIONING


def test_the_payload_is_kept_until_the_host_has_it_and_no_longer():
    assert job_in(Phase.LAUNCHING).payload is not None
    assert job_in(Phase.LAUNCHED).payload is None
    assert apply(job_in(Phase.PROVISIONED), ev.Failed(failure=FAILURE), NOW).payload is None


def test_failed_tries_are_counted_and_forgotten_with_the_next_success():
    tried = apply(job_in(Phase.PROVISIONING, host=None), ev.Deferred(until=NOW, trouble="503"), NOW)
    tried = apply(tried, ev.Deferred(until=NOW, trouble="503"), NOW)
    assert (tried.attempts, tried.trouble) == (2, "503")
    created = apply(tried, ev.HostCreated(host=HOST, doubtful=True), NOW)
    assert (created.attempts, created.due, created.trouble) == (0, None, "")
    assert created.host_doubtful


def test_a_successful_look_does_not_shorten_the_pause_of_a_failing_cloud():
    later = NOW + timedelta(seconds=20)
    tried = apply(job_in(Phase.PROVISIONING, host=None), ev.Deferred(until=later, trouble="503"), NOW)
    looked = apply(tried, ev.Checked(), NOW)
    assert (looked.attempts, looked.due) == (1, later)


@pytest.mark.parametrize("phase", [Phase.LAUNCHED, Phase.RUNNING])
def test_a_look_at_the_host_changes_nothing_but_the_time_of_the_next(phase):
    later = NOW + timedelta(seconds=45)
    tried = apply(job_in(phase), ev.Deferred(until=later, trouble="503"), NOW)
    looked = apply(tried, ev.HostChecked(until=later), NOW)
    assert looked == attrs.evolve(tried, host_due=later)


def test_the_moment_of_the_first_cancellation_is_kept():
    first = apply(job_in(Phase.RUNNING), ev.Checked(canceling=True), NOW)
    second = apply(first, ev.Checked(canceling=True), NOW + timedelta(minutes=5))
    assert second.canceling_since == NOW


def test_a_job_that_cannot_be_read_begins_with_its_report():
    damaged = acquired_undecodable("abc", 7, Secret("token-7"), NOW)
    decision = next_action(apply(damaged, ev.Checked(), NOW), NOW, Policy())
    assert decision == Settle(ev.Failed(failure=damaged.failure))
    failing = apply(damaged, decision.event, NOW)
    assert apply(failing, ev.Reported(), NOW).phase is Phase.GONE


def test_a_clock_that_went_back_makes_no_job_wait_at_a_start():
    tomorrow = NOW + timedelta(days=1)
    record = attrs.evolve(
        job_in(Phase.PROVISIONING, host=None, attempts=2),
        acquired_at=tomorrow,
        checked_at=tomorrow,
        since=tomorrow,
        due=tomorrow,
        check_due=tomorrow,
    )
    decision = next_action(resumed(record, NOW), NOW, Policy())
    assert isinstance(decision, Act)


@pytest.mark.parametrize("phase", [Phase.LAUNCHED, Phase.RUNNING])
def test_a_clock_that_went_forward_ends_no_job_before_it_was_looked_at(phase):
    much_later = NOW + timedelta(days=1)
    found = resumed(job_in(phase), much_later)
    assert isinstance(next_action(found, much_later, Policy()), Act)
    outlived = next_action(found, much_later + Policy().lifetime_margin, Policy())
    assert isinstance(outlived, Settle)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.GONE])
def test_an_ordinary_start_changes_nothing_but_what_was_put_off(phase):
    record = job_in(phase, due=NOW, check_due=NOW)
    found = resumed(record, NOW + timedelta(minutes=1))
    assert found.checked_at < found.since
    unchanged = attrs.evolve(found, checked_at=NOW, start_due=None)
    assert unchanged == attrs.evolve(record, due=None, check_due=None)


@pytest.mark.parametrize("phase", [Phase.ACQUIRED, Phase.PROVISIONING, Phase.PROVISIONED, Phase.LAUNCHING])
def test_time_without_service_is_not_counted_against_a_job_that_waits_for_its_host(phase):
    tried = apply(
        job_in(phase),
        ev.Deferred(until=NOW + timedelta(minutes=5), trouble="503"),
        NOW + timedelta(minutes=4),
    )
    back = NOW + timedelta(hours=3)
    found = resumed(tried, back)
    assert found.start_due == back - timedelta(minutes=5)
    for wait, ends in ((9, False), (10, True)):
        until = back + timedelta(minutes=wait)
        again = attrs.evolve(apply(found, ev.Deferred(until=until, trouble="503"), back), checked_at=until)
        assert isinstance(next_action(again, until, Policy()), Settle) is ends


def test_no_start_goes_on_with_a_launch_before_it_has_asked_whether_the_job_is_still_wanted():
    """Found by the simulation: a look from before a crash was good enough for a push long after it."""
    record = job_in(Phase.LAUNCHING, attempts=1, checked_at=NOW + timedelta(seconds=20))
    much_later = NOW + timedelta(minutes=10)
    found = resumed(record, much_later)
    assert next_action(found, much_later, Policy()) == Act(Action.TOUCH)
    unasked = apply(found, ev.Unchecked(until=much_later + timedelta(seconds=5)), much_later)
    assert isinstance(next_action(unasked, much_later, Policy()), Wait)


times = st.integers(min_value=0, max_value=3 * 3600).map(lambda seconds: timedelta(seconds=seconds))


def _concrete(kind, now, data):
    event = EVENTS[kind]
    changes = {}
    if kind in (ev.NotYet, ev.Deferred, ev.Unchecked, ev.HostChecked):
        changes["until"] = now + data.draw(st.integers(0, 300).map(lambda s: timedelta(seconds=s)))
    if kind is ev.Checked:
        changes["canceling"] = data.draw(st.booleans())
    if kind is ev.HostCreated:
        changes["doubtful"] = data.draw(st.booleans())
    return attrs.evolve(event, **changes)


@given(st.data())
def test_whatever_happens_there_is_always_something_to_be_done_next(data):
    policy = Policy(
        keep_finished=data.draw(st.booleans()),
        keep_launch_failures=data.draw(st.booleans()),
        standby=data.draw(st.sampled_from([timedelta(), timedelta(minutes=2)])),
    )
    now, record = NOW, job()
    for _step in range(data.draw(st.integers(0, 40))):
        reusable, let_go = data.draw(st.booleans()), data.draw(st.sampled_from(["", "drained"]))
        decision = next_action(record, now, policy, reusable=reusable, let_go=let_go)
        match decision:
            case Done():
                assert record.phase is Phase.GONE
                return
            case Wait(until=until):
                assert until > now, "a wait for the past would be a busy loop"
                now = until
            case Settle(event=event):
                record = apply(record, event, now)
            case Act(intent=intent) if intent is not None:
                record = apply(record, intent, now)
            case Act():
                pass
        known = sorted(TRANSITIONS[record.phase], key=lambda kind: kind.__name__)
        if known and data.draw(st.booleans()):
            record = apply(record, _concrete(data.draw(st.sampled_from(known)), now, data), now)
        now += data.draw(times)
    assert (record.phase is Phase.GONE) == isinstance(next_action(record, now, policy), Done)


def test_room_that_was_given_away_is_not_taken_back_when_a_host_can_be_reached_again():
    job = attrs.evolve(job_in(Phase.DECOMMISSIONING), tenant="acme")
    assert job.takes_room
    job = apply(job, ev.Deferred(until=NOW, trouble="no account", unreachable=True), NOW)
    assert not job.takes_room
    job = apply(job, ev.Deferred(until=NOW, trouble="the cloud is busy"), NOW)
    assert not job.takes_room
