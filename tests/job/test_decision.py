"""What is done about a job in each phase: one line of the table of design, one test."""

from datetime import timedelta

import attrs
import pytest

from paas_runner.job import events as ev
from paas_runner.job.decision import Act, Action, Done, Intend, Policy, Settle, Wait, next_action, no_life
from paas_runner.job.failure import FailureReason
from paas_runner.job.lifecycle import apply
from paas_runner.job.pace import END
from paas_runner.job.tracked import Phase
from tests.support.records import FAILURE, HOST, NOW, job, job_in

POLICY = Policy()
SECOND = timedelta(seconds=1)
LONG_AGO = {Phase.LAUNCHED: NOW - timedelta(hours=1)}


def decide(record, after=timedelta(), policy=POLICY):
    return next_action(record, NOW + after, policy)


@pytest.mark.parametrize(
    ("record", "decision"),
    [
        (job(), Act(Action.TOUCH)),
        (job_in(Phase.ACQUIRED), Act(Action.PROVISION, intent=ev.ProvisionIntended())),
        (apply(job(), ev.ProvisionIntended(), NOW), Act(Action.ADOPT)),
        (job_in(Phase.PROVISIONING, host=HOST, host_since=NOW), Act(Action.CHECK_READY)),
        (job_in(Phase.PROVISIONED), Intend(ev.LaunchIntended())),
        (job_in(Phase.LAUNCHING), Act(Action.LAUNCH)),
        (job_in(Phase.LAUNCHED), Act(Action.LOOK_FOR_LIFE)),
        (job_in(Phase.RUNNING), Wait(NOW + END.shortest)),
        (job_in(Phase.FAILING), Act(Action.EXPLAIN)),
        (job_in(Phase.FAILING, explained=True), Act(Action.REPORT)),
        (job_in(Phase.DECOMMISSIONING), Act(Action.DECOMMISSION)),
        (job_in(Phase.GONE), Done()),
    ],
    ids=lambda value: str(getattr(value, "phase", "")),
)
def test_the_next_action_of_each_phase(record, decision):
    assert decide(record) == decision


@pytest.mark.parametrize("phase", [Phase.ACQUIRED, Phase.PROVISIONING, Phase.PROVISIONED, Phase.LAUNCHING])
def test_a_job_on_its_way_to_a_host_is_kept_alive_and_asked_about(phase):
    assert decide(job_in(phase), POLICY.status_every) == Act(Action.TOUCH)


def test_a_coordinator_that_cannot_be_asked_does_not_hold_up_the_host():
    unasked = apply(
        job_in(Phase.ACQUIRED),
        ev.Unchecked(until=NOW + POLICY.status_every + 5 * SECOND),
        NOW + POLICY.status_every,
    )
    assert decide(unasked, POLICY.status_every) == Act(Action.PROVISION, intent=ev.ProvisionIntended())


def test_each_launch_comes_right_after_a_look_at_the_status():
    provisioned = job_in(Phase.PROVISIONED, checked_at=NOW + SECOND)
    assert decide(provisioned, 2 * SECOND) == Intend(ev.LaunchIntended())
    intended = apply(provisioned, ev.LaunchIntended(), NOW + 3 * SECOND)
    assert decide(intended, 3 * SECOND) == Act(Action.TOUCH)
    launching = apply(intended, ev.Checked(), NOW + 4 * SECOND)
    assert decide(launching, 4 * SECOND) == Act(Action.LAUNCH)
    again = apply(launching, ev.Deferred(until=NOW + 5 * SECOND, trouble="reset"), NOW + 4 * SECOND)
    assert decide(again, 5 * SECOND) == Act(Action.TOUCH)


def test_a_look_is_good_enough_for_a_launch_for_one_second_and_until_another_one_failed():
    looked = job_in(Phase.LAUNCHING, checked_at=NOW)
    assert decide(looked, 0.9 * SECOND) == Act(Action.LAUNCH)
    assert decide(looked, SECOND) == Act(Action.TOUCH)
    failed = apply(looked, ev.Unchecked(until=NOW + 0.5 * SECOND), NOW)
    assert decide(failed, 0.4 * SECOND) == Wait(NOW + 0.5 * SECOND)
    assert decide(failed, 0.5 * SECOND) == Act(Action.TOUCH)


@pytest.mark.parametrize("phase", [Phase.ACQUIRED, Phase.PROVISIONING, Phase.PROVISIONED, Phase.LAUNCHING])
def test_a_job_that_is_being_canceled_is_never_launched(phase):
    decision = decide(job_in(phase, canceling_since=NOW))
    assert isinstance(decision, Settle)
    assert isinstance(decision.event, ev.Failed)


def test_a_running_job_that_is_canceled_may_wind_down_for_a_while():
    winding = job_in(Phase.RUNNING, canceling_since=NOW, checked_at=NOW + POLICY.cancel_grace)
    assert not isinstance(decide(winding, POLICY.cancel_grace - SECOND), Settle)
    assert isinstance(decide(winding, POLICY.cancel_grace), Settle)


def test_a_cloud_that_fails_is_tried_again_until_patience_ends():
    tried = job_in(Phase.PROVISIONING, host=None, attempts=3, trouble="answered 503", checked_at=NOW)
    late = POLICY.host_within
    tried = apply(tried, ev.Checked(), NOW + late - SECOND)
    assert decide(tried, late - SECOND) == Act(Action.ADOPT)
    decision = decide(attrs.evolve(tried, due=NOW + late), late)
    assert isinstance(decision, Settle)
    assert "answered 503" in decision.event.failure.text
    assert decision.event.failure.reason is FailureReason.SYSTEM


def test_a_host_that_never_takes_the_job_is_given_up():
    waiting = job_in(Phase.PROVISIONING, host=HOST, host_since=NOW)
    looked = apply(waiting, ev.NotYet(until=NOW + POLICY.ready_within), NOW)
    assert isinstance(decide(looked, POLICY.ready_within), Settle)


def test_a_launched_job_that_stays_silent_is_given_up():
    looked = apply(job_in(Phase.LAUNCHED), ev.NotYet(until=NOW + POLICY.life_within), NOW)
    assert decide(looked, POLICY.life_within) == Act(Action.GIVE_UP_WAITING)
    assert "300 seconds" in no_life(POLICY, None).text
    assert no_life(POLICY, "It still boots.").text.endswith("\nIt still boots.")


def test_a_job_whose_start_is_put_off_waits_but_is_still_asked_about():
    planned = job_in(Phase.ACQUIRED, start_due=NOW + timedelta(minutes=5))
    assert decide(planned, SECOND) == Wait(NOW + POLICY.status_every)
    assert decide(planned, POLICY.status_every) == Act(Action.TOUCH)
    asked = apply(planned, ev.Checked(), NOW + timedelta(minutes=5))
    assert decide(asked, timedelta(minutes=5)).action is Action.PROVISION


@pytest.mark.parametrize(
    ("record", "next_look"),
    [
        (job_in(Phase.PROVISIONING, host=HOST, host_since=NOW, due=NOW + SECOND), Action.CHECK_READY),
        (job_in(Phase.PROVISIONING, host=None, attempts=3, due=NOW + SECOND), Action.ADOPT),
        (job_in(Phase.LAUNCHED, due=NOW + SECOND), Action.LOOK_FOR_LIFE),
    ],
    ids=lambda value: str(value) if isinstance(value, Action) else "",
)
def test_time_in_which_the_service_was_down_does_not_count(record, next_look):
    """Found by a restart test: hosts were given up without a single look at them."""
    down = POLICY.host_within + timedelta(minutes=5)
    looked = attrs.evolve(record, checked_at=NOW + down)
    assert decide(looked, down) == Act(next_look)


@pytest.mark.parametrize("phase", [Phase.LAUNCHED, Phase.RUNNING])
def test_a_launched_host_is_looked_at_right_after_its_job_and_not_before(phase):
    every = POLICY.host_every
    if phase is Phase.LAUNCHED:
        early = apply(job_in(phase), ev.NotYet(until=NOW + every + SECOND), NOW)
        looked = apply(early, ev.NotYet(until=NOW + every + 10 * SECOND), NOW + every)
    else:
        early = apply(job_in(phase), ev.Checked(), NOW + every - SECOND)
        looked = apply(early, ev.Checked(), NOW + every)
    assert isinstance(decide(early, every - SECOND), Wait)
    assert decide(looked, every) == Act(Action.CHECK_HOST)
    seen = apply(looked, ev.HostChecked(until=NOW + 2 * every), NOW + every)
    assert isinstance(decide(seen, every), Wait)


@pytest.mark.parametrize("status_every", [0.5, 3.0, 5.0, 7.0, 30.0, 60.0])
def test_a_dead_host_is_noticed_as_late_as_the_policy_says(status_every):
    interval, moment = timedelta(seconds=status_every), timedelta(milliseconds=1)
    policy = Policy(status_every=interval, host_every=max(1.5 * interval, timedelta(seconds=10)))
    record, now, looks = job_in(Phase.RUNNING, entered=LONG_AGO), NOW, []
    while len(looks) < 3:
        match next_action(record, now, policy):
            case Wait(until=until):
                now = until
            case Act(action=Action.CHECK_HOST):
                looks.append(now)
                now += moment
                record = apply(record, ev.HostChecked(until=now + policy.host_every), now)
            case Act():
                now += moment
                record = apply(record, ev.Checked(), now)
    assert looks[2] - looks[1] == pytest.approx(policy.dead_host_within, abs=100 * moment)


def test_a_host_that_is_not_known_is_not_looked_at():
    running = job_in(Phase.RUNNING, host=None, entered=LONG_AGO)
    looked = apply(running, ev.Checked(), NOW + POLICY.host_every)
    assert decide(looked, POLICY.host_every) == Wait(NOW + POLICY.host_every + POLICY.status_every)


@pytest.mark.parametrize(
    ("phase", "look"),
    [(Phase.LAUNCHED, Action.LOOK_FOR_LIFE), (Phase.RUNNING, Action.CHECK_STATUS)],
)
def test_no_host_outlives_its_jobs_timeout_by_more_than_the_margin(phase, look):
    record = job_in(phase)
    end = record.timeout + POLICY.lifetime_margin
    assert decide(record, end - SECOND) == Act(look)
    decision = decide(record, end)
    assert isinstance(decision, Settle)
    assert decision.event.failure.reason is FailureReason.TIMEOUT


def test_while_the_coordinator_cannot_be_told_every_other_try_removes_the_host():
    failing = apply(job_in(Phase.FAILING), ev.Deferred(until=NOW, trouble="down"), NOW)
    assert decide(failing) == Act(Action.DECOMMISSION)
    hostless = apply(failing, ev.Decommissioned(), NOW)
    assert decide(hostless) == Act(Action.EXPLAIN)
    assert apply(hostless, ev.Reported(), NOW).phase is Phase.GONE


@pytest.mark.parametrize("phase", [Phase.FAILING, Phase.DECOMMISSIONING])
def test_reports_and_removals_are_never_given_up(phase):
    record = job_in(phase, attempts=1000, due=NOW + 10 * SECOND)
    assert decide(record) == Wait(NOW + 10 * SECOND)
    assert isinstance(decide(record, timedelta(days=30)), Act)


def test_hosts_stay_when_the_operator_wants_to_keep_them():
    ended = apply(job_in(Phase.RUNNING), ev.Ended(), NOW)
    failed = job_in(Phase.DECOMMISSIONING, failure=FAILURE)
    assert decide(ended, policy=Policy(keep_finished=True)) == Settle(ev.HostLeft())
    assert decide(failed, policy=Policy(keep_launch_failures=True)) == Settle(ev.HostLeft())
    assert decide(ended, policy=Policy(keep_launch_failures=True)) == Act(Action.DECOMMISSION)
