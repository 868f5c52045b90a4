"""What a record says of its past, and what the decisions say of its future."""

from datetime import timedelta

import attrs
import pytest

from paas_runner.job import events as ev
from paas_runner.job.decision import Act, Intend, Policy, next_action
from paas_runner.job.history import NAMES
from paas_runner.job.lifecycle import TRANSITIONS, apply, resumed
from paas_runner.job.outlook import outlook
from paas_runner.job.tracked import Entry, Phase
from paas_runner.job.use import Use
from paas_runner.job.wording import describe_entry, describe_history
from paas_runner.store.records import history_as_text, history_from_text
from tests.support.records import EVENTS, FAILURE, NOW, job, job_in

SECOND = timedelta(seconds=1)


def words(record):
    return [(line.what, line.why) for line in describe_history(record.history)]


@pytest.mark.parametrize(
    ("phase", "event"), [(phase, event) for phase, known in TRANSITIONS.items() for event in known]
)
def test_every_event_of_every_phase_has_words_and_a_reason(phase, event):
    before = job_in(phase)
    [*_, entry] = apply(before, EVENTS[event], NOW + SECOND).history
    assert entry.event in NAMES
    assert entry.at == NOW + SECOND or entry.last == NOW + SECOND
    line = describe_entry(entry)
    assert line.what
    assert line.why
    assert "unknown" not in line.why


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("event", sorted(NAMES))
def test_an_entry_that_a_disk_has_damaged_has_words_too(phase, event):
    line = describe_entry(Entry(at=NOW, phase=phase, event=event, facts={"seconds": "{many}", "host": None}))
    assert line.what


@pytest.mark.parametrize("text", ["{seconds}", "{0}", "{", "%s {host.ref}"])
def test_what_another_system_says_is_quoted_and_not_a_form_to_fill_in(text):
    record = apply(job_in(Phase.PROVISIONING), ev.Deferred(until=NOW, trouble=text), NOW)
    assert words(record)[-1] == ("there is no host yet", text)


def test_events_have_different_names_which_are_those_of_stored_histories():
    names = {event.name: event for event in EVENTS}
    assert sorted(names) == [
        "checked",
        "decommissioned",
        "deferred",
        "ended",
        "explained",
        "failed",
        "host_checked",
        "host_created",
        "host_left",
        "host_ready",
        "host_released",
        "host_renewed",
        "host_reused",
        "host_taken",
        "host_unfit",
        "launch_intended",
        "launched",
        "life_seen",
        "not_yet",
        "provision_intended",
        "reported",
        "standby_over",
        "unchecked",
    ]
    assert len(names) == len(EVENTS)


def test_only_what_a_start_asks_again_need_not_be_on_the_disk():
    asked_again = {ev.Checked, ev.Unchecked, ev.HostChecked, ev.HostReady, ev.HostRenewed, ev.NotYet}
    assert {event for event in EVENTS if not event.durable} == asked_again


def test_a_new_host_is_shown_with_its_name_its_flavor_and_how_long_it_took():
    record = apply(job_in(Phase.ACQUIRED), ev.ProvisionIntended(), NOW)
    record = apply(record, EVENTS[ev.HostCreated], NOW + 2.1 * SECOND)
    assert words(record)[-2:] == [
        ("a host is asked for", "its name is hpd-job-abc123xyz-1"),
        ("host created", "app_1, flavor M, after 2.1 s"),
    ]


def test_what_happens_again_in_a_phase_is_counted_with_the_newest_reason():
    record = job_in(Phase.PROVISIONING)
    length = len(record.history)
    for number in range(1, 1000):
        at = NOW + number * SECOND
        trouble = f"clever-cloud: 503 (request {number})"
        record = apply(record, ev.Deferred(until=at + SECOND, trouble=trouble), at)
        record = apply(record, ev.Checked(), at)
    assert len(record.history) == length + 2
    entry = record.history[-2]
    assert (entry.event, entry.times, entry.at, entry.last) == (
        "deferred",
        999,
        NOW + SECOND,
        NOW + 999 * SECOND,
    )
    assert entry.facts == {"trouble": "clever-cloud: 503 (request 999)"}
    assert entry.until == NOW + 1000 * SECOND


def test_the_same_in_another_phase_is_a_line_of_its_own():
    record = apply(job_in(Phase.PROVISIONED), ev.Checked(), NOW)
    record = apply(record, ev.LaunchIntended(), NOW)
    record = apply(record, ev.Checked(), NOW)
    assert words(record)[-3][0] == words(record)[-1][0] == "the coordinator still wants the job"


def test_a_cancelation_is_a_line_of_its_own_among_the_answers_of_the_coordinator():
    record = job_in(Phase.RUNNING)
    for event in (ev.Checked(), ev.Checked(canceling=True), ev.Checked(), ev.Checked(canceling=True)):
        record = apply(record, event, NOW)
    assert [(entry.event, entry.times) for entry in record.history[-2:]] == [("checked", 2), ("canceling", 2)]


def test_a_restart_is_part_of_the_history():
    record = resumed(job_in(Phase.RUNNING), NOW + 60 * SECOND)
    assert words(record)[-1][0] == "the service goes on from the job's record"
    assert resumed(record, NOW + 90 * SECOND).history[-1].times == 2


def test_nothing_depends_on_the_history():
    record = job_in(Phase.RUNNING)
    assert attrs.evolve(record, history=()) == record


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in (Phase.STANDBY, Phase.GONE)])
def test_what_is_announced_is_what_the_job_loop_does(phase):
    """Followed through all its waits the decision is the announced one, at the announced time."""
    record, policy = job_in(phase), Policy()
    announced = outlook(record, NOW, policy)
    at, decision = NOW, next_action(record, NOW, policy)
    while not isinstance(decision, Act):
        if isinstance(decision, Intend):
            record = apply(record, decision.intent, at)
        else:
            at = decision.until
        decision = next_action(record, at, policy)
    assert isinstance(decision, Act)
    assert announced.at == at
    assert announced.why


def test_the_next_try_is_shown_with_the_trouble_of_the_last():
    record = apply(job_in(Phase.LAUNCHING), ev.Checked(), NOW)
    record = apply(record, ev.Deferred(until=NOW + 8 * SECOND, trouble="git remote, push: refused"), NOW)
    found = outlook(record, NOW + 9 * SECOND, Policy())
    assert found.what == "ask the coordinator whether it still wants the job"
    record = apply(record, ev.Checked(), NOW + 9 * SECOND)
    found = outlook(record, NOW + 9 * SECOND, Policy())
    assert found.what == "hand the job to its host"
    assert found.why == "1 try failed, the last: git remote, push: refused"


def test_a_launch_that_is_put_off_names_the_setting_that_does_it():
    record = attrs.evolve(apply(job(), ev.Checked(), NOW), start_due=NOW + 5 * SECOND)
    found = outlook(record, NOW, Policy())
    assert (found.what, found.at) == ("ask for a host", NOW + 5 * SECOND)
    assert "`paas_min_seconds_between_launches`" in found.why


def test_a_job_that_is_given_up_says_why():
    record = apply(job(), ev.Checked(), NOW)
    record = attrs.evolve(record, failure=FAILURE)
    found = outlook(record, NOW, Policy())
    assert (found.what, found.why) == ("give the job up", "No host today.")


def test_a_host_that_stays_as_configured_is_not_announced_to_go():
    found = outlook(job_in(Phase.DECOMMISSIONING), NOW, Policy(keep_finished=True))
    assert found.what == "forget the job"


STANDBY = Policy(standby=timedelta(minutes=20))


def test_a_host_that_may_be_used_again_is_announced_to_be_cleaned_then_to_wait():
    """H140."""
    ended = apply(job_in(Phase.RUNNING), ev.Ended(), NOW)
    ended = attrs.evolve(ended, host=attrs.evolve(ended.host, series="acme"))
    assert outlook(ended, NOW, STANDBY).what == "clean the host, so that another job may have it"
    until = NOW + timedelta(minutes=20)
    waits = apply(ended, ev.HostReleased(until=until, lease=timedelta(minutes=10)), NOW)
    found = outlook(waits, NOW + SECOND, STANDBY)
    assert (found.what, found.at) == ("remove the host, unless another job has it by then", until)
    assert found.why == "no job has come for it in time"
    assert outlook(waits, NOW, Policy()).why == "hosts are not kept any more, as configured"


def test_a_host_on_standby_that_cannot_be_asked_says_so():
    waits = apply(job_in(Phase.STANDBY), ev.Deferred(until=NOW + SECOND, trouble="no answer"), NOW)
    found = outlook(attrs.evolve(waits, heard_at=NOW - timedelta(minutes=5)), NOW, STANDBY)
    assert found.what == "let the host on standby hear of us"
    assert found.why == "1 try failed, the last: no answer"


def test_what_a_job_used_of_its_host_is_part_of_its_history():
    use = Use(memory_bytes=300 * 2**20, cpu_seconds=12.5, wall_seconds=100.0)
    record = apply(job_in(Phase.DECOMMISSIONING), ev.Decommissioned(use=use), NOW)
    [*_, last] = describe_history(history_from_text(history_as_text(record.history)))
    assert (last.what, last.why) == (
        "the host is gone",
        "after 0.0 s; the job used 300 MiB of memory, 12.5 s of CPU",
    )
