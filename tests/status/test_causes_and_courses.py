"""What a job's phases were, why it waits, why jobs failed, and what hosts cost an hour."""

from datetime import timedelta

import attrs
import pytest

from paas_runner.job import events as ev
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.lifecycle import apply
from paas_runner.job.orphans import HostKind, HostVerdict, SearchResult
from paas_runner.job.tracked import Host, HostName, JobKey, Phase, SeenHost
from paas_runner.status import course, failures, hosts, report
from tests.support.records import NOW, job, job_in

SECOND = timedelta(seconds=1)
SYSTEM, SCRIPT = FailureReason.SYSTEM, FailureReason.SCRIPT


def failed(job_id, text, *, reason=SYSTEM, at=NOW):
    record = apply(job(job_id), ev.Failed(failure=Failure(reason=reason, text=text)), at)
    return failures.failure_of(record.key, record.history)


def causes(*found, since=NOW):
    return [(cause.what, cause.count) for cause in failures.causes(found, since)]


def test_a_course_has_each_phase_with_its_seconds():
    record = apply(job(), ev.Checked(), NOW + SECOND)
    record = apply(record, ev.ProvisionIntended(), NOW + 2 * SECOND)
    record = apply(record, ev.NotYet(until=NOW), NOW + 5 * SECOND)
    found = course.course(record.history, NOW + 12 * SECOND)
    assert [(each.phase, each.seconds) for each in found] == [("acquired", 2.0), ("provisioning", 10.0)]


def test_a_course_of_a_job_that_is_gone_ends_with_it():
    record = job_in(Phase.GONE)
    found = course.course(record.history, course.over_at(record.history))
    assert [each.phase for each in found][-2:] == ["failing", "decommissioning"]
    assert course.course((), NOW) == []


def test_a_job_waits_for_room_for_an_outage_and_for_its_runner():
    quiet, full, unserved = job(1), job(2), job(3, runner="nobody000")
    troubled = apply(job_in(Phase.PROVISIONING), ev.Deferred(until=NOW, trouble="cloud: 503"), NOW)
    troubled = attrs.evolve(troubled, key=JobKey("abc123xyz", 4))
    records = {each.key: each for each in (quiet, full, unserved, troubled)}
    policy = {"abc123xyz": report.Policy()}
    reports = report.jobs(records.values(), NOW, names={}, policies=policy)
    found = course.waiting(reports, records, {full.key: "the quota of 8 is taken"}, NOW)
    assert {each.job.job: each.why for each in found} == {
        2: "the quota of 8 is taken",
        3: "its runner is not in the configuration: put it back, or remove its host",
        4: "1 try has failed, the last: cloud: 503",
    }


def test_failures_for_one_cause_are_counted_together():
    found = causes(
        failed(1, "No host within 300 s.\n  Host: hpd-job-abc123xyz-1"),
        failed(2, "No host within 301 s.\n  Host: hpd-job-abc123xyz-2"),
        failed(3, "Host hpd-job-abc123xyz-3 (app_0a1b2c3d4e5f6789) died."),
        failed(4, "Host hpd-job-abc123xyz-4 (app_1a2b3c4d5e6f7890) died."),
        failed(5, "The flavor is not on offer.", reason=SCRIPT),
    )
    assert found == [("No host within … s.", 2), ("Host … (…) died.", 2), ("The flavor is not on offer.", 1)]


def test_names_of_flavors_stay_in_the_headline_of_a_cause():
    text = 'The flavor "9XL" does not exist. Choices: XS, 2XL, 3XL; 17 were asked.'
    assert failures.headline(text) == text.replace("17", "…")


def test_only_failures_of_the_time_in_question_count_and_each_job_once():
    old, new = failed(1, "Gone.", at=NOW - SECOND), failed(2, "Gone.")
    assert causes(old, new, new) == [("Gone.", 1)]


def test_a_job_that_was_canceled_or_ended_well_is_no_failure():
    assert failed(1, "canceled", reason=FailureReason.CANCELED) is None
    assert failures.failure_of(JobKey("a", 1), job_in(Phase.RUNNING).history) is None


@pytest.mark.parametrize("text", ["", "\n\n", "x" * 10_000, "\u202eevil 7"])
def test_any_text_has_a_headline(text):
    assert len(failures.headline(text)) <= 301


def test_a_headline_ends_with_a_word_so_that_no_secret_is_cut_in_two():
    assert failures.headline("a word " * 42 + "secret-of-some-length and more") == "a word " * 41 + "a word…"


def with_host(job_id, price):
    host = Host(ref=f"app_{job_id}", flavor="M", price=price)
    record = attrs.evolve(job_in(Phase.RUNNING), host=host, host_since=NOW - 3600 * SECOND)
    return attrs.evolve(record, key=JobKey("abc123xyz", job_id))


def test_hosts_are_listed_the_dearest_first_with_what_all_cost_an_hour():
    jobs = [with_host(1, 0.25), with_host(2, None), with_host(3, 0.5), job(4)]
    found, total = hosts.hosts(jobs, NOW, names={"abc123xyz": "build"})
    assert [(host.job, host.price_per_hour, host.cost_so_far) for host in found] == [
        (3, 0.5, 0.5),
        (1, 0.25, 0.25),
        (2, None, None),
    ]
    assert total == hosts.HostsTotal(hosts=3, cost_per_hour=0.75, unpriced=1)


def test_a_price_that_nobody_knows_is_no_zero():
    assert hosts.hosts([with_host(1, None)], NOW, names={})[1].cost_per_hour is None


def test_orphans_that_are_still_there_come_first_and_are_counted():
    def verdict(ref, kind):
        seen = SeenHost(name=HostName(f"hpd-job-abc123xyz-{ref}"), ref=ref, created_at=None, busy=None)
        return HostVerdict(host=seen, kind=kind, why="so it is")

    kinds = {"1": HostKind.TRACKED, "2": HostKind.YOUNG, "3": HostKind.ORPHAN, "4": HostKind.ORPHAN}
    result = SearchResult(
        runner="abc123xyz",
        tenant="t",
        at=NOW,
        verdicts=[verdict(ref, kind) for ref, kind in kinds.items()],
        removed=frozenset({"3"}),
    )
    [search] = hosts.searches([result], names={"abc123xyz": "build"})
    assert (search.hosts, search.orphans, search.runner_name) == (4, 1, "build")
    assert [(host.host, host.removed) for host in hosts.judged([result])] == [
        ("4", False),
        ("2", False),
        ("3", True),
    ]


def test_a_host_on_standby_says_so_and_how_long_it_still_waits():
    jobs = [job_in(Phase.STANDBY), job_in(Phase.RUNNING, key=JobKey("abc123xyz", 2))]
    found, _ = hosts.hosts(jobs, NOW + timedelta(seconds=30), names={})
    assert {host.job: (str(host.state), host.standby_seconds_left) for host in found} == {
        1: ("standby", 90.0),
        2: ("busy", None),
    }
